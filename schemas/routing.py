"""Routing: who an event concerns, in a compartment of its own that no partner is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.avro import Codec
from schemas.compartments import SchemaError
from schemas.texts import ValueProblem, code, reference

ROUTING_NAME: Final = "routing"
ROUTING: Final = Codec(
    {
        "type": "record",
        "name": "Routing",
        "namespace": "nrm.case",
        "fields": [
            {"name": "case", "type": "string"},
            {"name": "subject", "type": "string"},
            {"name": "addressed", "type": ["null", "string"]},
        ],
    }
)


@dataclass(frozen=True)
class Routing:
    """Who is concerned: the case, the person, and the agency addressed, if any."""

    case: str
    subject: str
    addressed: str | None = None


def encode_routing(routing: Routing) -> bytes:
    """The compartment's body. SchemaError for references that are none."""
    check_routing(routing)
    return ROUTING.encode(
        {"case": routing.case, "subject": routing.subject, "addressed": routing.addressed}
    )


def check_routing(routing: Routing) -> None:
    """SchemaError unless each part is a proper reference."""
    try:
        reference(routing.case)
        reference(routing.subject)
    except ValueProblem as problem:
        raise SchemaError(str(problem), "case or subject") from None
    try:
        if routing.addressed is not None:
            code(routing.addressed)
    except ValueProblem as problem:
        raise SchemaError(str(problem), "addressed") from None
