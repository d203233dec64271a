"""Whatever is posted to the form, a page answers: what does not do stands beside its field."""

from __future__ import annotations

import random
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from connectors.errors import TransportDownError
from connectors.form.app import Desk, create_form
from connectors.form.asking import asked_of
from connectors.submit import Event, Publisher
from tests.connectors.builder import MiniHub

ORIGIN = "http://127.0.0.1:8000"
TYPED = (
    "", "x", "\0", "yes", "2026-01-01", "0001-01-01T00:00", "9999-12-31T23:59", "2026-03-29T02:30",
    "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "1e5", "-1", "9" * 5000, "[1", "[" * 2000,
    "{}", '{"a":1,"a":2}', "é" * 3000, "12.50", "EUR", "nc-1", "a;b", ";", "\u202e",
    "x\r\ny", "\u0661",
)  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder: Path = tmp_path_factory.mktemp("odd-posts")
    publisher = Publisher(MiniHub().enrol(folder, "NGO-1", "ngo_support"))

    def publish(event: Event) -> None:
        publisher.prepare([event])
        raise TransportDownError("away")

    def foretell(event: Event) -> dict[str, object]:
        publisher.prepare([event])
        return {"refused": None, "agencies": []}

    return Desk(publisher._identity, publish, foretell)


@pytest.fixture
def client(desk: Desk) -> TestClient:
    return TestClient(create_form(desk, "s3", 8000), base_url=ORIGIN, headers={"origin": ORIGIN})


@pytest.mark.parametrize("at", [one for one in TYPED if one.startswith(("0001", "9999"))])
def test_times_at_the_ends_of_the_calendar(at: str, client: TestClient) -> None:
    sent = [("e.type", "CaseOpened"), ("e.case", "C-1"), ("f.jurisdiction", "XX")]
    sent += [("f.channel", "outreach"), ("f.age_status", "adult"), ("e.occurred_at", at)]
    page = client.post("/s3/preview", content=urlencode(sent))
    # Without an offset it is this machine's time, and then 9999 is a year as good as any.
    assert page.status_code in ((200, 422) if at == "9999-12-31T23:59" else (422,))


def test_whatever_is_posted(desk: Desk, client: TestClient) -> None:
    chance = random.Random(20261127)
    for _ in range(250):
        schema = desk.types[chance.choice(list(desk.types))]
        sent = [("e.type", schema.type), ("e.case", chance.choice(["C-1", *TYPED]))]
        sent += [(f"e.{name}", chance.choice(TYPED)) for name in ("occurred_at", "event_id")]
        sent += [("e.corrects_type", chance.choice([*desk.types, *TYPED]))]
        for asked in asked_of(schema):
            some = list(asked.options) or TYPED
            sent.append((f"f.{asked.name}", chance.choice(chance.choice([some, TYPED]))))
            if chance.random() < 0.1:
                sent.append((f"f.{asked.name}.others", chance.choice(TYPED)))
            if chance.random() < 0.1:
                sent.append((f"f.{asked.name}.0.agency", chance.choice(TYPED)))
        page = client.post(
            f"/s3/{chance.choice(['fill', 'preview', 'send'])}", content=urlencode(sent)
        )
        assert page.status_code in (200, 422, 503), sent
