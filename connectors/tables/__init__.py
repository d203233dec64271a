"""Deliveries as rows: our tables or the partner's, and the columns that fields become."""
