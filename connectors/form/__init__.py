"""The form: an agency without an IT team states events in its browser, through a local agent.

    nrm-hub agency form --home agency      serves pages on this machine only

The agent holds the agency's keys, as every command of the agency does; the browser never sees them.
What is typed lives in the browser's page and in the request that carries it, and nowhere else: no
file, no cookie, no log. Pages need no script and load nothing from elsewhere.
"""
