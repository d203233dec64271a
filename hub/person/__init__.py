"""The person: what the hub can tell somebody about their own case, and what they may ask of it.

    steps.py      what an account is folded from
    account.py    the case folded into what matters to the person: who got what, why, what became
                  of it. Pure.
    agreements.py the person's consents. Pure.
    requests.py   data-protection requests and their deadlines. Pure.
    wording.py    plain words in four languages, from `texts/`
    sections.py   what a statement is made of. Pure.
    names.py      what agencies are called in it, by name or discreetly. Pure.
    statement.py  account and words put together into a statement. Pure.
    document.py   an account for programs
    pages.py      a statement as HTML and as PDF
    reading.py    what of the log an account is made of
    delivered.py  a case's deliveries and receipts, found without reading everybody's
    export.py     the content itself, for a person whose request for it was granted

A statement is made from metadata alone: it holds no content, and can be made after an erasure.
Only an export opens what is sealed; each one is recorded.
"""
