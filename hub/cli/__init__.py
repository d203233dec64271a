"""`nrm-hub`: every command, for agencies, partners, operators and auditors.

Exit codes: 0 done; 1 refused or not possible, the message says what to do; 2 wrong usage;
3 an audit or a scenario found a difference. Errors raised on purpose are one line on standard
error, never a traceback. Commands import what they need late, so that help is quick.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import typer

from connectors import agency_cli
from connectors.cli import connector
from hub.cli import audit, demo, operator, scenario, serve

PACKAGES = ("hub", "schemas", "connectors", "consumers")

app = typer.Typer(
    name="nrm-hub",
    help=(
        "Consent-scoped case events between the agencies of a National Referral Mechanism.\n\n"
        "New here? Run: nrm-hub demo"
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve.serve)
app.command()(demo.demo)
app.command()(agency_cli.publish)
operator.mount(agency_cli.agency)
app.add_typer(agency_cli.agency, name="agency")
app.add_typer(connector, name="connector")
app.add_typer(audit.app, name="audit")
app.add_typer(scenario.app, name="scenario")
app.add_typer(operator.subject, name="subject")
app.add_typer(operator.policy, name="policy")
app.add_typer(operator.dev, name="dev")
app.command()(operator.status)
app.command()(operator.refusals)


@app.command()
def version() -> None:
    """The version of this program."""
    typer.echo(metadata.version("nrm-hub"))


def main() -> None:
    """Run a command; errors raised on purpose end as one line."""
    from connectors.errors import ConnectorError
    from hub.errors import HubError
    from hub.topics.port import TopicError

    _refuse_foreign_packages()
    try:
        app()
    except (HubError, ConnectorError, TopicError) as wrong:
        typer.echo(f"Error: {wrong}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _refuse_foreign_packages() -> None:
    """Another distribution may hold a package of our name: then nothing here can be trusted."""
    here = Path(__file__).resolve().parents[2]
    for name in PACKAGES:
        loaded = sys.modules.get(name)
        origin = Path(str(getattr(loaded, "__file__", None) or here / name / "__init__.py"))
        if origin.resolve().parent != here / name:
            typer.echo(
                f"Error: the package {name!r} comes from {origin.parent}, not from NRM Hub. "
                "Another distribution has overwritten it: use an environment of its own.",
                err=True,
            )
            sys.exit(1)
