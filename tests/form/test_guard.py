"""The form's door: other machines, other sites and other programs get nothing."""

from __future__ import annotations

import pytest

from tests.form.conftest import SECRET, Office
from tests.form.test_pages import case_of, opened

EVIL = "http://evil.example"


def test_every_answer_forbids_scripts_frames_and_caches(office: Office) -> None:
    for answer in (
        office.get("/"),
        office.get("/static/form.css"),
        office.get("/nothing"),
        office.client.get(office.origin + "/"),
        office.post("/preview", *opened(case_of())),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_pages_load_nothing_from_elsewhere_and_need_no_script(office: Office) -> None:
    for path in ("/", "/fill?type=ConsentGiven"):
        text = office.get(path).text
        assert "<script" not in text
        assert "http://" not in text
        assert "https://" not in text
        assert "style=" not in text
    form = office.get("/fill?type=ConsentGiven").text
    assert 'autocomplete="off" novalidate' in form


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "127.0.0.1", "[::1]:80", ""])
def test_another_hosts_name_leads_nowhere(office: Office, host: str) -> None:
    """As when a site lets its own name resolve to 127.0.0.1."""
    assert office.get("/", host=host).status_code in (400, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": EVIL},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/preview", "/send", "/fill"])
def test_another_site_can_send_nothing(office: Office, path: str, headers: dict[str, str]) -> None:
    before = len(office.recorded())
    assert office.post(path, *opened(case_of()), **headers).status_code == 403
    assert len(office.recorded()) == before


def test_a_form_without_an_origin_is_refused(office: Office) -> None:
    answer = office.client.post(office.base + "/send", content=b"e.type=CaseOpened")
    assert answer.status_code == 403


@pytest.mark.parametrize("secret", ["", "x", SECRET[:-1], SECRET + "x", SECRET.upper(), "é"])
def test_without_the_secret_there_is_nothing(office: Office, secret: str) -> None:
    answer = office.client.get(f"{office.origin}/{secret}/fill?type=CaseOpened")
    assert answer.status_code == 404
    assert "NGO-1" not in answer.text


def test_large_and_strange_bodies_are_no_event(office: Office) -> None:
    before = len(office.recorded())
    for body in (b"x" * 600_000, b"&".join(b"f.a%d=1" % n for n in range(700)), b"\xff=\xff", b""):
        answer = office.client.post(
            office.base + "/send",
            content=body,
            headers={"origin": office.origin, "content-type": "application/octet-stream"},
        )
        assert answer.status_code == 200
        assert "What do you want to state" in answer.text
    assert len(office.recorded()) == before
