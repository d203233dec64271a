"""Codecs of everything that travels or is signed. The schemas are `schemas/wire/*.avsc`.

Limits are of one message. Items are bounded before a signature can be checked, since whoever may
write to a topic could otherwise spend the reader's memory (`schemas/scan.py`).
"""

from __future__ import annotations

import json
from importlib import resources
from itertools import pairwise
from typing import Final

from schemas.avro import DEFAULT_ITEMS, Codec

DISCARDED: Final = "discarded_"
"""How a quarantine's detail starts in a receipt once the recipient has discarded the delivery."""

MESSAGE_LIMIT: Final = 8 * 1024 * 1024  # the largest a topic takes
BATCH_LIMIT: Final = 64 * 1024 * 1024
# A batch of 2,000 events of 64 compartments each (docs/admission.md, steps 1 and 4).
SUBMISSION_ITEMS: Final = 2_000 * 65


def _text(name: str) -> str:
    return resources.files("schemas").joinpath("wire", f"{name}.avsc").read_text("utf-8")


def _codec(name: str, max_bytes: int = BATCH_LIMIT, max_items: int = DEFAULT_ITEMS) -> Codec:
    return Codec(_text(name), max_bytes=max_bytes, max_items=max_items, known_good=True)


def _parts(name: str, *starts: str) -> tuple[Codec, ...]:
    """A record's fields in consecutive parts, the later ones starting with these fields.

    Avro encodes a record as its fields one after the other, so the parts' encodings make the
    whole's: what many are told alike can be encoded once.
    """
    schema = json.loads(_text(name))
    fields = [field["name"] for field in schema["fields"]]
    cuts = [0, *map(fields.index, starts), len(fields)]
    return tuple(
        Codec(
            {**schema, "name": f"{name}{cut}", "fields": schema["fields"][cut:end]},
            known_good=True,
        )
        for cut, end in pairwise(cuts)
    )


HEADER: Final = _codec("Header", 4096)
BATCH_HEAD: Final = _codec("BatchHead", 4096)
SUBMISSION: Final = _codec("Submission", max_items=SUBMISSION_ITEMS)
SEALED_SUBMISSION: Final = _codec("SealedSubmission")
OUTCOME: Final = _codec("Outcome", 64 * 1024)
IN_FLIGHT: Final = _codec("InFlight", 64 * 1024)
OUTCOME_BATCH: Final = _codec("OutcomeBatch")
SEALED_DELIVERIES: Final = _codec("SealedDeliveries")
DELIVERY: Final = _codec("Delivery")
# Who it is for, what was stated and by whom, and what of it is released.
DELIVERY_TO, DELIVERY_ABOUT, DELIVERY_WHAT = _parts("Delivery", "recorded", "compartments")
AGENCY_EVIDENCE: Final = _codec("AgencyEvidence")
DELIVERED_COMPARTMENT: Final = _codec("DeliveredCompartment")
DELIVERY_BATCH: Final = _codec("DeliveryBatch")
RECEIPT: Final = _codec("Receipt", MESSAGE_LIMIT)
SIGNED_RECEIPT: Final = _codec("SignedReceipt", MESSAGE_LIMIT)
REGISTRY: Final = _codec("Registry")
SIGNED_REGISTRY: Final = _codec("SignedRegistry")
