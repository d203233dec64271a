"""What a delivery goes through on its way out: marked, waiting, sealed, served, sent once more."""
