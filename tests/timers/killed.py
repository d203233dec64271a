"""A hub in a process of its own that does what is due at an instant: `python -m … HOME INSTANT`."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from hub.clock import Clock, ScenarioTime
from hub.home import Home
from hub.hub import Hub


def main(home: str, instant: str) -> None:
    time = ScenarioTime(datetime.fromisoformat(instant))
    hub = Hub.open(Home(Path(home)), Clock(time, steady=None))
    while hub.timers.step():
        pass
    hub.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
