"""Which of a partner's codes means ours, by their texts. Pure.

    ours                      theirs                         proposed
    F Female, M Male, …       1 Femme, 2 Homme, 9 Inconnu    F → 1, M → 2, U → 9, "*" → 9

By the code itself, by words of four languages for what many lists have, by labels that are almost
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
    "f, female, femme, feminin, mujer, femenino, woman, girl, fem, w, weiblich, frau, mädchen",
    "m, male, homme, masculin, hombre, masculino, man, boy, h, masc, männlich, mann, junge, varon",
    "x, another gender, autre genre, non binary, non binaire, diverse, third gender, "
    "no binario, no binaria, divers, nicht binär",
    "u, unknown, inconnu, inconnue, not known, n k, nk, not stated, not recorded, desconocido, "
    "non precise, unspecified, not specified, ns, unk, not stated or not known, missing, "
    "no consta, sin datos, unbekannt, keine angabe, nicht bekannt, ohne angabe",
    "other, autre, autres, otro, otra, divers, misc, miscellaneous, oth, others, "
    "otras, sonstige, sonstiges, andere, anderes",
    "adult, majeur, majeure, mayor, mayor edad, adulte, adulto, over 18, 18 and over, "
    "mayor de edad, adulta, erwachsen, erwachsene, volljährig, erwachsener",
    "child, minor, mineur, mineure, menor, menor edad, enfant, under 18, "
    "menor de edad, kind, minderjährig, minderjährige, jugendlich",
    "high, eleve, alto, haut, hi, alta, hoch",
    "medium, moyen, medio, moderate, med, moderado, media, mittel",
    "low, faible, bajo, lo, baja, niedrig, gering",
    "positive, positif, positivo, granted, accepted, accorde, "
    "favorable, estimado, estimada, positiva, stattgegeben, anerkannt, bewilligt",
    "negative, negatif, negativo, refused, rejected, rejete, refuse, "
    "desfavorable, desestimado, desestimada, negativa, abgelehnt",
    "safe house, shelter, foyer, refuge, casa segura, secure house, safehouse, "
    "centre hebergement, "
    "casa de acogida, piso protegido, piso tutelado, schutzwohnung, schutzunterkunft, frauenhaus",
    "hotel, hostel, hotel social",
    "foster care, foster, foster family, famille accueil, acogida, foster placement, "
    "familia de acogida, acogimiento familiar, pflegefamilie, pflegestelle",
    "independent housing, independent, flat, apartment, appartement, piso, own flat, wohnung, "
    "eigene wohnung, piso propio",
    "self, self referral, auto, auto signalement, themselves, autoderivacion, "
    "propia victima, iniciativa propia, selbst, selbstmeldung, selbstmelder",
    "police, policia, gendarmerie, police referral, polizei",
    "hotline, helpline, ligne ecoute, linea telefonica, phone line, "
    "linea de ayuda, telefono de ayuda, hilfetelefon, beratungstelefon",
    "outreach, street work, maraude, alcance, street outreach, streetwork, "
    "aufsuchende arbeit, trabajo de calle",
    "inspection, labour inspection, labour inspectorate, inspection travail, "
    "inspeccion de trabajo, inspeccion, arbeitsinspektion",
    "sexual exploitation, exploitation sexuelle, explotacion sexual, sexual, sexuelle ausbeutung",
    "forced labour, travail force, trabajo forzoso, labour exploitation, forced labor, "
    "exploitation par le travail, labour, "
    "explotacion laboral, zwangsarbeit, arbeitsausbeutung, ausbeutung der arbeitskraft",
    "domestic servitude, servitude, servitude domestique, servidumbre, servidumbre domestica, "
    "häusliche dienstbarkeit, leibeigenschaft, dienstbarkeit",
    "forced begging, mendicite forcee, mendicite, mendicidad, mendicidad forzada, begging, "
    "bettelei, erzwungene bettelei",
    "forced marriage, mariage force, matrimonio forzado, zwangsheirat, zwangsehe",
    "organ removal, prelevement organes, extraccion organos, organ trafficking, "
    "extraccion de organos, organentnahme, organhandel",
    "accommodation, safe accommodation, hebergement, alojamiento, housing, logement, "
    "unterkunft, unterbringung, wohnen",
    "medical, health care, soins, soins medicaux, sante, atencion medica, health, medical care, "
    "salud, atencion sanitaria, gesundheit, medizinische versorgung, medizinische hilfe",
    "legal, legal aid, legal advice, aide juridique, assistance juridique, asistencia legal, "
    "asistencia juridica, rechtsberatung, rechtsbeistand, rechtliche hilfe",
    "counselling, psychological support, psychological counselling, soutien psychologique, "
    "apoyo psicologico, psychosocial, psychosocial support, counseling, "
    "atencion psicologica, psychologische beratung, psychosoziale beratung",
    "interpretation, interpreting, interpretariat, interpretacion, dolmetschen, sprachmittlung",
    "education, training, formation, educacion, school, ecole, "
    "formacion, bildung, ausbildung, schule",
    "extreme, immediate, immediat, very high, tres eleve, muy alto, critical, critique, "
    "muy alta, extremo, sehr hoch, akut",
)
UNKNOWN, OTHER = 3, 4
"""Each line means one thing: texts of four languages."""


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
    by_value = {str(code.value): code for code in theirs}
    if by_value.keys() >= listed.keys() and not any(
        _means_another(code, label, by_value[code]) for code, label in listed.items()
    ):
        return Translation(as_is=True)
    table: dict[str, Any] = {}
    for code, label in listed.items():
        scored = [(_score(code, label, one, listed), one) for one in theirs]
        score, best = max(scored, key=lambda pair: pair[0])
        if score >= ENOUGH and not _ambiguous(best, [one for s, one in scored if s >= ENOUGH]):
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
    if _means_another(code, label, theirs):
        return 0.0
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


def _means_another(code: str, label: str, theirs: Code) -> bool:
    """Whether a label says otherwise than the code: of "M Mujer, H Hombre" no M is a man."""
    said = set() if _bare(theirs) else _means(*theirs.label.split(" | "))
    ours = _means(code, label)
    return bool(said and ours and not said & ours)


def _ambiguous(best: Code, candidates: Sequence[Code]) -> bool:
    """A letter alone, beside another that says the same: in a list of H and M, whose is the M?"""
    return len(candidates) > 1 and len(str(best.value)) == 1 and _bare(best)


def _bare(code: Code) -> bool:
    """Whether nothing says what it is called."""
    return code.label in ("", str(code.value))


def _initial(code: str, theirs: Code, listed: Mapping[str, str]) -> bool:
    letter = str(theirs.value).lower()
    if len(letter) != 1 or not letter.isalpha() or theirs.label != str(theirs.value):
        return False
    return [one for one in listed if one.lower().startswith(letter)] == [code]


def _plain(text: str) -> str:
    return " ".join(tokens(text)) or text.strip().lower()


_LINES: Final = tuple(frozenset(map(_plain, line.split(","))) for line in _SAME)


def _meaning(code: Code) -> set[int]:
    found = _means(*code.label.split(" | "))
    return found or _means(str(code.value))


def _means(*texts: str) -> set[int]:
    """Numbers of the lines of `_SAME` that have one of these texts."""
    plain = {_plain(text) for text in texts}
    return {number for number, line in enumerate(_LINES) if line & plain}
