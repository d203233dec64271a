"""Which of a partner's codes means ours, by their texts. Pure.

    ours                      theirs                         proposed
    F Female, M Male, …       1 Femme, 2 Homme, 9 Inconnu    F → 1, M → 2, U → 9, "*" → 9

By the code itself, by words of three languages for what many lists have, by labels that are almost
the same, and by a single letter that is the initial of one code alone. A code of ours without one
of theirs is told, never guessed: a delivery with it would wait in quarantine.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.database.definitions import Code
from connectors.mapping.event_codes import by_reference, codes_of
from connectors.workbench.naming import tokens
from schemas.compartments import Field

ENOUGH: Final = 0.75  # of 1: how sure one code's translation has to be
_LABELS: Final = 0.78  # of difflib, between labels

_SAME: Final = (
    "f, female, femme, feminin, mujer, femenino, woman, girl, fem, w",
    "m, male, homme, masculin, hombre, masculino, man, boy, h, masc",
    "x, another gender, autre genre, non binary, non binaire, diverse, third gender",
    "u, unknown, inconnu, inconnue, not known, n k, nk, not stated, not recorded, desconocido, "
    "non precise, unspecified, not specified, ns, unk, not stated or not known, missing",
    "other, autre, autres, otro, otra, divers, misc, miscellaneous, oth, others",
    "adult, majeur, majeure, mayor, mayor edad, adulte, adulto, over 18, 18 and over",
    "child, minor, mineur, mineure, menor, menor edad, enfant, under 18",
    "high, eleve, alto, haut, hi",
    "medium, moyen, medio, moderate, med, moderado",
    "low, faible, bajo, lo",
    "positive, positif, positivo, granted, accepted, accorde",
    "negative, negatif, negativo, refused, rejected, rejete, refuse",
    "safe house, shelter, foyer, refuge, casa segura, secure house, safehouse, centre hebergement",
    "hotel, hostel, hotel social",
    "foster care, foster, foster family, famille accueil, acogida, foster placement",
    "independent housing, independent, flat, apartment, appartement, piso, own flat",
    "self, self referral, auto, auto signalement, themselves, autoderivacion",
    "police, policia, gendarmerie, police referral",
    "hotline, helpline, ligne ecoute, linea telefonica, phone line",
    "outreach, street work, maraude, alcance, street outreach",
    "inspection, labour inspection, labour inspectorate, inspection travail",
    "sexual exploitation, exploitation sexuelle, explotacion sexual, sexual",
    "forced labour, travail force, trabajo forzoso, labour exploitation, forced labor, "
    "exploitation par le travail, labour",
    "domestic servitude, servitude, servitude domestique, servidumbre, servidumbre domestica",
    "forced begging, mendicite forcee, mendicite, mendicidad, mendicidad forzada, begging",
    "forced marriage, mariage force, matrimonio forzado",
    "organ removal, prelevement organes, extraccion organos, organ trafficking",
    "accommodation, safe accommodation, hebergement, alojamiento, housing, logement",
    "medical, health care, soins, soins medicaux, sante, atencion medica, health, medical care",
    "legal, legal aid, legal advice, aide juridique, assistance juridique, asistencia legal",
    "counselling, psychological support, psychological counselling, soutien psychologique, "
    "apoyo psicologico, psychosocial, psychosocial support, counseling",
    "interpretation, interpreting, interpretariat, interpretacion",
    "education, training, formation, educacion, school, ecole",
    "extreme, immediate, immediat, very high, tres eleve, muy alto, critical, critique",
)
UNKNOWN, OTHER = 3, 4
"""Each line means one thing: texts of three languages, without accents."""


_LINES: Final = tuple(frozenset(text.strip() for text in line.split(",")) for line in _SAME)


@dataclass(frozen=True)
class Translation:
    """Codes of ours → theirs. missing: ours without one. rest: theirs for every other, if any.

    as_is: the same codes on both sides, nothing to translate.
    """

    table: Mapping[str, Any] = field(default_factory=dict)
    missing: Sequence[str] = ()
    rest: Any = None
    as_is: bool = False

    @property
    def coverage(self) -> float:
        total = len(self.table) + len(self.missing)
        return 1.0 if self.as_is else len(self.table) / total if total else 0.0


def translate(of: Field, theirs: Sequence[Code]) -> Translation | None:
    """What is proposed for this field; None where nothing of it can be matched."""
    listed = codes_of(of)
    if not listed:
        return _reference(theirs) if by_reference(of) else None
    if {str(code.value) for code in theirs} >= set(listed):
        return Translation(as_is=True)
    table: dict[str, Any] = {}
    for code, label in listed.items():
        score, best = max(
            ((_score(code, label, one, listed), one) for one in theirs), key=lambda pair: pair[0]
        )
        if score >= ENOUGH:
            table[code] = best.value
    if not table:
        return None
    rest = next(
        (one.value for line in (UNKNOWN, OTHER) for one in theirs if line in _meaning(one)), None
    )
    return Translation(table, [one for one in listed if one not in table], rest)


def _reference(theirs: Sequence[Code]) -> Translation | None:
    """ISO codes: the same on both sides, or a column of the lookup table beside an own number."""
    if all(isinstance(one.value, str) and len(one.value) in (2, 3) for one in theirs):
        return Translation(as_is=True)
    table = {}
    for one in theirs:
        parts = [part for part in one.label.split(" | ") if len(part) == 2 and part.isupper()]
        if parts:
            table[parts[0]] = one.value
    return Translation(table) if len(table) >= len(theirs) * 0.8 else None


def _score(code: str, label: str, theirs: Code, listed: Mapping[str, str]) -> float:
    texts = {_plain(str(theirs.value)), *map(_plain, theirs.label.split(" | "))} - {""}
    mine = {_plain(code), _plain(label)}
    if mine & texts:
        return 1.0
    if _means(code, label) & _meaning(theirs):
        return 0.95
    close = max(difflib.SequenceMatcher(None, a, b).ratio() for a in mine for b in texts)
    if close >= _LABELS:
        return close
    return 0.8 if _initial(code, theirs, listed) else 0.0


def _initial(code: str, theirs: Code, listed: Mapping[str, str]) -> bool:
    letter = str(theirs.value).lower()
    if len(letter) != 1 or not letter.isalpha() or theirs.label != str(theirs.value):
        return False
    return [one for one in listed if one.lower().startswith(letter)] == [code]


def _plain(text: str) -> str:
    return " ".join(tokens(text)) or text.strip().lower()


def _meaning(code: Code) -> set[int]:
    found = _means(*code.label.split(" | "))
    return found or _means(str(code.value))


def _means(*texts: str) -> set[int]:
    """Numbers of the lines of `_SAME` that have one of these texts."""
    plain = {_plain(text) for text in texts}
    return {number for number, line in enumerate(_LINES) if line & plain}
