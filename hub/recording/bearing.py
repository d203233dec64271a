"""Bearing: which rows bear on the hub as a whole, beyond their own case or delivery log.

Who takes part, the policy profile, whose secret is destroyed, and the few types of event that are
asked of the log as a whole: erasures, withdrawals, break-glass. A hub that opens its log has the
database look for these and passes over all others, which are most; each case is folded when it is
first asked for.
"""

from __future__ import annotations

from typing import Final

from eventsourcing.persistence import Notification

from hub.domain.breakglass import LOUD
from hub.membership.agencies import CHANGES
from hub.recording.accepted import ERASING
from hub.store import events as stored
from hub.store.log import says

WITHDRAWN: Final = "ConsentWithdrawn"
TOPICS: Final = frozenset(
    {stored.PolicyPublished.TOPIC, stored.SubjectShredded.TOPIC} | {one.TOPIC for one in CHANGES}
)
TYPES: Final = frozenset({ERASING, WITHDRAWN, *LOUD})


def bears(row: Notification) -> bool:
    """Whether a stored row may; some that do not are not worth telling apart."""
    return row.topic in TOPICS or says(row, TYPES)
