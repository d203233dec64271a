"""A local broker's jars: fetched once, and never run unless their bytes are the locked ones.

`kafka-jars.txt` beside this file names each jar and its SHA-256. They are fetched by
whichever ordinary client is there: Maven, or the `jgo` package (the extra `kafka-dev`),
which needs neither Maven nor Java. Where from is that client's own configuration, so an
organisation's mirror is used where one is set up.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import escape

_INSTALL = 'install Maven, or "nrm-hub[kafka-dev]" with pip, and try again'


class JarsError(Exception):
    """The broker's jars cannot be had, or are not the ones we locked: nothing was started."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock: group:artifact:version and SHA-256 in hex."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


@cache
def locked() -> tuple[Jar, ...]:
    return read(files(__package__).joinpath("kafka-jars.txt").read_text("ascii"))


def read(text: str) -> tuple[Jar, ...]:
    """The jars of a lock."""
    jars = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            coordinates, sha256 = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return tuple(jars)


def kafka_version() -> str:
    return next(jar.version for jar in locked() if jar.artifact == "kafka-clients")


def cache_folder() -> Path:
    """NRM_HUB_CACHE, or the user's cache folder; jars of one version share a folder."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    ours = Path(os.environ.get("NRM_HUB_CACHE") or cache_home / "nrm-hub")
    return ours / "kafka" / kafka_version()


def fetch(folder: Path | None = None, jars: Sequence[Jar] | None = None) -> list[Path]:
    """Every locked jar, in `folder`, its hash checked now. Downloads what is missing or wrong.

    jars: of another lock than the broker's.
    """
    folder, jars = folder or cache_folder(), locked() if jars is None else jars
    folder.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if not _sound(folder / jar.name, jar)]
    if missing:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
            _download(missing, Path(scratch))
            for jar in missing:
                got = Path(scratch) / jar.name
                if not _sound(got, jar):
                    raise JarsError(
                        f"{jar.name} is {'not the locked file' if got.exists() else 'not there'}:"
                        " nothing was started. Check the mirror your Maven or jgo uses."
                    )
                got.replace(folder / jar.name)  # atomic: two starts at once do no harm
    return [folder / jar.name for jar in jars]


def _sound(path: Path, jar: Jar) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _download(jars: Sequence[Jar], into: Path) -> None:
    failures: list[str] = []
    if shutil.which("mvn"):
        try:
            return _by_maven(jars, into)
        except (OSError, subprocess.SubprocessError) as error:
            failures.append(f"Maven: {getattr(error, 'stdout', '') or error}"[-500:])
    if find_spec("jgo") is not None:
        try:
            return _by_jgo(jars, into)
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
            failures.append(f"jgo: {error}"[-500:])
    raise JarsError("the broker's jars could not be fetched: " + ("; ".join(failures) or _INSTALL))


def _by_maven(jars: Sequence[Jar], into: Path) -> None:
    """One project that depends on exactly these, and lets none of them bring another."""
    dependencies = "".join(
        f"<dependency><groupId>{escape(jar.group)}</groupId>"
        f"<artifactId>{escape(jar.artifact)}</artifactId>"
        f"<version>{escape(jar.version)}</version>"
        "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>"
        "</exclusions></dependency>"
        for jar in jars
    )
    pom = into / "pom.xml"
    pom.write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>nrm-hub</groupId><artifactId>jars</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>",
        encoding="utf-8",
    )
    subprocess.run(
        ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies",
         f"-DoutputDirectory={into}"],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=600,
    )  # fmt: skip


def _by_jgo(jars: Sequence[Jar], into: Path) -> None:
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=into / "repository")
    for jar in jars:
        component = context.project(jar.group, jar.artifact).at_version(jar.version)
        shutil.copyfile(component.artifact().resolve(), into / jar.name)
