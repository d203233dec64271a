"""Sources: an agency's own tables and files as events, each row once.

    runner.py    rows into the hub, whatever is away or killed
    captured.py  the books of a source whose rows are nowhere else in the hub's form
    outbox/      a table the agency's own software writes
    changes/     tables it cannot change, by a mapping file
    slot/        … with the rows to look at told by PostgreSQL's log
    folder/      files dropped into a folder

What a source promises is in `connectors/source.py`.
"""
