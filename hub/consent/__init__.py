"""Consent records: what the person agreed to, told as record, receipt and health-care resource.

Reads the log and the key store; decides nothing (`hub/release.py` does) and records nothing.
"""
