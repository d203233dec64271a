"""Erased: whose secrets were destroyed, as the log says it up to a position.

Not as the key store says it now: what an audit told of last March, it tells the same after an
erasure in April.
"""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from hub.recording.accepted import next_secret
from hub.store import events as stored
from hub.store.log import HubLog

_TOPICS = frozenset({stored.SubjectShredded.TOPIC})


def destroyed(log: HubLog, end: int) -> dict[UUID, int]:
    """Id of each secret destroyed up to `end` → position at which that was recorded."""
    found: dict[UUID, int] = {}
    times: Counter[UUID] = Counter()
    for one in log.every(_TOPICS, until=end):
        assert isinstance(one.event, stored.SubjectShredded)
        subject = secret = UUID(bytes=one.event.subject_id)
        for _ in range(times[subject]):  # each erasure of a person destroys the next secret
            secret = next_secret(secret)
        times[subject] += 1
        found[secret] = one.position
    return found
