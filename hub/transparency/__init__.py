"""The audit log as others hold it: exported as files, checked without the hub, proved entry by
entry (docs/transparency.md)."""
