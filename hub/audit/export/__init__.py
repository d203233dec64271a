"""Exports: what was decided and what became of it, in forms that others read.

    decisions.py     one line a decision, by the schema in decision.schema.json
    fhir_audit.py    FHIR R4 AuditEvent after the IHE profiles BALP
    prov.py          PROV-O as JSON-LD

All are made of the same walk (`decided.py`), hold no content, and name persons, cases and events by
pseudonyms of the hub.
"""
