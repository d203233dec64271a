"""Random scenarios through the whole pipeline, as many as wanted: for soaking, not for the suite.

    python -m tests.scenarios.random --seeds 500 [--first 0] [--length 60] [--oracle]

Each seed is played by the rules alone and then by a whole hub with a connector and a database per
partner; every difference is printed with its seed. --oracle compares the rules alone with the
second reading instead, which is some thirty times quicker. Exit status 1 if anything differed.
"""

from __future__ import annotations

import argparse
import sys
import time


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--seeds", type=int, default=100, help="how many")
    options.add_argument("--first", type=int, default=0, help="the first seed")
    options.add_argument("--length", type=int, default=60, help="events in each")
    options.add_argument("--oracle", action="store_true", help="rules against second reading")
    wanted = options.parse_args()
    bad, started = 0, time.monotonic()
    for seed in range(wanted.first, wanted.first + wanted.seeds):
        found = (
            _second_reading(seed, wanted.length) if wanted.oracle else _road(seed, wanted.length)
        )
        bad += bool(found)
        for difference in found:
            print(f"seed {seed}: {difference}", flush=True)
    seconds = time.monotonic() - started
    print(f"{wanted.seeds} seeds in {seconds:.0f} s, {bad} with differences")
    return 1 if bad else 0


def _road(seed: int, length: int) -> list[str]:
    from hub.scenario import Servers, run
    from hub.scenario.story import read
    from tests.scenarios.completing import completed

    with Servers() as servers:
        return [str(one) for one in run(read(completed(seed, length)), servers).differences]


def _second_reading(seed: int, length: int) -> list[str]:
    from tests.release.generator import Generator
    from tests.release.test_second_reading import compare

    lawful = seed % 2 == 1
    try:
        compare(Generator(seed, length, lawful=lawful).scenario(), guarded=lawful)
    except AssertionError as difference:
        return [str(difference)]
    return []


if __name__ == "__main__":
    sys.exit(main())
