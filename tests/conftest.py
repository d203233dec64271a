"""What every test may ask for. The real servers are in tests/servers.py."""

pytest_plugins = ["tests.servers"]
