"""Codecs of everything that travels or is signed. The schemas are `schemas/wire/*.avsc`."""

from __future__ import annotations

from importlib import resources
from typing import Final

from schemas.avro import Codec

BATCH_LIMIT: Final = 64 * 1024 * 1024


def _codec(name: str, max_bytes: int = BATCH_LIMIT) -> Codec:
    text = resources.files("schemas").joinpath("wire", f"{name}.avsc").read_text("utf-8")
    return Codec(text, max_bytes=max_bytes)


HEADER: Final = _codec("Header", 4096)
BATCH_HEAD: Final = _codec("BatchHead", 4096)
SUBMISSION: Final = _codec("Submission")
SEALED_SUBMISSION: Final = _codec("SealedSubmission")
OUTCOME: Final = _codec("Outcome", 64 * 1024)
OUTCOME_BATCH: Final = _codec("OutcomeBatch")
SEALED_DELIVERIES: Final = _codec("SealedDeliveries")
DELIVERY: Final = _codec("Delivery")
AGENCY_EVIDENCE: Final = _codec("AgencyEvidence")
DELIVERED_COMPARTMENT: Final = _codec("DeliveredCompartment")
DELIVERY_BATCH: Final = _codec("DeliveryBatch")
RECEIPT: Final = _codec("Receipt")
SIGNED_RECEIPT: Final = _codec("SignedReceipt")
REGISTRY: Final = _codec("Registry")
SIGNED_REGISTRY: Final = _codec("SignedRegistry")
