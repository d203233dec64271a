"""An agency's own work list, asked from its hub over HTTP: `agency work`, `agency close`.

What is shown is what `GET /v1/work` shows (docs/work.md): under the agency's own names, and never
more than it may know. Nothing is kept here; a list that cannot be had is an error, never empty.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from connectors.commands.agency import DEFAULT_HOME, HOME
from connectors.commands.ending import reported
from connectors.commands.printed import console, table
from connectors.errors import SettingsError, StopError

WORK_PATH: Final = "/v1/work"
_ITEM = re.compile(r"nw-[0-9a-f]{32}", re.ASCII)

Url = Annotated[
    str | None, typer.Option(help="The hub's HTTP address; what the approval says, if left out.")
]


def mount(agency: typer.Typer) -> None:
    """Add the work list to the `agency` group."""
    agency.command()(work)
    agency.command()(close)


@reported
def work(
    home: Annotated[Path, HOME] = DEFAULT_HOME,
    kind: Annotated[str | None, typer.Option(help="Only this kind; docs/work.md.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what is overdue.")] = False,
    last: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 100,
    url: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What this agency has to do or to know, what is due first coming first.

    Items are the hub's: unanswered referrals, recalls, what runs out. docs/work.md says what each
    kind means and what settles it.

    Example: nrm-hub agency work --home ngo-1 --overdue
    """
    wanted = {"limit": str(last), "overdue": "true" if overdue else "false"}
    if kind is not None:
        wanted["kind"] = kind
    items = _items(_ask(home, url, "GET", f"{WORK_PATH}?{urlencode(wanted)}"))
    if as_json:
        typer.echo(json.dumps(items, indent=1))
        return
    shown = table("item", "kind", "state", "due", "since", "case", "what it is")
    for one in items:
        shown.add_row(
            *(str(one.get(name) or "-") for name in ("item", "kind", "state", "due", "since")),
            str(one.get("case_ref") or "-"),
            str(one.get("says") or ""),
        )
    console().print(shown if items else "Nothing is to be done.")


@reported
def close(
    item: Annotated[str, typer.Argument(help="The item, as `agency work` names it: nw-….")],
    because: Annotated[str, typer.Option(help="Reason code; docs/work.md.")],
    contest: Annotated[
        bool, typer.Option("--contest", help="Contest what it is about; the auditor examines it.")
    ] = False,
    home: Annotated[Path, HOME] = DEFAULT_HOME,
    url: Url = None,
) -> None:
    """Close, or contest, an item of this agency; recorded in the hub's log.

    Example: nrm-hub agency close nw-5a0c… --because done --home ngo-1
    """
    if not _ITEM.fullmatch(item):
        raise SettingsError("an item is nw- and 32 digits: copy it from nrm-hub agency work")
    wanted = urlencode({"because": because, "contested": "true" if contest else "false"})
    _ask(home, url, "POST", f"{WORK_PATH}/{item}?{wanted}")
    typer.echo("Contested: the auditor has it now." if contest else "Closed.")


def _ask(home: Path, url: str | None, method: str, path: str) -> bytes:
    """The hub's answer to a signed request. Raises what its refusal means."""
    import httpx2

    from connectors.agency.http import away, check
    from connectors.agency.http_auth import RequestSignature
    from connectors.agency.identity import AgencyIdentity

    identity = AgencyIdentity.load(home)
    base = (url or identity.hub.http_url or "").rstrip("/")
    if not base:
        raise SettingsError("the approval names no HTTP address: give one with --url")
    try:
        with httpx2.Client(
            auth=RequestSignature(identity), timeout=30.0, trust_env=False
        ) as client:
            answer = client.request(method, base + path)
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
        raise SettingsError(f"{base} is not an address such as https://hub.example") from None
    except httpx2.HTTPError as down:
        raise away(base, down) from down
    check(answer)
    return answer.content


def _items(answer: bytes) -> list[dict[str, Any]]:
    try:
        items = json.loads(answer)["items"]
    except (ValueError, KeyError, TypeError, RecursionError):
        items = None
    if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
        raise StopError("what answered is not the hub's work list: check the address")
    return items
