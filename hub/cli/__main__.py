"""`python -m hub.cli`: the same as `nrm-hub`."""

from hub.cli import main

main()
