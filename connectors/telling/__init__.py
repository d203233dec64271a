"""What tells how a connector goes: alarms, how far it is behind, metrics, a mail."""
