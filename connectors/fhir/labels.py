"""Labels: how sensitive a resource is, for servers and viewers that act on security labels.

Confidentiality is R (restricted), or V (very restricted) with a category whose disclosure puts a
person in danger. Beside it stand HL7's sensitivity codes where one says what a category is, the
hub's own code of each category held, and NORDSCLCD, no redisclosure without consent, where some of
it rests on a consent. A label goes when what it is about is recalled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from connectors.fhir.names import CATEGORY

CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
VERY_RESTRICTED: Final = frozenset(
    {
        "identity", "contact", "location_safe", "location_exploitation", "protection", "health",
        "criminal_justice", "alleged_offence", "family", "linkage",
    }
)  # fmt: skip
SENSITIVITY: Final[Mapping[str, tuple[str, ...]]] = {
    "identity": ("DEMO",),
    "demographics": ("DEMO",),
    "location_safe": ("LOCIS", "LIVARG"),
    "location_exploitation": ("LOCIS",),
    "protection": ("SDV",),
    "deidentified_account": ("SDV",),
    "employment": ("EMPL",),
}


def security(bases: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """meta.security of a resource made from events with these bases by category."""
    held = [pair for one in bases for pair in one.items()]
    categories = sorted({category for category, _ in held})
    codes = {code for category in categories for code in SENSITIVITY.get(category, ())}
    if any(basis.startswith("consent") for _, basis in held):
        codes.add("NORDSCLCD")
    level = "V" if VERY_RESTRICTED & set(categories) else "R"
    return [
        {"system": CONFIDENTIALITY, "code": level},
        *({"system": ACT_CODE, "code": code} for code in sorted(codes)),
        *({"system": CATEGORY, "code": category} for category in categories),
    ]
