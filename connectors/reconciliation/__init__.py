"""Reconciliation: a partner's rows held against the messages, repaired, and rebuilt elsewhere."""
