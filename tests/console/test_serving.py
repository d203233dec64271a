"""The console as a process: where it listens, over what, and how it ends."""

from __future__ import annotations

import re
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hub.console.entrance import COOKIE as ATTEMPT
from hub.console.serving import serve_console
from hub.console.settings import ConsoleSettings, read_console
from hub.errors import NotReady
from hub.home import Home
from hub.hub import Deciding
from tests.cli.test_serve import Start, start
from tests.console.admitted import Office, certificate, served

__all__ = ["start"]


@pytest.fixture
def browser() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=20) as one:
        yield one


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_what_comes_first_and_stops_cleanly(
    start: Start, home: Home, tmp_path: Path, browser: httpx2.Client, number: int
) -> None:
    running = start("console", "--home", str(home.path), "--port", "0")
    told = running.first_line()
    [url] = re.findall(r"^Console at (http://localhost:\d+)$", told)
    assert "Nobody may open this console yet" in browser.get(f"{url}/sign-in").text
    out, err = running.stop(number)
    assert "nrm-hub viewer grant" in out
    assert "officer create" in out
    assert err.endswith("Stopped.\n")


def test_beside_the_hub_in_one_process(
    start: Start, tmp_path: Path, browser: httpx2.Client
) -> None:
    Home(tmp_path / "h").init()
    with (tmp_path / "h" / "hub.toml").open("a") as file:
        file.write("\n[console]\nport = 0\n")
    running = start("serve", "--home", "h", "--port", "0", "--console")
    running.first_line()
    while "Console at" not in (told := running.out.read_text("utf-8")):
        assert running.process.poll() is None, running.err.read_text("utf-8")
    [url] = re.findall(r"^Console at (http://\S+)$", told, re.MULTILINE)
    assert browser.get(f"{url}/sign-in").status_code == 200
    running.stop()


def test_once_somebody_is_granted_it_says_no_more_than_where(home: Home, start: Start) -> None:
    with Deciding.open(home) as deciding:
        Office(deciding.reading.exchange).passkey()
    running = start("console", "--home", str(home.path), "--port", "0")
    running.first_line()
    out, _ = running.stop()
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"host": "0.0.0.0"}, "without TLS"),
        ({"host": "192.0.2.7"}, "without TLS"),
        ({"host": "::"}, "without TLS"),
        ({"host": "console.example"}, "without TLS"),
        ({"behind_tls_proxy": True}, "needs url"),
        ({"behind_tls_proxy": True, "url": "http://localhost"}, "needs url"),
    ],
)
def test_nobody_reads_along(home: Home, given: dict[str, Any], what: str) -> None:
    with Deciding.open(home) as deciding, pytest.raises(NotReady, match=what):
        serve_console(deciding, given={"port": 0, **given})


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"prot": 1}, "prot"),
        ({"port": "x"}, "port"),
        ({"idle_minutes": 0}, "idle_minutes"),
        ({"longest_hours": 25}, "longest_hours"),
        ({"fresh_minutes": 0}, "fresh_minutes"),
        ({"url": "console.example"}, "url"),
        ({"url": "http://console.example"}, "url"),
        ({"url": "https://console.example/path"}, "url"),
        ({"certificate": "a.pem"}, "both certificate and private_key"),
        ({"certificate": "/no/a.pem", "private_key": "/no/b.pem"}, "names no file"),
        ({"trusted_proxies": "proxy.example"}, "trusted_proxies"),
        ({"browsing": {"cases_per_hour": -1}}, "browsing.cases_per_hour"),
        ({"browsing": {"cases": 1}}, "browsing.cases"),
        ({"oidc": {}}, "oidc.issuer"),
        ({"oidc": {"issuer": "http://id.example", "client_id": "c"}}, "oidc.issuer"),
        ({"oidc": {"issuer": "https://u:p@id.example", "client_id": "c"}}, "oidc.issuer"),
        ({"oidc": {"issuer": "https://id", "client_id": ""}}, "oidc.client_id"),
        ({"oidc": {"issuer": "https://id", "client_id": "c", "algorithms": ["none"]}}, "RS256"),
        ({"oidc": {"issuer": "https://id", "client_id": "c", "algorithms": ["HS256"]}}, "RS256"),
        ({"oidc": {"issuer": "https://id", "client_id": "c", "algorithms": []}}, "RS256"),
        ({"oidc": {"issuer": "https://id", "client_id": "c", "scopes": ["email"]}}, "openid"),
        (
            {"oidc": {"issuer": "https://id", "client_id": "c", "client_secret": "${UNSET}"}},
            "not set",
        ),
        (
            {"oidc": {"issuer": "https://id", "client_id": "c", "client_secret_file": "/no"}},
            "no file",
        ),
    ],
    ids=str,
)
def test_wrong_settings_are_named_and_their_values_are_not(told: dict[str, Any], what: str) -> None:
    with pytest.raises(NotReady, match=re.escape(what)) as found:
        read_console(told)
    assert "u:p@" not in str(found.value)
    assert "docs/console.md" in str(found.value)


def test_a_secret_comes_from_a_file_and_stands_in_no_error(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("the-secret\n")
    settings = read_console(
        {"oidc": {"issuer": "https://id", "client_id": "c", "client_secret_file": str(file)}}
    )
    assert settings.oidc is not None
    assert settings.oidc.secret == "the-secret"
    plain = read_console(
        {"oidc": {"issuer": "https://id", "client_id": "c", "client_secret": "the-secret"}}
    )
    assert "the-secret" not in repr(plain)


def test_over_tls_cookies_are_for_tls_and_this_host_only(home: Home, tmp_path: Path) -> None:
    files = certificate(tmp_path)
    context = ssl.create_default_context(cafile=files[0])
    with (
        served(home, certificate=files[0], private_key=files[1]) as server,
        httpx2.Client(verify=context, trust_env=False) as browser,
    ):
        assert server.url.startswith("https://localhost:")
        assert server.console.cookie == "__Host-nrm-console"
        page = browser.get(f"{server.url}/sign-in")
        assert page.headers["strict-transport-security"]
        asked = browser.post(
            f"{server.url}/sign-in/passkey/ask", json={}, headers={"origin": server.url}
        )
        told = asked.headers["set-cookie"]
        assert told.startswith(f"__Host-{ATTEMPT}=")
        assert "Secure" in told


def test_behind_a_proxy_the_address_of_browsers_counts(home: Home, browser: httpx2.Client) -> None:
    with served(
        home, behind_tls_proxy=True, url="https://console.example", trusted_proxies="127.0.0.1"
    ) as server:
        assert server.url == "https://console.example"
        assert server.console.secure
        port = server._listener.port
        here = f"http://127.0.0.1:{port}/sign-in"
        assert browser.get(here, headers={"host": "console.example"}).status_code == 200
        assert browser.get(here, headers={"host": "other.example"}).status_code == 400
        assert server.entrance.passkeys is not None
        assert server.entrance.passkeys.domain == "console.example"
        through = browser.get(
            here, headers={"host": "console.example", "x-forwarded-proto": "https"}
        )
        assert through.headers["strict-transport-security"]


def test_the_defaults_are_for_this_machine() -> None:
    settings = ConsoleSettings()
    settings.check_reach()
    assert settings.base(8443) == "http://localhost:8443"
    assert not settings.secure


def test_every_setting_is_documented() -> None:
    from hub.console.browsing import BrowsingLimits
    from hub.console.settings import OidcSettings

    page = Path("docs/console.md").read_text("utf-8")
    for model in (ConsoleSettings, OidcSettings, BrowsingLimits):
        missing = {name for name in model.model_fields if f"`{name}`" not in page}
        assert missing <= {"oidc", "browsing"}  # tables of their own: [console.oidc]


def test_every_reason_code_of_signing_in_is_documented() -> None:
    import json

    page = Path("docs/console.md").read_text("utf-8")
    texts = Path("hub/console/texts/en")
    codes = {
        key.removeprefix("why_")
        for key in json.loads((texts / "sign_in.json").read_text("utf-8"))
        if key.startswith("why_")
    }
    codes |= set(json.loads((texts / "refused.json").read_text("utf-8")))
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []
