"""The mapping workbench: a mapping file proposed from a partner's tables.

    lookups.py         what tables there are, and the codes that some of them list
    words.py           the words of three languages, naming.py how alike two names are
    codes.py           which of their codes means ours
    scoring.py         how well a column takes a field, and why
    proposing.py       what a table takes: each column its best field, and how rows are found
    sample.py          an invented event, and the row it becomes
    writing.py         the file, asking.py the questions before it is written

Rows of persons are never read. What is read besides definitions is small lookup tables.
"""
