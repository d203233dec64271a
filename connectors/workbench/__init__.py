"""The mapping workbench: a mapping file proposed from a partner's tables, and one checked.

    partner_tables.py  what tables there are, from their definitions
    words.py           the words of three languages, naming.py how alike two names are
    codes.py           which of their codes means ours
    proposing.py       which column takes which field, with a score and a reason
    sample.py          an invented event, and the row it becomes
    writing.py         the file, asking.py the questions before it is written
    checking.py        everything that is wrong with a file, at once

Rows of persons are never read. What is read besides definitions is small lookup tables.
"""
