"""Statistics for the national rapporteur: tables of aggregates, and nothing about one person.

    lives.py        what is counted about one person: codes and dates, in memory only
    tables.py       every table, its cells and their definitions
    counts.py       a table's true counts, a tree of parts that add up to their whole
    suppression.py  which of them may be shown, beside everything published before
    noise.py        the other way to protect them: differential privacy (OpenDP)
    periods.py      the months, quarters and years tables are about
    editions.py     what was published, kept in the log, and the rules for publishing more
    drawing.py      CSV, accessible charts and pages of what was published

All but `editions.py`, which records, and `noise.py`, which draws noise, takes values and returns
values. True counts never leave memory; `consumers/statistics.py` reads them out of the log.
"""
