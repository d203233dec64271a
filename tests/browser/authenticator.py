"""An authenticator that is software: Chromium's own, told what to do by the test."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page


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
