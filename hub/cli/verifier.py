"""`nrm-hub audit verifier`: the page that checks evidence bundles, as one file to carry away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.errors import Refused


def verifier_(
    out: Annotated[Path, typer.Option(help="The HTML file to write; must not exist yet.")],
) -> None:
    """Write a page that checks evidence bundles in any current browser, without a network.

    Everything is in the one file. Its SHA-256 is printed: compare it with that of the file somebody
    else made with the same version. What the page checks is in docs/verifying.md.

    Example: nrm-hub audit verifier --out nrm-verify.html
    """
    from hub.console import verifier

    if out.exists():
        raise Refused(0, "file_exists", f"{out} is there already; choose another --out")
    page = verifier.page()
    with out.open("x", encoding="utf-8", newline="\n") as file:
        file.write(page.html)
    typer.echo(f"{out}: open it in a browser. SHA-256 {page.digest}")


def mount(app: typer.Typer) -> None:
    """The command, in the group it belongs to."""
    app.command("verifier")(verifier_)
