"""The process that opens ahead: `python -m connectors.opening.process HOME FROM TO`.

Started by `connectors/opening/beside.py` alone, with two pipes: messages come in, what the opener
says of each goes out, in order. It loads what opening needs and no database, so it stays small.

    in    event schemas as JSON (null: those shipped), then registry position (8 bytes) + message
    out   nothing (ready), then `connectors/opening/handing_over.py` of each
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from io import FileIO
from pathlib import Path

from connectors import collector
from connectors.agency.identity import AgencyIdentity
from connectors.agency.registry_cache import RegistryCache
from connectors.opening.handing_over import Result, handed_over
from connectors.opening.opener import Opener
from connectors.opening.pipes import receive, send
from schemas.registry import Schemas


def opens(home: Path, coming: FileIO, going: FileIO) -> None:
    """Open what comes, in order, until nothing comes any more."""
    documents = json.loads(receive(coming))
    identity = AgencyIdentity.load(home)
    schemas = Schemas.load() if documents is None else Schemas(documents)
    unknown = [False]

    def refresh() -> bool:
        unknown[0] = True  # the hub is asked by the runner, not here
        return False

    registry = RegistryCache(identity)
    opener = Opener(identity, registry, schemas, refresh=refresh)
    collector.rest()
    send(going, b"")
    while raw := bytes(receive(coming)):
        position = int.from_bytes(raw[:8], "big", signed=True)
        if registry.position != position:  # written before the runner's own was changed
            registry = RegistryCache(identity)
            opener = Opener(identity, registry, schemas, refresh=refresh)
        unknown[0] = False
        result: Result = opener.open(raw[8:])
        send(going, handed_over(registry.position, None if unknown[0] else result))


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the connector, which ends it
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError, EOFError):
        opens(Path(sys.argv[1]), FileIO(int(sys.argv[2]), "r"), FileIO(int(sys.argv[3]), "w"))
