"""Write the API's OpenAPI document: `python -m hub.api.openapi > docs/openapi.json`.

Made from a hub of its own in a temporary directory, so it is the same everywhere.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from hub.api.app import create_app
from hub.home import Home
from hub.hub import Hub


def document() -> dict[str, Any]:
    """The document a hub serves at /openapi.json."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "hub")
        home.init()
        hub = Hub.open(home)
        try:
            return create_app(hub).openapi()
        finally:
            hub.stop()


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
