"""`nrm-verify bundle.zip`: what a bundle proves, what it does not, and what that rests on."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from nrm_verify import FORMAT, __version__, told
from nrm_verify.container import LARGEST_FILE
from nrm_verify.failure import EXITS, STEPS, USAGE, Failure
from nrm_verify.log import Checkpoint, Key, Malformed, Trust, witness_keys
from nrm_verify.verify import Report, verify

FAULT = 1  # this program failed; nothing is proved
_LARGEST_TEXT = 1_000_000

_CODES = """exit codes:
  0 verifies                          6 something in it is not in the log
  1 a fault of this program           7 decision, delivery or claim not what rules and rows say
  2 wrong use, or a file unreadable   8 made by a newer version
  3 not a bundle, or too large        9 another log, or another key than the one given
  4 damaged                          10 the log was forked
  5 a signature fails
"""


class Unusable(Exception):
    """An option or file is not usable; the text says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        trust = _trust(options)
        data = _bytes(options.bundle, LARGEST_FILE + 1)
        report = verify(data, trust, _progress)
        text = _text(options.bundle, report, everything=options.all)
    except Unusable as wrong:
        print(f"nrm-verify: {wrong}", file=sys.stderr)
        return USAGE
    except Failure as failure:
        _clear()
        _tell_failure(failure, as_json=options.json)
        return failure.exit
    except Exception as fault:  # never a traceback: the name of the fault is enough to report it
        print(f"nrm-verify: a fault of this program ({type(fault).__name__}); nothing is proved. "
              "Report it with the file's digest.", file=sys.stderr)  # fmt: skip
        return FAULT
    _clear()
    print(told.as_json(report) if options.json else _plain(text))
    return 0


def _plain(text: str) -> str:
    """Without control characters: names in a forged file may hold any."""
    return "".join(
        one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nrm-verify",
        description="Check an evidence bundle of an NRM Hub, offline.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, help="the file")
    parser.add_argument("--log-key", metavar="VKEY", help="the log's key, or a file that holds it")
    parser.add_argument(
        "--witness", metavar="VKEY", action="append", default=[], help="a witness's key (several)"
    )
    parser.add_argument(
        "--quorum", type=int, metavar="N", help="how many of them must have cosigned (all)"
    )
    parser.add_argument(
        "--earlier", type=Path, metavar="FILE", help="a checkpoint of this log that you kept"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("--all", action="store_true", help="print every claim")
    parser.add_argument(
        "--version", action="version", version=f"nrm-verify {__version__}, {FORMAT}"
    )
    return parser


def _trust(options: argparse.Namespace) -> Trust:
    try:
        witnesses = witness_keys(map(_key, options.witness))
        trust = Trust(
            log_key=Key.parse(_key(options.log_key)) if options.log_key else None,
            witnesses=witnesses,
            quorum=len({one.name for one in witnesses})
            if options.quorum is None
            else options.quorum,
        )
    except Malformed as wrong:
        raise Unusable(f"a key is not usable: {wrong}") from None
    if trust.quorum < 0:
        raise Unusable("--quorum is a number of witnesses, 0 or more")
    if options.earlier is not None:
        try:
            trust.earlier = Checkpoint.parse(_bytes(options.earlier, _LARGEST_TEXT))
        except Malformed as wrong:
            raise Unusable(f"{options.earlier} is no checkpoint: {wrong}") from None
    return trust


def _key(given: str) -> str:
    """A key as given, or as a file has it: operators hand out both."""
    if "+" in given:
        return given
    return _bytes(Path(given), _LARGEST_TEXT).decode("utf-8", "replace")


def _bytes(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as wrong:
        raise Unusable(f"{path} cannot be read: {wrong.strerror}") from None


def _text(path: Path, report: Report, *, everything: bool) -> str:
    manifest = report.manifest
    assert manifest is not None
    lines = [
        f"{path.name}: {FORMAT}, {manifest.kind} of log {manifest.origin}, as of position "
        f"{manifest.as_of} of {manifest.tree_size}",
        "",
        *(f"{number:>3}  {STEPS[number]:<20} {result}" for number, result in report.steps),
        "",
        "What it shows, by log position",
    ]
    shown = list(told.claims(report))
    lines += shown if everything else shown[: told.SHOWN]
    if len(shown) > told.SHOWN and not everything:
        lines.append(f"           and {len(shown) - told.SHOWN} more: --all")
    lines.append("")
    lines += [f"  {one}" for one in told.summary(report)]
    lines += ["", "What it cannot prove", *(f"  -  {one}" for one in told.unproved(report))]
    lines += ["", "What that rests on", *(f"  -  {one}" for one in told.rests_on(report))]
    return "\n".join([*lines, "", "VERIFIES"])


def _tell_failure(failure: Failure, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({
            "verifies": False, "step": failure.step, "name": STEPS[failure.step],
            "code": failure.code, "exit": EXITS[failure.code], "text": failure.text,
        }, ensure_ascii=False))  # fmt: skip
    else:
        print(_plain(f"DOES NOT VERIFY: {failure}"))


def _progress(number: int, name: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{number:>3}  {name} …", end="", file=sys.stderr, flush=True)


def _clear() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def run() -> None:
    """The console script."""
    sys.exit(main())
