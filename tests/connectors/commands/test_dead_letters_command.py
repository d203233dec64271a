"""`nrm-hub connector discard`: refused with a reason, or done and told."""

from __future__ import annotations

import json
from pathlib import Path

from connectors.conformance import batch, poison
from connectors.settings import load_settings
from connectors.sql import SqlSink
from hub.topics import Message, Topics
from tests.connectors.builder import MiniHub, case_opened, encode
from tests.connectors.commands.saying import delivered, said


def test_discard_by_command(hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path) -> None:
    delivered(hub, topics, tmp_path, spoil=True)
    said("connector", "run", partner, "--once")
    shown = said("connector", "quarantine", partner)
    assert "the hub's operator" in shown
    [row] = json.loads(said("connector", "quarantine", partner, "--json"))
    assert (row["row"], row["sequence"], row["reason"]) == (1, 1, "compartment_unopenable")
    assert "Invalid value" in said(
        "connector", "discard", partner, 1, "--reason", "because", code=2
    )
    assert "at most 200" in said(
        "connector", "discard", partner, 1, "--reason", "unreadable", "--note", "x" * 201, code=1
    )
    assert "is not waiting" in said(
        "connector", "discard", partner, 7, "--reason", "unreadable", code=1
    )
    done = said("connector", "discard", partner, 1, "--reason", "unreadable", "--note", "lost")
    assert "could not be read" in done
    assert "Nothing" in said("connector", "quarantine", partner)
    everything = said("connector", "quarantine", partner, "--all")
    assert "discarded_unreadable" in everything
    assert "was compartment_unopenable; lost" in everything
    said("connector", "run", partner, "--once")
    [*_, last] = topics.read("nrm.receipts", None, 10, 0)
    [line] = hub.receipt(last.value)["exceptions"]
    assert (line["outcome"], line["detail"]) == ("quarantined", "discarded_unreadable")


def test_a_recall_that_can_be_read_is_not_discarded(
    hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path
) -> None:
    """It was set aside because the partner's system refused it: it still has to be answered."""
    shelter = hub.enrol(tmp_path, "SH-1", "shelter")
    [event] = hub.stated(shelter, case_opened())
    recall = {**hub.recall("POL-1", [(event, event.categories)]), "sequence": 1}
    settings = load_settings(partner)
    sink = SqlSink(str(settings.sink.url), "POL-1", hub.hub_id)
    sink.prepare()
    sink.claim()
    sink.apply(batch(poison(1, raw=encode(recall))))
    sink.close()
    topics.append("nrm.registry", [Message(hub.registry())])
    refused = said("connector", "discard", partner, 1, "--reason", "not_needed", code=1)
    assert "has to be answered" in refused
    assert "1 applied" in said("connector", "redrive", partner)
