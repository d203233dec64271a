"""Holds what the hub exports as FHIR against HL7's R4 definitions, with HAPI's validator.

    make fhir-validate

Plays a scenario, exports its AuditEvents and a Consent, and has them validated; so are the
resources that the FHIR sink makes of every type of event. Needs Java 17 or newer with its compiler;
the jars (jars.txt, 85 MB, hashes checked) are fetched once. The profiles BALP are not among what is
fetched: what they ask is held by tests/audit/balp.py, and the claim to them is left out here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from connectors.fhir import coverage
from connectors.fhir.events import provenance
from connectors.fhir.names import Resource, key
from connectors.fhir.ownership import first
from hub.scenario.shipped import load
from hub.topics import jars
from schemas.registry import Schemas

HERE = Path(__file__).resolve().parent
NRM = [sys.executable, "-m", "hub.cli"]


def nrm(*arguments: str | Path) -> str:
    return subprocess.run(
        [*NRM, *(str(one) for one in arguments)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def delivered() -> list[Resource]:
    """What the FHIR sink makes of an event of every type with every field, and with none."""
    found = []
    for name in Schemas.load().types():
        schema = Schemas.load().by_type(name)
        for fields in (schema.fields, ()):
            one = coverage.event(schema, fields)
            made = coverage.resources(one)
            targets = [{"reference": key(resource)} for resource in made]
            found += [first(each) for each in (*made, provenance(one, coverage.NAMES, targets))]
    return found


def main() -> int:
    lock = jars.read((HERE / "jars.txt").read_text("ascii"))
    found = jars.fetch(jars.cache_folder().parents[1] / "fhir", lock)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "resources.ndjson"
        resources = []
        for name in ("S1", "S5"):
            home = Path(folder) / name
            nrm("scenario", "run", name, "--home", home)
            there = home / name / "hub"
            audit = nrm("audit", "export", "fhir-audit", "--home", there, "--everybody")
            resources += [json.loads(line) for line in audit.splitlines()]
            for event in load(name)["events"]:
                if event["type"] == "ConsentGiven":
                    told = ("--case", event["case"], "--consent", event["data"]["consent_id"])
                    record = nrm("consent", "record", "--home", there, *told, "--format", "fhir")
                    resources.append(json.loads(record))
        for resource in resources:
            resource.pop("meta", None)
        resources += delivered()
        file.write_text("".join(json.dumps(one) + "\n" for one in resources), encoding="utf-8")
        java = ["java", "-cp", os.pathsep.join(map(str, found)), str(HERE / "Validate.java")]
        return subprocess.run([*java, str(file)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
