"""Writes jars.txt: each jar of pom.xml's server, with its SHA-256.

Needs Maven; run it (`make fhir-server-lock`) only to move to another version, and read the
difference before committing it: a server is started from exactly these bytes.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "jars.txt"
HEAD = """\
# The jars of a local FHIR server: group:artifact:version and the file's SHA-256.
# Written by deploy/fhir-server/lock.py from pom.xml; checked at every start.
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
            if jar.name != f"{artifact.name}-{version.name}.jar":
                continue  # a classifier: nothing the server loads
            group = ".".join(artifact.parent.relative_to(folder).parts)
            digest = hashlib.sha256(jar.read_bytes()).hexdigest()
            lines.append(f"{group}:{artifact.name}:{version.name} {digest}\n")
    LOCK.write_text(HEAD + "".join(lines), encoding="ascii")
    print(f"{len(lines)} jars in {LOCK}")


if __name__ == "__main__":
    main()
