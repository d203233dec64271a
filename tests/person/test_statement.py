"""The statement: true to the log, without content, readable by anybody and safe to read."""

from __future__ import annotations

import io
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pypdf
import pytest

from hub.errors import Refused
from hub.person import pages
from hub.person.document import document
from hub.person.reading import Read, read
from hub.person.statement import Statement, statement
from hub.person.steps import AgencyName
from hub.person.wording import LANGUAGES, Wording
from tests.person.reader import Page, flat, pdf_text
from tests.person.stories import AGENCIES, consented, identified, opened, referred, says
from tests.road import START, Road

HOSTILE = '</td><script>alert(1)</script> #panic("x") *b* _i_ $x$ \\ @ref [c] {{ it }} "q" {0} `r`'


@pytest.fixture(scope="module")
def road(played: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    folder = tmp_path_factory.mktemp("statement") / "road"
    shutil.copytree(played, folder)
    made = Road.open(folder, AGENCIES)
    made.time.at = START + timedelta(days=3)
    yield made
    made.close()


def written(found: Read, language: str = "en", **how: object) -> Statement:
    return statement(
        found.account, found.agencies, Wording.load(language), reference="C1",
        made_on=found.now.date(), **how,  # type: ignore[arg-type]
    )  # fmt: skip


def got(found: Read, agency: str) -> set[tuple[str, str, str]]:
    return {
        (one.category, one.basis, one.state) for one in found.account.told if one.agency == agency
    }


# -- what it says ------------------------------------------------------------------------------


def test_who_got_what_on_which_basis_and_what_became_of_it(road: Road) -> None:
    found = read(road.hub.exchange, "C1")
    police = got(found, "POL-1")
    assert ("identity", "consent:c1", "deleted") in police  # withdrawn from the police
    assert ("contact", "vital_interests", "deleted") in police  # break-glass found wrong
    assert ("location_safe", "vital_interests", "deleted") in police
    assert ("case_management", "public_task", "received") in police  # not on the consent: stays
    authority = got(found, "CA-1")
    assert ("identity", "consent:c1", "received") in authority
    assert not any(category == "location_safe" for category, _, _ in authority)
    assert ("consent", "statutory_minimum", "sent") in got(found, "AUD-1")  # has no connector


def test_it_agrees_with_the_deliveries_the_log_holds(road: Road) -> None:
    """Every category of every delivery is in it once, and nothing that was not delivered."""
    from hub.publisher import delivery_stream
    from hub.store import events as stored

    found, delivered = read(road.hub.exchange, "C1", complaints=True), []
    for agency in road.identities:
        for one in road.hub.exchange.log.stream(delivery_stream(agency)):
            assert isinstance(one.event, stored.Sending)
            if one.event.kind == "release":
                bases = json.loads(one.event.items)["bases"]
                delivered += [(agency, one.event.event_position, name) for name in bases]
    told = [(one.agency, one.event_position, one.category) for one in found.account.told]
    assert sorted(told) == sorted(delivered)


def test_what_was_withheld_from_those_with_a_part_in_the_case_and_why(road: Road) -> None:
    kept = {
        (one.agency, one.category): one.reason for one in read(road.hub.exchange, "C1").account.kept
    }
    assert kept["CA-1", "location_safe"] == "never_rule"
    assert kept["CA-1", "health"] == "no_consent"
    assert not any(agency in ("LEG-1", "AUD-1") for agency, _ in kept)  # no part in the case


def test_agreements_emergencies_requests_and_recalls(road: Road) -> None:
    account = read(road.hub.exchange, "C1").account
    [agreement] = account.agreements
    assert (agreement.state, set(agreement.scope)) == ("partly", {"CA-1", "SH-1"})
    assert len(agreement.withdrawn_at) == 1
    [emergency] = account.emergencies
    assert (emergency.agency, emergency.review) == ("POL-1", "not_justified")
    assert emergency.got == {"contact", "location_safe"}
    [request] = account.requests
    assert (request.request_id, request.open) == ("q1", True)
    assert [one.categories for one in account.recalls] == [
        ("contact", "location_safe"),
        ("identity", "protection"),
    ]
    for recall in account.recalls:
        assert recall.answered_at
        assert {said.outcome for said in recall.answers} == {"deleted"}
        assert {name for said in recall.answers for name in said.categories} == set(
            recall.categories
        )


def test_complaints_are_left_out_without_a_trace_unless_asked_for(road: Road) -> None:
    without = read(road.hub.exchange, "C1")
    with_them = read(road.hub.exchange, "C1", complaints=True)
    assert len(with_them.account.events) == len(without.account.events) + 1
    for language in LANGUAGES:
        wording = Wording.load(language)
        label = wording.of("events", "FeedbackRecorded")
        hidden, shown = written(without, language), written(with_them, language, complaints=True)
        assert label not in Page(pages.html(hidden)).text
        assert label in Page(pages.html(shown)).text
        assert wording.say("complaints_shown") in Page(pages.html(shown)).text
    # A case without any complaint says the same sentence, so that it tells nothing.
    assert Wording.load("en").say("complaints_not") in Page(pages.html(written(without))).text


def test_no_content_in_any_form_or_language(road: Road) -> None:
    found = read(road.hub.exchange, "C1", complaints=True)
    made = document(found.account, found.agencies, reference="C1", made_at=found.now)
    said = [json.dumps(made)]
    for language in LANGUAGES:
        page = written(found, language, complaints=True)
        said += [pages.html(page).decode(), pdf_text(pages.pdf(page))]
    for text in said:
        assert "Sentinel" not in text
        assert "+000111222" not in text


# -- how it is written ---------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_accessible_and_loads_nothing(road: Road, language: str) -> None:
    raw = pages.html(written(read(road.hub.exchange, "C1"), language))
    page = Page(raw)
    assert page.every("html") == [{"lang": language}]
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert {one.get("scope") for one in page.every("th")} == {"col", "row"}
    assert len(page.every("caption")) == len(page.every("table")) > 5
    assert page.every("script", "link", "img", "iframe", "object", "form", "a") == []
    names = {name for _, attributes in page.tags for name in attributes}
    assert names <= {
        "lang", "charset", "name", "content", "http-equiv", "scope", "class", "id",
        "aria-labelledby", "data-label",
    }  # fmt: skip
    assert b"url(" not in raw
    assert b"@import" not in raw
    referred_to = {one["aria-labelledby"] for one in page.every("section")}
    assert referred_to == {one["id"] for one in page.every("h2")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_document_has_its_text_language_title_and_tags(road: Road, language: str) -> None:
    page = written(read(road.hub.exchange, "C1"), language)
    made = pages.pdf(page)
    opened_ = pypdf.PdfReader(io.BytesIO(made))
    assert opened_.metadata is not None
    assert opened_.metadata.title == page.title
    root = opened_.trailer["/Root"]
    assert root["/Lang"] == language
    assert root["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in root
    text = pdf_text(made)
    for section in page.sections:
        assert flat(section.heading) in text
        for table in (*section.tables, *(table for part in section.parts for table in part.tables)):
            assert all(flat(column) in text for column in table.columns)
    for right in ("right_withdraw", "right_object", "right_complain"):
        # Lines may be broken at a hyphen; the beginning is on one line.
        assert flat(Wording.load(language).say(right))[:40] in text


def test_no_heading_is_left_alone_at_the_foot_of_a_page(road: Road) -> None:
    words = Wording.load("en")
    found = read(road.hub.exchange, "C1")
    alone = {section.heading for section in written(found).sections}
    feet = []
    for paragraphs in range(0, 40, 4):  # wherever the page ends
        page = written(found)
        page.sections[0].paragraphs += ["A line."] * paragraphs
        for sheet in pypdf.PdfReader(io.BytesIO(pages.pdf(page))).pages[:-1]:
            *_, foot, _ = sheet.extract_text().strip().splitlines()  # the last is the page's number
            feet.append(foot.strip())
    assert len(set(feet)) > 10
    assert not alone & set(feet)
    assert not any(foot.endswith(words.say("withheld_intro")[-20:]) for foot in feet)


def test_hostile_names_are_text_and_nothing_else(road: Road) -> None:
    found = read(road.hub.exchange, "C1")
    agencies = {
        agency: AgencyName(f"{HOSTILE} {agency}", known.role)
        for agency, known in found.agencies.items()
    }
    page = statement(
        found.account, agencies, Wording.load("en"), reference=HOSTILE,
        made_on=found.now.date(), contact=f"{HOSTILE} helpline",
    )  # fmt: skip
    html = Page(pages.html(page))
    assert html.every("script") == []
    assert f"{HOSTILE} POL-1" in html.text
    text = pdf_text(pages.pdf(page))
    for part in ("<script>alert(1)</script>", '#panic("x")', "*b*", "$x$", "{{ it }}", "[c]"):
        assert part in text


def test_discreetly_no_agency_is_named(road: Road) -> None:
    page = written(read(road.hub.exchange, "C1"), discreet=True)
    text = Page(pages.html(page)).text
    assert page.title == "Your information"
    assert not any(agency in text for agency in road.identities)
    assert "Police" in text
    assert "Safe housing" in text


def test_two_of_one_kind_are_told_apart_discreetly_and_of_one_name_openly() -> None:
    from hub.person.account import Account, Told

    now = START
    told = [
        Told(agency, f"e{n}", "CaseOpened", "identity", "public_task", now, n, n, "received")
        for n, agency in enumerate(("A-1", "A-2"))
    ]
    agencies = {"A-1": AgencyName("House", "shelter"), "A-2": AgencyName("House", "shelter")}
    for discreet, names in (
        (True, ["Safe housing", "Safe housing (2)"]),
        (False, ["House (A-1)", "House (A-2)"]),
    ):
        page = statement(
            Account(told=told), agencies, Wording.load("en"), reference="C1", made_on=now.date(),
            discreet=discreet,
        )  # fmt: skip
        [section] = [one for one in page.sections if one.heading == "Who got what, and why"]
        assert [part.heading for part in section.parts] == names


# -- other cases -----------------------------------------------------------------------------------


def test_a_case_of_which_nothing_was_passed_on(tmp_path: Path) -> None:
    road = opened(tmp_path)
    found = read(road.hub.exchange, "C1")
    road.close()
    text = Page(pages.html(written(found))).text
    assert "Nothing about you was passed on to anybody." in text
    assert "Nobody used emergency access." in text
    assert pdf_text(pages.pdf(written(found)))


def test_after_an_erasure_it_says_so_and_what_remains(copied: Callable[[], Road]) -> None:
    road = copied()
    for agency in ("POL-1", "CA-1", "SH-1"):
        road.partner(agency)
    says(
        road, "NGO-1", "SubjectRequestDecided", request_id="q1", outcome="granted",
        exemption="none", action="key_destroyed",
    )  # fmt: skip
    found = read(road.hub.exchange, "C1")
    road.close()
    assert [one.erased for one in found.account.events] == [True] * 16 + [False]
    authority = got(found, "CA-1")
    assert {state for _, _, state in authority} <= {"deleted", "received"}
    assert ("identity", "consent:c1", "deleted") in authority
    for language in LANGUAGES:
        wording = Wording.load(language)
        text = flat(Page(pages.html(written(found, language))).text)
        assert flat(wording.say("erased")) in text
        assert flat(wording.say("erased_remains")) in text
        assert text.count(wording.say("days_erased")) == 16


def test_after_the_operators_erasure_it_promises_no_more_than_was_done(tmp_path: Path) -> None:
    road = opened(tmp_path)
    consented(road)
    identified(road)
    road.hub.shredder.shred(road.hub.exchange.pseudonyms.canonical("subject", "C1"))
    text = flat(Page(pages.html(written(read(road.hub.exchange, "C1")))).text)
    road.close()
    assert "Ask us if the others were told to delete what they have." in text
    assert "Everybody who had something was asked to delete it." not in text


def test_what_a_withdrawal_stopped_on_the_way_counts_as_not_passed_on(tmp_path: Path) -> None:
    road = opened(tmp_path)
    consented(road)
    referred(road, "CA-1")
    assert road.publish("NGO-1", "RiskAssessed", "C1", risk_id="k1", level="high",
                        reviewed_by="2026-04-01", scope="current").accepted  # fmt: skip
    assert road.publish("NGO-1", "ConsentWithdrawn", "C1", consent_id="c1", extent="all",
                        leave_nrm=False).accepted  # fmt: skip
    before = read(road.hub.exchange, "C1")
    assert ("protection", "consent:c1", "asked_back") in got(before, "CA-1")
    road.settle()
    found = read(road.hub.exchange, "C1")
    road.close()
    protection = {state for category, _, state in got(found, "CA-1") if category == "protection"}
    assert protection == {"stopped"}
    kept = {(one.agency, one.category): one.reason for one in found.account.kept}
    assert kept["CA-1", "protection"] == "stopped"
    assert {one.state for one in found.account.agreements} == {"withdrawn"}
    text = flat(Page(pages.html(written(found))).text)
    assert Wording.load("en").of("reasons", "stopped") in text


def test_unknown_cases_are_one_answer(road: Road) -> None:
    for case in ("C2", "", "nc-" + "0" * 32, "'; DROP TABLE"):
        with pytest.raises(Refused) as refused:
            read(road.hub.exchange, case)
        assert refused.value.reason == "unknown_case"


def test_thousands_of_steps_are_told_with_progress(tmp_path: Path) -> None:
    road = opened(tmp_path, {"NGO-1": "ngo_support", "CA-1": "competent_authority"})
    consented(road, {"CA-1": ["protection"]})
    referred(road, "CA-1")
    many = [
        road.event("RiskAssessed", "C1", risk_id=f"k{n}", level="high", reviewed_by="2026-04-01",
                   scope="current") for n in range(700)
    ]  # fmt: skip
    assert all(one.accepted for one in road.publish_all("NGO-1", many))
    road.settle()
    seen: list[tuple[int, int]] = []
    found = read(road.hub.exchange, "C1", tell=lambda done, of: seen.append((done, of)))
    road.close()
    assert seen[-1] == (2, 2)
    page = written(found)
    assert Page(pages.html(page)).text.count("Dangers to you were checked") == 700
    assert len(pypdf.PdfReader(io.BytesIO(pages.pdf(page))).pages) > 10
