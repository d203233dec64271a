"""A witness: what a second agency runs so that a hub's log cannot show two faces.

For every log it is told of it keeps the last size and root it has cosigned, on disk before it
answers. It cosigns a checkpoint only if that continues the last one (C2SP tlog-witness). It sees
sizes and roots, never entries.
"""
