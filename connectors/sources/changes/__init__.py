"""Rows of tables that the agency has, stated by a mapping file."""
