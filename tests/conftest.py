"""What every test may ask for. The real servers are in tests/servers.py and tests/mariadb.py."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = [
    "tests.depth",
    "tests.scheduling",
    "tests.servers",
    "tests.mariadb",
    "tests.case_systems.serving",
]

# A law holds or not; how long one example takes on a busy machine is no part of it.
settings.register_profile("laws", deadline=None)
settings.load_profile("laws")

# Most of the suite's time is waiting for the disk, and no test rests on which disk that is: kills,
# failing writes and full disks are made, not waited for. TMPDIR=/tmp runs it on the disk.
MEMORY = Path("/dev/shm")
NEEDED = 6 * 1024**3

if not os.environ.get("TMPDIR") and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > NEEDED:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Half a gigabyte of tests stays until the end: no look for garbage goes through it again."""
    gc.collect()
    gc.freeze()
