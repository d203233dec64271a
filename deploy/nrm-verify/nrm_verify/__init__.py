"""nrm-verify: is this evidence bundle what it says? Offline, and without any code of the hub.

Written from docs/evidence.md (format and steps), docs/formats.md (signed bytes) and docs/release.md
(the decision), as a second opinion: nothing here imports the hub, and a test holds that.
"""

__version__ = "0.1.0"
FORMAT = "nrm-evidence/1"
