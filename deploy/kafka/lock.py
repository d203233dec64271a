"""Writes the locks of what is fetched from Maven repositories: each jar with its SHA-256.

    pom.xml          → hub/topics/kafka-jars.txt       a local broker
    connect-pom.xml  → deploy/kafka/connect-jars.txt   Kafka Connect, for tests

Needs Maven; run it (`make kafka-lock`) only to move to another version, and read the
difference before committing it: what runs is started from exactly these bytes.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCKS = {
    "pom.xml": (HERE.parents[1] / "hub" / "topics" / "kafka-jars.txt", "a local Kafka broker"),
    "connect-pom.xml": (HERE / "connect-jars.txt", "a Kafka Connect worker"),
}
HEAD = """\
# The jars of {what}: group:artifact:version and the file's SHA-256.
# Written by deploy/kafka/lock.py from deploy/kafka/{pom}; checked at every start.
"""


def main() -> None:
    for pom, (lock, what) in LOCKS.items():
        lines = resolved(HERE / pom)
        lock.write_text(HEAD.format(what=what, pom=pom) + "".join(lines), encoding="ascii")
        print(f"{len(lines)} jars in {lock}")


def resolved(pom: Path) -> list[str]:
    """A line for each jar that this project needs at run time."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies",
             "-DincludeScope=runtime", "-Dmdep.useRepositoryLayout=true",
             f"-DoutputDirectory={folder}"],
            check=True,
        )  # fmt: skip
        lines = []
        for jar in sorted(Path(folder).rglob("*.jar")):
            version, artifact = jar.parent, jar.parent.parent
            group = ".".join(artifact.parent.relative_to(folder).parts)
            digest = hashlib.sha256(jar.read_bytes()).hexdigest()
            lines.append(f"{group}:{artifact.name}:{version.name} {digest}\n")
    return lines


if __name__ == "__main__":
    main()
