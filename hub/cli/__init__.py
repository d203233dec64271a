"""`nrm-hub`: every command, for agencies, partners, operators and auditors.

Exit codes: 0 done; 1 refused or not possible, the message says what to do; 2 wrong usage;
3 done, and a difference was found (scenario, demo, audit, policy) or something was refused
(publish, redrive); 4 a connector waits for a missing delivery. Errors raised on purpose are one
line on standard error, never a traceback. Results go to standard output, all else to standard
error. Commands import what they need late, so that help is quick.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable
from copy import copy
from functools import wraps
from pathlib import Path
from typing import Annotated, NoReturn, ParamSpec, TypeVar

import typer
from typer.main import get_command_name

from connectors.commands import agency as agency_cli
from connectors.commands import own_work
from connectors.commands.connector import connector
from connectors.form import cli as form
from connectors.sources import cli as source_cli
from hub.cli import (
    agencies,
    audit,
    backup,
    case,
    connector_map,
    connector_try,
    consent,
    console,
    demo,
    evidence,
    headings,
    looks,
    officers,
    operator,
    person,
    policy,
    policy_votes,
    practice,
    recalls,
    scenario,
    serve,
    statistics,
    transparency,
    verifier,
    viewers,
    witness,
    work,
)

P = ParamSpec("P")
R = TypeVar("R")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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
app.command()(demo.demo)
app.command()(serve.serve)
app.command()(console.console)
app.command()(agency_cli.publish)
agencies.mount(agency_cli.agency)
own_work.mount(agency_cli.agency)
form.mount(agency_cli.agency)
app.add_typer(agency_cli.agency, name="agency")
practice.mount(connector)
connector_try.mount(connector)
connector_map.mount(connector)
app.add_typer(connector, name="connector")
app.add_typer(source_cli.source, name="source")
transparency.mount(audit.app)
evidence.mount(audit.app)
looks.mount(audit.app)
verifier.mount(audit.app)
app.add_typer(audit.app, name="audit")
app.add_typer(case.app, name="case")
app.add_typer(scenario.app, name="scenario")
app.add_typer(consent.app, name="consent")
app.add_typer(work.app, name="work")
app.add_typer(person.app, name="person")
app.add_typer(operator.subject, name="subject")
policy_votes.mount(policy.app)
app.add_typer(policy.app, name="policy")
app.add_typer(officers.app, name="officer")
app.add_typer(viewers.app, name="viewer")
app.add_typer(statistics.app, name="statistics")
app.add_typer(operator.dev, name="dev")
app.command()(operator.status)
app.command()(operator.refusals)
app.command()(recalls.recalls)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(witness.witness)


def _say_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def configured(
    version_: Annotated[  # noqa: ARG001 - its callback has said it and ended
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say it, and end."),
    ] = False,
) -> None:
    """Consent-scoped case events between the agencies of a National Referral Mechanism.

    New here? Run: nrm-hub demo
    """
    from hub.cli import logs

    logs.configure(logging.WARNING)


@app.command()
def version() -> None:
    """The version of this program.

    Example: nrm-hub version
    """
    from importlib import metadata

    typer.echo(metadata.version("nrm-hub"))


headings.arrange(app, headings.PROGRAM)
headings.arrange(connector, headings.CONNECTOR)
headings.arrange(source_cli.source, headings.SOURCE)
headings.arrange(agency_cli.agency, headings.AGENCY)
headings.flow(app)


def in_one_line(run: Callable[P, R]) -> Callable[P, R]:
    """Errors raised on purpose, and files that are not there, end as one line and exit code 1."""

    @wraps(run)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return run(*args, **kwargs)
        except BrokenPipeError:  # the reader of our output had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as wrong:
            if wrong.errno in FULL:
                _fail(f"{wrong.strerror}: make room, then run the same command again")
            if wrong.filename is None:
                raise
            _fail(f"{wrong.filename}: {wrong.strerror}")
        except Exception as wrong:
            told = _on_purpose(wrong)
            if told is None:
                raise
            _fail(told)

    return wrapped


def _on_purpose(wrong: Exception) -> str | None:
    """What an error of ours says; None of any other. Looked up late: most runs have none."""
    from connectors.errors import ConnectorError
    from hub.domain.policy import PolicyError
    from hub.errors import HubError, Refused
    from hub.topics.broker import BrokerError
    from hub.topics.jars import JarsError
    from hub.topics.port import TopicError

    if isinstance(wrong, Refused) and not wrong.step:
        return f"{wrong.detail} ({wrong.reason})"
    ours = (HubError, ConnectorError, TopicError, PolicyError, BrokerError, JarsError)
    return str(wrong) if isinstance(wrong, ours) else None


def _fail(message: str) -> NoReturn:
    typer.secho(f"Error: {message}", err=True, fg=typer.colors.RED)
    sys.exit(1)


@in_one_line
def main() -> None:
    """Run a command."""
    _refuse_foreign_packages()
    _asked(app, sys.argv[1:])()


def _asked(group: typer.Typer, words: list[str]) -> typer.Typer:
    """Of this group what these words ask for: all hundred commands take long to put together."""
    asked, word = copy(group), words[0] if words else ""
    for one in group.registered_groups:
        if one.name == word and one.typer_instance is not None:
            inner = copy(one)
            inner.typer_instance = _asked(one.typer_instance, words[1:])
            asked.registered_groups, asked.registered_commands = [inner], []
            return asked
    for command in group.registered_commands:
        if word == command.name or word == get_command_name(
            getattr(command.callback, "__name__", "")
        ):
            asked.registered_groups, asked.registered_commands = [], [command]
    return asked


def _refuse_foreign_packages() -> None:
    """Another distribution may hold a package of our name: then nothing here can be trusted."""
    here = Path(__file__).resolve().parents[2]
    for name in PACKAGES:
        loaded = sys.modules.get(name)
        origin = Path(str(getattr(loaded, "__file__", None) or here / name / "__init__.py"))
        if origin.resolve().parent != here / name:
            _fail(
                f"the package {name!r} comes from {origin.parent}, not from NRM Hub. "
                "Another distribution has overwritten it: use an environment of its own."
            )
