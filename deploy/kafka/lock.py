"""Writes hub/topics/kafka-jars.txt: each jar of pom.xml's broker, with its SHA-256.

Needs Maven; run it (`make kafka-lock`) only to move to another version, and read the
difference before committing it: a broker is started from exactly these bytes.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE.parents[1] / "hub" / "topics" / "kafka-jars.txt"
HEAD = """\
# The jars of a local Kafka broker: group:artifact:version and the file's SHA-256.
# Written by deploy/kafka/lock.py from deploy/kafka/pom.xml; checked at every start.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies",
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
    LOCK.write_text(HEAD + "".join(lines), encoding="ascii")
    print(f"{len(lines)} jars in {LOCK}")


if __name__ == "__main__":
    main()
