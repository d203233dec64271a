"""The console: server-rendered pages for auditors, operators, agency officers and the rapporteur.

A page is three files: `pages/<name>.py` (what is read, and for whom), `templates/<name>.html.j2`
and `texts/<language>/<name>.json`. `pages/<name>.py` has one function, `<name>_pages(console)`,
that returns an `APIRouter`; `app.py` lists them, `navigation.py` puts them into the menu. Every
handler is plain `def` (it runs in a thread) and begins with `console.admit(request, …)`, which
says who is looking, or sends them to sign in, and with `console.look(viewer, …)`, which records
the look before anything is shown.

What needs the whole log is kept in `books.py`, so that no page reads all of it; words of codes are
in `texts/<language>/terms.json`, shapes that pages share in `templates/parts.html.j2`.

Pages show metadata, never content: nothing here opens a compartment.
"""
