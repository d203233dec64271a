"""How alike a column's name and a field's are: words of three languages, taken as concepts.

    "DateNaissance" → date, naissance → birth_date ← birth, date ← "date_of_birth"

Pure. A name becomes tokens, tokens become concepts by the longest phrase known
(`connectors/workbench/words.py`), and two names are as alike as their concepts. A token nobody
knows stands for itself, and counts as another one if they are spelled almost the same.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from connectors.workbench.words import ABBREVIATED, ARTICLES, EMPTY, WORDS

NEAR: Final = 0.86  # of difflib: "adress" and "address", not "reason" and "region"
_SPLIT: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


@lru_cache(maxsize=20_000)
def tokens(name: str) -> tuple[str, ...]:
    """Words of a name: camel case and underscores parted, accents, case and articles gone."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = (word.lower() for word in _SPLIT.findall(plain))
    return tuple(ABBREVIATED.get(word, word) for word in words if word not in ARTICLES)


PHRASES: Final = {
    " ".join(tokens(phrase)): concept
    for concept, phrases in WORDS.items()
    for phrase in (concept, *phrases.split(","))
}
LONGEST: Final = max(phrase.count(" ") + 1 for phrase in PHRASES)


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
