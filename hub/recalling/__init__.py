"""What was released and has to come back: what it is, whom it reached, what became of it."""
