"""Sources: an agency's own tables and files as events, each row once.

    runner.py    rows into the hub, whatever is away or killed
    outbox.py    a table the agency's own software writes
    changes.py   tables it cannot change, by a mapping file
    folder.py    files dropped into a folder

What a source promises is in `connectors/source.py`.
"""
