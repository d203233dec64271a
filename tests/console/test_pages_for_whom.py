"""Every operations page: who may open it, that the look is recorded, that it shows no content, and
that people who cannot see it or use no mouse can read it."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from connectors.delivery import REASONS
from hub.console.desk import Console, LooksUnrecorded
from hub.console.navigation import MENU
from hub.console.render import languages, texts
from hub.console.viewer import Viewer
from hub.domain.policy import default_profile
from hub.domain.profile_check import categories
from hub.domain.work import BECAUSE, CONTESTED
from hub.domain.work_kinds import KINDS
from tests.console.conftest import signed_in_at
from tests.console.html import faults, read
from tests.console.story import CANARY, Story

VIEWERS = {
    "auditor": Viewer("Ana Auditor", "auditor"),
    "operator": Viewer("Omar Operator", "operator"),
    "agency_officer": Viewer("Sara Shelter", "agency_officer", "SH-1"),
    "rapporteur": Viewer("Rita Rapporteur", "rapporteur"),
}
OURS = (
    "base", "terms", "overview", "work", "withdrawals", "dead_letters", "policy", "registry",
)  # fmt: skip
DESKS = {"auditor", "operator"}
OWN = {*DESKS, "agency_officer"}
EVERYBODY = set(VIEWERS)
PAGES = {
    "/": EVERYBODY,
    "/?span=day&again=3": EVERYBODY,
    "/work": OWN,
    "/work?overdue=yes&kind=recall_open": OWN,
    "/withdrawals": DESKS,
    "/dead-letters": OWN,
    "/dead-letters/refused": OWN,
    "/policy": EVERYBODY,
    "/policy/diff": EVERYBODY,
    "/policy/diff?old=coe&new=uk": EVERYBODY,
    "/policy/replay?new=uk": DESKS,
    "/questions": EVERYBODY,
    "/registry": OWN,
    "/looks": {"auditor"},
    "/cases": DESKS,
    "/deliveries": {"agency_officer"},
    "/preview": OWN,
    "/verify": EVERYBODY,
}


@pytest.mark.parametrize("role", VIEWERS)
@pytest.mark.parametrize("path", PAGES)
def test_every_role_at_every_page(told_console: Console, path: str, role: str) -> None:
    looks = told_console.looks
    assert isinstance(looks, LooksUnrecorded)
    looks.seen.clear()
    answer = signed_in_at(told_console, VIEWERS[role]).get(path)
    if role in PAGES[path]:
        assert answer.status_code == 200
        assert [one[0] for one in looks.seen] == [VIEWERS[role]], "one look, recorded"
        assert faults(read(answer.text)) == []
    else:
        assert answer.status_code == 403
        assert "not_for_this_role" in answer.text
        assert looks.seen == []


@pytest.mark.parametrize("role", VIEWERS)
@pytest.mark.parametrize("language", languages())
def test_no_content_is_on_any_page(
    told_console: Console, told: Story, role: str, language: str
) -> None:
    client = signed_in_at(told_console, VIEWERS[role])
    items = [f"/work/{one.item.hex}" for one in told.everything()] if role in DESKS else []
    assert told.hub.exchange.secrets.epoch is not None
    for path in [*PAGES, *items]:
        text = client.get(path, headers={"accept-language": language}).text
        for canary in (CANARY, "Kanarie", "Zjevnova", "second officer 17"):
            assert canary not in text, path


@pytest.mark.parametrize("language", languages())
def test_every_page_reads_well_in_every_language(told_console: Console, language: str) -> None:
    client = signed_in_at(told_console, VIEWERS["operator"])
    for path in PAGES:
        page = read(client.get(path, headers={"accept-language": language}).text)
        assert next(page.all("html")).attrs["lang"] == language
        assert faults(page) == [], path


def test_an_officer_is_told_nothing_of_others(told_console: Console, told: Story) -> None:
    client = signed_in_at(told_console, VIEWERS["agency_officer"])
    others = set(told.identities) - {"SH-1"}
    cases = {one.case_id.hex for one in told.hub.exchange.withdrawals}
    for path, roles in PAGES.items():
        if "agency_officer" not in roles or path == "/deliveries":
            continue  # deliveries name who stated what was delivered: test_deliveries.py
        text = client.get(path).text
        assert not [one for one in others if one in text], path
        assert not [one for one in cases if one in text or one[:8] in text], path
        assert "position" not in read(text).text, path


def test_the_rapporteur_is_told_of_no_agency(told_console: Console, told: Story) -> None:
    client = signed_in_at(told_console, VIEWERS["rapporteur"])
    for path in ("/", "/policy", "/policy/diff"):
        text = client.get(path).text
        assert not [one for one in told.identities if one in text], path


def test_the_menu_leads_to_pages_of_the_role(told_console: Console) -> None:
    for role, viewer in VIEWERS.items():
        client = signed_in_at(told_console, viewer)
        menu = next(read(client.get("/").text).all("nav"))
        for link in menu.all("a"):
            assert client.get(link.attrs["href"]).status_code == 200, (role, link.attrs)
    assert {one.path for one in MENU} <= {path.partition("?")[0] for path in PAGES}


def test_reloading_is_off_unless_chosen_and_ends(told_console: Console) -> None:
    client = signed_in_at(told_console, VIEWERS["auditor"])
    assert "http-equiv" not in client.get("/").text
    again = client.get("/?again=2").text
    assert 'content="60;url=/?again=1&amp;span=hour"' in again
    assert "http-equiv" not in client.get("/?again=0").text
    assert "again=29&amp;" in client.get("/?again=99").text, "no more than half an hour"
    assert "http-equiv" not in client.get("/?again=999999").text


@pytest.mark.parametrize(
    "path",
    [
        "/?again=x&span=century",
        "/work?kind=none&role='&agency=<b>&state=x&after=-1",
        "/withdrawals?before=later",
        "/dead-letters?agency=XX&after=99999999999",
        "/policy/diff?old=nothing&new=../../etc",
        "/registry?newest=0",
    ],
)
def test_an_address_that_means_nothing_shows_the_usual(told_console: Console, path: str) -> None:
    answer = signed_in_at(told_console, VIEWERS["operator"]).get(path)
    assert answer.status_code == 200
    assert "<b>" not in answer.text
    assert faults(read(answer.text)) == []


# -- texts -------------------------------------------------------------------------------------


def test_every_text_a_template_names_is_there() -> None:
    known = set(texts("en"))
    folder = resources.files("hub.console") / "templates"
    for file in folder.iterdir():
        for key in re.findall(r"""\bt\(['"]([\w.]+)['"][,)]""", file.read_text("utf-8")):
            assert key in known, f"{file.name}: {key}"


def test_every_code_has_a_word() -> None:
    known = texts("en")
    for kind, codes in {
        "kind": KINDS,
        "says": KINDS,
        "because": {**BECAUSE, **CONTESTED},
        "quarantine": REASONS,
        "role": default_profile().matrix,
        "category": categories(),
    }.items():
        for code in codes:
            assert f"terms.{kind}_{code}" in known
    for code, kind_of in KINDS.items():
        assert known[f"terms.says_{code}"] == kind_of.says
    for code, said in {**BECAUSE, **CONTESTED}.items():
        assert known[f"terms.because_{code}"] == said


def test_french_has_every_text_of_these_pages() -> None:
    folder = resources.files("hub.console") / "texts"
    for name in OURS:
        english = set(re.findall(r'^ "(\w+)":', (folder / "en" / f"{name}.json").read_text(), re.M))
        french = set(re.findall(r'^ "(\w+)":', (folder / "fr" / f"{name}.json").read_text(), re.M))
        assert english == french, name


def test_texts_take_the_same_names_in_every_language() -> None:
    for language in languages():
        said = texts(language)
        for key, text in texts("en").items():
            assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", said[key])), key
