"""Evidence: files in which anybody can check, offline, what the hub recorded (docs/evidence.md).

    asked.py     what is asked for, and up to which position and checkpoint
    gathered.py  the rows that show it
    opened.py    what a holder holds of it, opened; nobody else is shown content
    file.py      the file's bytes, pure
    bundle.py    all of it put together
    absence.py   the same for what was not shared, with the hub's signed statement

The other side, which shares no code with this, is `deploy/nrm-verify`.
"""

from hub.audit.evidence.absence import absence
from hub.audit.evidence.asked import Asked
from hub.audit.evidence.bundle import Made, bundle

__all__ = ["Asked", "Made", "absence", "bundle"]
