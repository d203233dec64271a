"""Audit: what happened, who was told what, why, and whether the log is what it was.

Reads the recorded log only, up to a position: an answer given today about last March is the
answer that could have been given then. Content is never shown: an auditor sees metadata. (Only a
bundle for a holder opens what that agency holds already: `evidence/`.) Where a person was erased,
the entry stands as a tombstone and everything else still verifies.
"""

from hub.audit.breakglass import BreakGlass, break_glass
from hub.audit.conservation import Balance, conservation
from hub.audit.replay import Entry, position_of, replay_case
from hub.audit.standing import CaseStanding, standing_of
from hub.audit.verify import Verdict, verify_log
from hub.audit.why import Why, WhyCategory, why

__all__ = [
    "Balance",
    "BreakGlass",
    "CaseStanding",
    "Entry",
    "Verdict",
    "Why",
    "WhyCategory",
    "break_glass",
    "conservation",
    "position_of",
    "replay_case",
    "standing_of",
    "verify_log",
    "why",
]
