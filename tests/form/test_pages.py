"""The form: every event type has one, what is typed becomes one event, and nothing of it stays."""

from __future__ import annotations

import json
import re
import secrets
from html import unescape
from pathlib import Path

import httpx2
import pytest

from connectors import form
from connectors.errors import TransportDownError
from connectors.form.app import Desk
from connectors.form.asking import NOT_ASKED, asked_of, types_for
from connectors.form.words import LANGUAGES, texts
from hub.domain.reasons import REFUSED
from schemas.registry import Schemas
from tests.form.conftest import Office, served

FORM_TEXTS = Path(form.__file__).parent / "texts"
CANARY = "Zlatanova-Canary"
OPENED = [("f.jurisdiction", "XX"), ("f.channel", "outreach"), ("f.age_status", "adult")]


def case_of() -> str:
    return f"F-{secrets.token_hex(4)}"


def opened(case: str) -> list[tuple[str, str]]:
    return [("e.type", "CaseOpened"), ("e.case", case), *OPENED]


def hidden(page: httpx2.Response, action: str) -> list[tuple[str, str]]:
    """The fields the form to `action` carries."""
    found = re.search(rf'action="[^"]*/{action}\?.*?</form>', page.text, re.DOTALL)
    assert found is not None, page.text
    pairs = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', found[0])
    return [(name, unescape(value)) for name, value in pairs]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_event_of_the_role_has_a_form(office: Office, language: str) -> None:
    listed = office.get(f"/?lang={language}").text
    for schemas in types_for("ngo_support").values():
        for schema in schemas:
            assert f"type={schema.type}&" in listed
            page = office.get(f"/fill?type={schema.type}&lang={language}")
            assert page.status_code == 200
            for asked in asked_of(schema):
                assert f'name="f.{asked.name}' in page.text, (schema.type, asked.name)
                assert f'id="f.{asked.name}"' in page.text
            for field in re.findall(r'<label for="([^"]+)"', page.text):
                assert f'id="{field}"' in page.text


def test_a_form_for_every_role_and_type() -> None:
    """No schema has a field that no form can ask."""
    schemas = Schemas.load()
    for name in set(schemas.types()) - NOT_ASKED:
        kinds = {asked.kind for asked in asked_of(schemas.by_type(name))}
        assert kinds <= {
            *("choice", "known", "choices", "list", "yes_no", "date", "instant", "number"),
            *("money", "scope", "text", "long"),
        }


def test_french_has_a_word_for_all_that_is_asked() -> None:
    english, french = texts("en"), texts("fr")
    schemas = Schemas.load()
    for name in set(schemas.types()) - NOT_ASKED:
        schema = schemas.by_type(name)
        assert f"event.{name}" in french
        assert f"group.{schema.group}" in french
        for asked in asked_of(schema):
            assert f"field.{asked.name}" in french, asked.name
            assert not asked.category or f"category.{asked.category}" in french
    for key in english:
        if key.partition(".")[0] not in ("field", "event", "code"):
            assert key in french, key


def test_fill_in_see_and_send(office: Office) -> None:
    case = case_of()
    before = len(office.recorded())
    preview = office.post("/preview?lang=en", *opened(case))
    assert preview.status_code == 200
    assert len(office.recorded()) == before  # nothing has been sent
    assert case in preview.text
    sent = office.post("/send?lang=en", *hidden(preview, "send"))
    assert sent.status_code == 200
    assert "Accepted" in sent.text
    assert len(office.recorded()) == before + 1


def test_the_same_form_sent_twice_is_one_event(office: Office) -> None:
    preview = office.post("/preview", *opened(case_of()))
    before = len(office.recorded())
    for _ in range(3):
        assert "Accepted" in office.post("/send", *hidden(preview, "send")).text
    assert len(office.recorded()) == before + 1


def test_what_does_not_do_is_named_and_kept_in_the_form(office: Office) -> None:
    page = office.post(
        "/preview?lang=fr", ("e.type", "CaseOpened"), ("e.case", ""), ("f.jurisdiction", "XX")
    )
    assert page.status_code == 422
    assert 'role="alert"' in page.text
    assert 'href="#e.case"' in page.text
    assert 'href="#f.channel"' in page.text
    assert "Cette donnée est obligatoire" in page.text
    assert 'value="XX"' in page.text


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("e.case", "x" * 300, "Shorten it."),
        ("e.case", "a\x01b", "Remove control characters"),
        ("e.subject", "y" * 300, "Shorten it."),
        ("e.subject", "", "This is needed."),
        ("e.occurred_at", "yesterday", "Give a date and a time."),
        ("e.corrects_type", "", "This is needed."),
        ("f.field", "no_such", "no such field"),
        ("f.corrects_event", "", "This is needed."),
    ],
)
def test_a_mistake_stands_beside_its_field(
    office: Office, name: str, value: str, says: str
) -> None:
    good = {
        "e.type": "RecordCorrected", "e.case": "nc-" + "0" * 32, "e.subject": "ns-" + "0" * 32,
        "e.corrects_type": "CaseOpened", "f.field": "channel", "f.new_value": "outreach",
        "f.corrects_event": "00000000-0000-4000-8000-000000000001", "e.occurred_at": "",
    }  # fmt: skip
    page = office.post("/preview?lang=en", *{**good, name: value}.items())
    assert page.status_code == 422
    assert re.findall(r'href="#([^"]*)"', page.text)[-1:] == [name]
    control = re.search(rf'<\w+ id="{re.escape(name)}"[^>]*>', page.text)
    assert control is not None
    assert 'aria-invalid="true"' in control[0]
    assert f"{name}-error" in control[0]
    assert says in page.text.split(f'id="{name}-error"')[1][:200]


def test_a_consent_with_its_scope_and_what_follows(office: Office) -> None:
    case = case_of()
    office.post("/send", *hidden(office.post("/preview", *opened(case)), "send"))
    consent = [
        ("e.type", "ConsentGiven"), ("e.case", case), ("f.consent_id", "c1"),
        ("f.given_by", "self"), ("f.purposes", "assistance"), ("f.covers_history", "yes"),
        ("f.scope.0.agency", "SH-1"), ("f.scope.0.categories", "contact"),
        ("f.scope.0.categories", "identity"), ("f.valid_until", "2099-01-01"),
        ("f.method", "written"), ("f.notice_version", "n1"), ("f.withdrawal_channel", "any agency"),
    ]  # fmt: skip
    preview = office.post("/preview?lang=en", *consent)
    assert "SH-1" in preview.text, preview.text
    assert "Accepted" in office.post("/send?lang=en", *hidden(preview, "send")).text
    half = [pair for pair in consent if pair[0] != "f.scope.0.agency"]
    assert "Give each agency once" in office.post("/preview?lang=en", *half).text


def test_a_refusal_is_foretold_and_told(office: Office) -> None:
    names = ("safe_to_call", "safe_to_email", "safe_to_post", "interpreter_needed")
    case = case_of()
    fields = [("e.type", "ContactPreferenceRecorded"), ("e.case", case), ("f.language", "en")]
    fields += [(f"f.{name}", "no") for name in names]
    preview = office.post("/preview?lang=en", *fields)
    assert "would refuse" in preview.text
    sent = office.post("/send?lang=en", *hidden(preview, "send"))
    assert "Refused" in sent.text
    again = office.post("/fill?lang=en", *hidden(sent, "fill"))
    assert case in again.text  # to be changed; a new preview makes it another event


def test_while_the_hub_is_away_nothing_is_lost(office: Office) -> None:
    def away(_: object) -> None:
        raise TransportDownError("the hub does not answer: test")

    with served(Desk(office.identity, away, away)) as port:  # type: ignore[arg-type]
        alone = Office(office.hub, office.identity, port, office.client)
        case = case_of()
        preview = alone.post("/preview?lang=en", *opened(case))
        assert "No preview" in preview.text
        sent = alone.post("/send?lang=en", *hidden(preview, "send"))
        assert sent.status_code == 503
        assert hidden(sent, "send") == hidden(preview, "send")  # the same event, to be sent again
        assert case in sent.text


def test_nothing_typed_is_kept(
    office: Office, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    fields = [*opened(case_of()), ("f.local_case_ref", CANARY)]
    preview = office.post("/preview", *fields)
    sent = office.post("/send", *hidden(preview, "send"))
    assert "Accepted" in sent.text
    assert CANARY in preview.text
    assert CANARY not in sent.text
    assert CANARY not in office.get("/fill?type=CaseOpened").text
    assert "set-cookie" not in {name.lower() for name in sent.headers}
    assert CANARY not in caplog.text
    left = [path for path in office.identity.home.rglob("*") if path.is_file()]
    assert left
    assert not any(CANARY.encode() in path.read_bytes() for path in left)


def test_what_is_typed_is_no_markup(office: Office) -> None:
    nasty = "<script>alert(1)</script>\"'>"
    page = office.post("/preview", *opened(nasty), ("f.local_case_ref", nasty))
    assert "<script>" not in page.text
    assert hidden(page, "send")[1] == ("e.case", nasty)


@pytest.mark.parametrize("language", set(LANGUAGES) - {"en"})
def test_nothing_that_is_asked_is_left_in_english(language: str) -> None:
    """Events, fields, what they are, and every code there is to choose from."""
    said = json.loads((FORM_TEXTS / f"{language}.json").read_text("utf-8"))
    schemas = Schemas.load()
    for name in set(schemas.types()) - NOT_ASKED:
        schema = schemas.by_type(name)
        wanted = {f"event.{name}", f"group.{schema.group}"}
        for asked in asked_of(schema):
            wanted.add(f"field.{asked.name}")
            wanted |= {f"category.{asked.category}"} if asked.category else set()
            wanted |= {f"code.{one}" for one in asked.options} if asked.kind != "scope" else set()
            wanted |= {f"list.{one.id}" for one in asked.lists}
        assert wanted - said.keys() == set(), name
    assert {f"refusal.{one}" for one in REFUSED} - said.keys() == set()
