"""The log of the agency's PostgreSQL: which rows were touched, for the changes source."""
