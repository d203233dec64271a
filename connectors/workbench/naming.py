"""How alike a column's name and a field's are: words of four languages, taken as concepts.

    "DateNaissance" → date, naissance → birth_date ← birth, date ← "date_of_birth"
    "Risikostufe"   → risiko, stufe   → risk_level ← risk, level

Pure. A name becomes tokens, tokens become concepts by the longest phrase known (`words.py` and
`german.py` beside this), and two names are as alike as their concepts. A token nobody knows stands
for itself, and counts as another one if they are spelled almost the same.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from connectors.workbench.german import GERMAN
from connectors.workbench.words import ABBREVIATED, ARTICLES, EMPTY, WORDS

NEAR: Final = 0.86  # of difflib: "adress" and "address", not "reason" and "region"
SHORTEST: Final = 3  # "Art", "Ort"
FEWEST_ALIKE, OTHERWISE_NAMED = 4, 3
"""A prefix is shared by so many columns at least, and by all but so many: a key, our reference."""
_SPLIT: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


_UMLAUTS: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"}
)
_JOINTS: Final = ("", "s", "n", "en", "es")  # what German puts between two words it writes as one


def _plain(name: str) -> str:
    composed = unicodedata.normalize("NFKC", name).translate(_UMLAUTS)
    return unicodedata.normalize("NFKD", composed).encode("ascii", "ignore").decode()


_STEMS: Final = frozenset(
    word for phrases in GERMAN.values() for word in re.findall("[a-z]{3,}", _plain(phrases).lower())
)


@lru_cache(maxsize=20_000)
def tokens(name: str) -> tuple[str, ...]:
    """Words of a name: camel case, underscores and German compounds parted, accents, case and
    articles gone."""
    words = (part for word in _SPLIT.findall(_plain(name)) for part in _parted(word.lower()))
    return tuple(ABBREVIATED.get(word, word) for word in words if word not in ARTICLES)


def _parted(word: str) -> tuple[str, ...]:
    """The words a German one is made of, the longest first; the word itself if one is unknown."""
    if word in _STEMS or len(word) < 2 * SHORTEST:
        return (word,)
    for cut in range(len(word) - SHORTEST, SHORTEST - 1, -1):
        head, tail = word[:cut], word[cut:]
        stem = next((s for j in _JOINTS if (s := head.removesuffix(j)) in _STEMS), None)
        if stem is not None and set(rest := _parted(tail)) <= _STEMS:
            return (stem, *rest)
    return (word,)


PHRASES: Final = {
    " ".join(tokens(phrase)): concept
    for words in (GERMAN, WORDS)
    for concept, phrases in words.items()
    for phrase in (concept, *phrases.split(","))
}
LONGEST: Final = max(phrase.count(" ") + 1 for phrase in PHRASES)


@lru_cache(maxsize=2_000)
def shared_prefix(names: tuple[str, ...]) -> str:
    """The word that nearly every column of a table begins with ("per_nombre", "per_sexo" → "per_"),
    which tells of the table and nothing of the column; "" where there is none."""
    starts = Counter(name.partition("_")[0] for name in names if "_" in name)
    word, count = next(iter(starts.most_common(1)), ("", 0))
    return f"{word}_" if count >= FEWEST_ALIKE and count >= len(names) - OTHERWISE_NAMED else ""


@lru_cache(maxsize=20_000)
def concepts(words: tuple[str, ...]) -> frozenset[str]:
    """What these words mean together; words that mean nothing here are left out."""
    found: set[str] = set()
    at = 0
    while at < len(words):
        for length in range(min(LONGEST, len(words) - at), 0, -1):
            known = PHRASES.get(" ".join(words[at : at + length]))
            if known is not None:
                found.add(known)
                at += length
                break
        else:
            if words[at] not in EMPTY and not words[at].isdigit():
                found.add(_singular(words[at]))
            at += 1
    return frozenset(found)


def alike(one: Iterable[str], other: Iterable[str]) -> float:
    """0 to 1: how much of each set is in the other (the harmonic mean of both shares)."""
    left, right = frozenset(one), frozenset(other)
    if not left or not right:
        return 0.0
    hits = sum(max(_same(a, b) for b in right) for a in left)
    back = sum(max(_same(a, b) for a in left) for b in right)
    precision, recall = hits / len(left), back / len(right)
    return 0.0 if hits + back == 0 else 2 * precision * recall / (precision + recall)


@lru_cache(maxsize=100_000)
def _same(one: str, other: str) -> float:
    if one == other:
        return 1.0
    if min(len(one), len(other)) < 5:
        return 0.0
    ratio = difflib.SequenceMatcher(None, one, other).ratio()
    return ratio if ratio >= NEAR else 0.0


def _singular(word: str) -> str:
    known = PHRASES.get(word.removesuffix("s"))
    if known is not None:
        return known
    return word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word
