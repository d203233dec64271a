"""Case management systems of partners that keep one record per case: DHIS2 and Primero.

mapping.py   which fields go where: the partner's file
places.py    what was written where, kept at the partner's site
sink.py      the sink both share: what a receipt may say
options.py   the settings both share, and how the sink is opened
dhis2.py     primero.py     the two systems, with what each is told and how it is checked
"""
