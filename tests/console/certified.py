"""The certified OpenID provider of `tests/console/oidc/` as a process, and a person who uses it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest

from hub.topics.local_ports import free_port

FOLDER = Path(__file__).parent / "oidc"
SECRET = "a-secret-of-the-tests"
PROGRAM_SECRET = "another-secret-of-the-tests"


@contextmanager
def certified(callback: str, *, port: int = 0, kid: str = "k1") -> Iterator[str]:
    """Run it; its issuer. callback: the console's address for answers."""
    with provider("provider.mjs", callback, kid, port=port) as issuer:
        yield issuer


@contextmanager
def provider(program: str, *arguments: str, port: int = 0) -> Iterator[str]:
    """Run a program of tests/console/oidc; the address it says it listens at."""
    if shutil.which("node") is None or not (FOLDER / "node_modules").is_dir():
        pytest.fail("These tests need node and its packages: make test-services")
    process = subprocess.Popen(
        ["node", program, str(port or free_port()), *arguments],
        cwd=FOLDER,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        assert address, f"the provider did not start: node tests/console/oidc/{program}"
        yield address
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


class Person(httpx2.Client):
    """A browser without scripts: keeps cookies, follows redirects by hand, fills in forms."""

    def __init__(self) -> None:
        super().__init__(follow_redirects=False, timeout=20.0, trust_env=False)

    def on(self, answer: httpx2.Response, *, until: str = "") -> httpx2.Response:
        """Follow redirects, to the end or until one leads to an address that begins so."""
        while answer.is_redirect:
            where = urljoin(str(answer.url), answer.headers["location"])
            if until and where.startswith(until):
                return answer
            answer = self.get(where)
        return answer

    def at_provider(self, answer: httpx2.Response, name: str) -> httpx2.Response:
        """From the provider's sign-in form to its answer, not yet taken to the console."""
        for _ in range(4):
            if answer.is_redirect:
                return answer
            [action] = re.findall(r'<form[^>]* action="([^"]+)"', answer.text)
            [prompt] = re.findall(r'name="prompt" value="(\w+)"', answer.text)
            form = {"prompt": prompt, "login": name, "password": "any"}
            answer = self.post(urljoin(str(answer.url), action), data=form)
            answer = self.on(answer, until="http://localhost:" + self.console_port)
        raise AssertionError("the provider asked too often")

    console_port = ""

    def sign_in(
        self, console: str, name: str, then: str = "/", again: bool = False
    ) -> httpx2.Response:
        """The whole way; the page the person ends on."""
        self.console_port = console.rpartition(":")[2]
        query = {"then": then} | ({"again": "yes"} if again else {})
        begun = self.get(f"{console}/sign-in/provider", params=query)
        answer = self.on(begun, until=f"{console}/sign-in/answer")
        return self.on(self.at_provider(answer, name))
