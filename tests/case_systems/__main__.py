"""A described server to practise on: `python -m tests.case_systems dhis2 --port 8085`.

It is made from a description of the system's API and holds nothing of the system. What it is told
stays in the file that --store names.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.case_systems.dhis2_server import Dhis2Server
from tests.case_systems.primero_server import PrimeroServer

SERVERS = {"dhis2": Dhis2Server, "primero": PrimeroServer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", choices=sorted(SERVERS))
    parser.add_argument("--port", type=int, default=8085)
    parser.add_argument("--store", type=Path)
    given = parser.parse_args()
    behaviour = SERVERS[given.system](given.store or Path(f"{given.system}-server.db"))
    server = behaviour.described.server(given.port)
    print(f"{given.system} at http://127.0.0.1:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
