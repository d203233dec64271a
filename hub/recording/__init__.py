"""What the exchange records, and the one writer it records through."""
