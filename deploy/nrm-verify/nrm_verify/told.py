"""What a verified bundle says, in words and as JSON: claims, their limits, what they rest on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nrm_verify.failure import STEPS
from nrm_verify.manifest import ABSENCE, Manifest
from nrm_verify.rows import SENDING, SETTLED, Row
from nrm_verify.verify import Report

SHOWN = 60  # lines of claims on a screen; --all and --json have all of them


def claims(report: Report) -> Iterator[str]:
    """One line for each thing the file shows, in the order of the log."""
    told: list[tuple[int, str]] = [
        (position, f"{one.row.value['emitter']} said {one.row.value['event_type']}, signed")
        for position, one in report.statements.items()
    ]
    for row in report.rows:
        if row.topic == SETTLED:
            told.append((row.position, _decided(row)))
        elif row.topic == SENDING:
            told.append((row.position, _sent(row)))
    for one in report.receipts:
        more = f"; but: {', '.join(one.exceptions)}" if one.exceptions else ""
        more += f" and {one.others} more" if one.others else ""
        told.append(
            (one.position, f"{one.agency} signed for deliveries {one.first} to {one.last}{more}")
        )
    for part in report.content:
        text = f"opened: {part.name}, {len(part.body)} bytes, as signed"
        told.append((part.position, text))
    yield from (f"{position:>9}  {text}" for position, text in sorted(told, key=lambda t: t[0]))


def _decided(row: Row) -> str:
    record = row.json("settlement")
    released = {
        agency: sorted(name for name, one in outcomes.items() if isinstance(one, str))
        for agency, outcomes in record.get("decided", {}).items()
    }
    parts = [f"{agency} ({', '.join(names)})" for agency, names in released.items() if names]
    text = f"decided on {row.value['position']}: released to {', '.join(parts) or 'nobody'}"
    caught = [f"{agency} ({len(events)})" for agency, events in record.get("backfill", {}).items()]
    if caught:
        text += f"; earlier events to {', '.join(caught)}"
    recalled = [one["to"] for one in record.get("recalls", ())]
    return text + (f"; recalled from {', '.join(recalled)}" if recalled else "")


def _sent(row: Row) -> str:
    value, items = row.value, row.json("items")
    to = f"delivery {row.version} to {value['agency']}"
    if value["kind"] == "recall":
        return f"{to}: recall of {len(items['items'])} events, {items['action']}"
    bases = ", ".join(f"{name} ({basis})" for name, basis in sorted(items["bases"].items()))
    return f"{to}: event {value['event_position']}, {bases}"


def summary(report: Report) -> Iterator[str]:
    """The result in a few lines."""
    manifest = report.manifest
    assert manifest is not None
    if report.statements:
        yield f"{len(report.statements)} events, each signed by its agency"
    if report.decided is not None:
        one = report.decided
        yield (
            f"{one.events} decisions made again with the same result: "
            f"{one.answers} answers, {one.released} of them releases"
        )
    sent = report.sent
    yield (
        f"{sent.releases} deliveries, {sent.recalls} recalls, {sent.held_back} parts held back "
        f"before sending, {sent.waiting} not sent by position {manifest.as_of}"
    )
    yield f"{len(report.receipts)} receipts signed by partners"
    if manifest.holder is not None:
        yield f"{len(report.content)} parts opened, held by {manifest.holder}"
    if report.absence is not None:
        one_ = report.absence
        what = "nothing" if one_.categories is None else "nothing of " + ", ".join(one_.categories)
        yield (
            f"ABSENCE: as of position {manifest.as_of}, {what} of case {one_.case} was released to "
            f"{one_.agency}; {one_.decisions} decisions and {one_.deliveries} deliveries say so"
        )
        if one_.own:
            yield f"{one_.agency} itself published {one_.own} events of the case"


def unproved(report: Report) -> Iterator[str]:
    """What this file cannot show, always said."""
    manifest = report.manifest
    assert manifest is not None
    yield f"that no row follows in these streams up to position {manifest.as_of}: the hub signed it"
    yield "that the register of agencies is whole: the hub signed that too"
    if report.decided is None:
        yield "the decisions: a bundle for a holder does not hold what was decided about others"
    elif report.decided.ages_recorded:
        yield (
            f"the person's age in {report.decided.ages_recorded} of {report.decided.events} "
            "decisions: it may rest on a sealed date of birth and is taken as recorded"
        )
    if manifest.kind == ABSENCE:
        yield "that nothing was shared outside the log (docs/evidence.md 7)"
    yield (
        "that an event's plain facts, case and categories are what its agency committed to, where "
        "the part is not opened here: the hub read them; the agency's own copy would tell"
    )
    yield "when it was: times of recording and sending are the hub's, of events the agencies'"
    yield "that what was said is true, and who the person is"
    yield "officers' signatures on policy profiles (nrm-hub audit verify, at the hub)"
    if report.trust.history.startswith("not provable"):
        yield f"that history was not rewritten: {report.trust.history}"
    elif report.trust.earlier is None:
        yield "that history was not rewritten: no earlier checkpoint was given (--earlier)"


def rests_on(report: Report) -> Iterator[str]:
    """The trust anchors."""
    trust = report.trust
    assert trust.key is not None
    if trust.log_key is not None:
        yield f"the log's key you gave: {trust.key.text}"
    else:
        yield (
            f"A KEY THAT CAME ONLY FROM INSIDE THE FILE: {trust.key.text}\n"
            "     Anybody can make a file that agrees with itself. Compare this key, letter by\n"
            "     letter, with the one the hub's operator gives you; then use --log-key."
        )
    if trust.cosigned:
        yield f"witnesses you named, who cosigned: {', '.join(trust.cosigned)}"
    elif trust.witnesses:
        yield "none of the witnesses you named: they have not cosigned"
    if trust.history and not trust.history.startswith("not provable"):
        yield f"the earlier checkpoint you gave: {trust.history}"


def as_json(report: Report) -> str:
    manifest = report.manifest
    assert manifest is not None
    assert report.trust.key is not None
    return json.dumps(
        {
            "verifies": True,
            "origin": manifest.origin,
            "kind": manifest.kind,
            "holder": manifest.holder,
            "scope": _scope(manifest),
            "as_of": manifest.as_of,
            "tree_size": manifest.tree_size,
            "steps": [
                {"step": number, "name": STEPS[number], "result": result}
                for number, result in report.steps
            ],
            "claims": [line.strip() for line in claims(report)],
            "summary": list(summary(report)),
            "not_proved": list(unproved(report)),
            "log_key": report.trust.key.text,
            "log_key_given": report.trust.log_key is not None,
            "witnesses": report.trust.cosigned,
            "history": report.trust.history,
        },
        ensure_ascii=False,
        indent=1,
    )


def _scope(manifest: Manifest) -> Mapping[str, Any]:
    scope = manifest.scope
    return {"case": scope.case, "event": scope.event, "agency": scope.agency} | (
        {"categories": scope.categories} if manifest.kind == ABSENCE else {}
    )
