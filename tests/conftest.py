"""What every test may ask for. The real servers are in tests/services.py."""

pytest_plugins = ["tests.services"]
