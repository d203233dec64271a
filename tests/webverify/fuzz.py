"""Files with one bit changed and everything around it forged to fit: both must say the same.

    python -m tests.webverify.fuzz --scenario S5 --seed 1 --count 500     # as much as wanted

Nothing is left out: page and program are equally strict, also with rows no hub would write.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.webverify.corpus import Forger, Place, lived, members, resigned
from tests.webverify.questions import Question, by_the_page, disagreements, verdict


def bent_rows(place: Place, seed: int, count: int) -> Iterator[Question]:
    """One bit of one row changed, in a log rebuilt around it."""
    forger, chance = Forger(place), random.Random(seed)
    while count:
        position = chance.choice(sorted(forger.rows))
        row = bytearray(forger.rows[position])
        at = chance.randrange(len(row))
        row[at] ^= 1 << chance.randrange(8)
        count -= 1
        name = f"bent-{seed}-{count}-row-{position}-{at}"
        yield place.question(name, forger.forged({position: bytes(row)}))


def bent_members(place: Place, seed: int, count: int, **asked: Any) -> Iterator[Question]:
    """One bit of any member changed, and signed by the hub."""
    data, chance = place.made(**asked), random.Random(seed)
    for number in range(count):

        def bend(parts: dict[str, bytes], _: dict[str, Any]) -> None:
            name = chance.choice(sorted(parts))
            part = bytearray(parts[name])
            part[chance.randrange(len(part))] ^= 1 << chance.randrange(8)
            parts[name] = bytes(part)

        changed = resigned(data, place.signing, bend)
        yield place.question(f"member-{seed}-{number}", changed)


def bent_bytes(place: Place, seed: int, count: int, **asked: Any) -> Iterator[Question]:
    """One bit of the whole file changed; `count` 0: of every byte in turn."""
    data, chance = place.made(**asked), random.Random(seed)
    file = place.question(f"bytes-{seed}", data).file
    places = range(len(data)) if not count else sorted(chance.sample(range(len(data)), count))
    for at in places:
        flip = (at, 1 << chance.randrange(8))
        yield Question(f"byte {flip}", file, place.log_key, flip=flip)
    assert members(data)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--scenario", default="S1")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--count", type=int, default=200)
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = lived(Path(folder), wanted.scenario)
        try:
            questions = [
                *bent_rows(place, wanted.seed, wanted.count),
                *bent_members(place, wanted.seed, wanted.count, case=place.case),
            ]
            print(Counter(verdict(one) for one in by_the_page(questions)))
            found = disagreements(questions)
        finally:
            place.road.close()
    print("\n".join(found) or "no differences")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
