"""A table that the agency's own program writes events into."""
