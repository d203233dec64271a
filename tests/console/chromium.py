"""A real Chromium, driven by Playwright, with an authenticator that is software."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(folder: Path, **more: Any) -> Iterator[BrowserContext]:
    """A browser with a profile of its own. more: as Playwright's launch_persistent_context."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.fail("These tests need Chromium: make test-services")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(folder), executable_path=found, args=list(FLAGS), **more
        )
        context.set_default_timeout(20_000)
        try:
            yield context
        finally:
            context.close()


class Authenticator:
    """A page's authenticator: verifies its person, or does not, as the test says."""

    def __init__(self, page: Page, *, verifies: bool = True, resident: bool = True) -> None:
        self.session = page.context.new_cdp_session(page)
        self.session.send("WebAuthn.enable")
        made = self.session.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": resident,
                    "hasUserVerification": True,
                    "isUserVerified": verifies,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        self.id = made["authenticatorId"]

    def verify(self, verifies: bool) -> None:
        self.session.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": verifies}
        )

    def credentials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.session.send(
            "WebAuthn.getCredentials", {"authenticatorId": self.id}
        )["credentials"]
        return found

    def replace(self, credential: dict[str, Any]) -> None:
        """Put in a copy with another counter."""
        self.session.send("WebAuthn.clearCredentials", {"authenticatorId": self.id})
        self.session.send(
            "WebAuthn.addCredential", {"authenticatorId": self.id, "credential": credential}
        )
