"""Errors of the hub, grouped by what the caller should do.

    HubError
    ├── Refused            tell the sender: step, reason code, what to do next; do not retry as is
    ├── RetryLater         nothing was lost; the same call may succeed later
    └── MustStop           an operator has to act; nothing is acknowledged until then
        ├── NotReady       the home is missing, half made or of another version
        └── Inconsistent   recorded facts contradict each other

Messages carry identifiers and reason codes, never content of an event.
"""

from __future__ import annotations


class HubError(Exception):
    """Any error the hub raises on purpose."""


class Refused(HubError):
    """What was sent cannot be accepted; sending the same bytes again gives the same answer.

    step: number of the admission step (docs/admission.md), 0 outside admission.
    reason: stable code. guard: legal guard or state rule, e.g. "G01".
    detail: what to do next; never content.
    """

    def __init__(self, step: int, reason: str, detail: str, guard: str | None = None) -> None:
        super().__init__(f"step {step}: {reason}: {detail}")
        self.step = step
        self.reason = reason
        self.detail = detail
        self.guard = guard


class RetryLater(HubError):
    """The hub is busy or a dependency is away; nothing was changed, try again."""


class MustStop(HubError):
    """The hub must not go on before an operator has acted; the message says on what."""


class NotReady(MustStop):
    """The home directory is missing, half made or belongs to another version."""


class Inconsistent(MustStop):
    """Recorded facts contradict each other; run `nrm-hub audit verify` before anything else."""
