"""Sinks over systems that cannot hold our books: told of states or of messages, mostly by HTTP."""
