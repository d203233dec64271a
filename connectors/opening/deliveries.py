"""Steps 5 to 8 of opening: what lay in a box becomes deliveries that can be trusted, or poison.

    5 decodes, complete           7 compartments: released, open, under the signed root
    6 the agency's evidence       8 content decodes under the schema the header names

Step 6 is `connectors/opening/stated.py`, steps 7 and 8 are `connectors/opening/disclosed.py`.

A step is taken with a run of deliveries before the next step is: what it needs stays in the
processor's caches, which is an eighth of the time of opening (measured). What stands in the way of
one delivery stands in no other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from connectors.agency.enrolment import HubKey
from connectors.delivery import Arrived, Poison, Recall
from connectors.opening.disclosed import content, disclosed
from connectors.opening.evidence import Disclosed, statement
from connectors.opening.stated import Statements, evidence_in, valid_at
from connectors.opening.unreadable import Unreadable
from schemas import wire
from schemas.avro import AvroError
from schemas.registry import EventSchema, SchemaError, Schemas

RUN: Final = 50
_NEEDED: Final = ("event_ref", "event_type", "schema", "occurred_at")


class _Delivery:
    """One delivery on its way through the steps. item: what it became, once that is known."""

    __slots__ = (
        "event_ref",
        "given",
        "header",
        "item",
        "parts",
        "raw",
        "schema",
        "sequence",
        "told",
    )

    told: dict[str, Any]
    schema: EventSchema
    given: dict[str, Any] | None
    header: dict[str, Any] | None
    parts: list[Disclosed]

    def __init__(self, sequence: int, raw: bytes) -> None:
        self.sequence = sequence
        self.raw = raw
        self.event_ref = ""
        self.item: Arrived | Poison | None = None


class Deliveries:
    """Reads deliveries to one recipient. Not for use by several threads at once."""

    def __init__(self, statements: Statements, schemas: Schemas) -> None:
        self._statements = statements
        self._schemas = schemas

    def read(
        self, first: int, raws: Sequence[bytes], hub_key: HubKey | None
    ) -> list[Arrived | Poison]:
        """One item for each, from sequence `first` on.

        hub_key: they were signed with it; None if they come from elsewhere, and are read strictly.
        """
        items: list[Arrived | Poison] = []
        for at in range(0, len(raws), RUN):
            items += self._run(first + at, raws[at : at + RUN], hub_key)
        return items

    def _run(
        self, first: int, raws: Sequence[bytes], hub_key: HubKey | None
    ) -> list[Arrived | Poison]:
        run = [_Delivery(sequence, raw) for sequence, raw in enumerate(raws, first)]
        items = []
        for step in (self._decode, self._state, self._disclose, self._tell):
            for one in run:
                if one.item is None:
                    try:
                        step(one, hub_key)
                    except Unreadable as wrong:
                        one.item = Poison(
                            one.sequence, wrong.reason, wrong.detail, one.raw, one.event_ref
                        )
        for one in run:
            assert one.item is not None
            items.append(one.item)
        return items

    def _decode(self, one: _Delivery, hub_key: HubKey | None) -> None:
        # (5) Decodes, complete.
        try:
            told = one.told = wire.DELIVERY.unsingle(one.raw, trusted=hub_key is not None)
        except AvroError:
            raise Unreadable("delivery_malformed") from None
        one.event_ref = told["event_ref"] or ""
        if told["sequence"] != one.sequence:
            raise Unreadable("wrong_sequence", f"it says {told['sequence']}")
        if hub_key is not None and not valid_at(hub_key, told["decision"]):
            raise Unreadable("hub_key_not_valid")
        if told["kind"] == "recall":
            one.item = _recall(told, one.raw)
            return
        if told["recall"] is not None or any(told[name] is None for name in _NEEDED):
            raise Unreadable("delivery_incomplete", "a release without its event")
        if (told["evidence"] is None) != (told["agency"] is None):
            raise Unreadable("delivery_incomplete", "an agency without evidence, or the reverse")
        schema = self._schemas.by_id(told["schema"])
        if schema is None or schema.type != told["event_type"]:
            raise Unreadable("unknown_schema", f"{told['event_type']}")
        one.schema = schema

    def _state(self, one: _Delivery, hub_key: HubKey | None) -> None:
        # (6) The agency's evidence stands, when there is any.
        signed = hub_key is not None
        given = one.given = evidence_in(one.told, signed)
        one.header = None if given is None else self._statements.header(one.told, given, signed)

    def _disclose(self, one: _Delivery, hub_key: HubKey | None) -> None:
        # (7) Compartments: released, open, under the signed root.
        told = one.told
        told["bases"] = {entry["category"]: entry["basis"] for entry in told["bases"]}
        one.parts = disclosed(told, one.header, told["bases"], hub_key is not None)

    def _tell(self, one: _Delivery, hub_key: HubKey | None) -> None:
        # (8) Content decodes. What stands under an agency's signed root was read strictly at
        # admission.
        trusted = hub_key is not None and one.header is not None
        try:
            fields = content(one.schema, {p.name: p.body for p in one.parts}, trusted=trusted)
        except (AvroError, SchemaError, ValueError):
            raise Unreadable("content_malformed") from None
        told = one.told
        one.item = Arrived(
            sequence=told["sequence"],
            kind="release",
            case_ref=told["case_ref"],
            subject_ref=told["subject_ref"],
            decision=told["decision"],
            event_ref=told["event_ref"],
            event_type=told["event_type"],
            schema_id=told["schema"],
            agency=told["agency"],
            occurred_at=told["occurred_at"],
            categories=tuple(fields),
            fields=fields,
            bases=told["bases"],
            evidence=None if one.given is None else statement(one.given, one.parts),
            raw=one.raw,
        )


def _recall(told: dict[str, Any], raw: bytes) -> Arrived:
    recall = told["recall"]
    if recall is None or told["compartments"] or told["event_ref"] is not None:
        raise Unreadable("delivery_incomplete", "a recall without its items")
    return Arrived(
        sequence=told["sequence"],
        kind="recall",
        case_ref=told["case_ref"],
        subject_ref=told["subject_ref"],
        decision=told["decision"],
        recall=Recall(
            recall["recall_ref"],
            recall["action"],
            recall["due"],
            tuple((i["event_ref"], tuple(i["categories"])) for i in recall["items"]),
        ),
        raw=raw,
    )
