"""Answers of a partner's system, changed on their way: any place, any value, cut off, other status.

given a sink that works, when some of what comes back is changed
then each attempt ends well or in one of our errors, which tells nothing of any content
and with good answers the same batch is applied
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pytest

from connectors.conformance import CANARY
from connectors.errors import ConnectorError
from connectors.remote.outbound import Answer, Outbound
from connectors.sink import Batch, Sink
from tests.odd import ODD, places, put

_MORE: Final = (10**400, float("nan"), float("inf"), "\ud800", f"a\nb{CANARY}", {"a": {"a": []}})
_CUT: Final = (b"", b"\xff\xfe", b"<html>", b"\0", b'{"a": 1, "a": 2}', b"[" * 3000)
_STATUS: Final = (200, 201, 204, 400, 404, 409, 410, 412, 413, 418, 422)


class Tampering:
    """rate: how many of the answers are changed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, real: Callable[..., Answer]) -> None:
        self.chance = random.Random(20261127)
        self.rate = 0.0
        self.done: list[str] = []

        def request(outbound: Outbound, method: str, path: str, **more: Any) -> Answer:
            answer = real(outbound, method, path, **more)
            if self.chance.random() < self.rate:
                answer = self._changed(answer)
                self.done.append(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
            return answer

        monkeypatch.setattr(Outbound, "request", request)

    @contextmanager
    def at(self, rate: float) -> Iterator[None]:
        self.rate = rate
        yield
        self.rate = 0.0

    def attempt(self, act: Callable[[], object], log: pytest.LogCaptureFixture) -> bool:
        """Whether it ended well."""
        self.done.clear()
        try:
            act()
        except Exception as wrong:
            told = str(wrong)
            if not isinstance(wrong, ConnectorError) or len(told) > 2000 or CANARY in told:
                raise AssertionError("; ".join(self.done)) from wrong
            return False
        finally:
            assert CANARY not in log.text
        return True

    def applied(self, sink: Sink, batches: Sequence[Batch], log: pytest.LogCaptureFixture) -> None:
        """Each batch, through changed answers and at last through good ones."""
        for batch in batches:
            with self.at(0.4):
                done = any(self.attempt(lambda: sink.apply(batch), log) for _ in range(5))  # noqa: B023
            if not done:
                sink.apply(batch)
            with self.at(0.5):
                self.attempt(sink.landed, log)  # type: ignore[attr-defined]
                self.attempt(sink.check, log)  # type: ignore[attr-defined]

    def _changed(self, answer: Answer) -> Answer:
        what = self.chance.random()
        if what < 0.05:
            return Answer(self.chance.choice(_STATUS), answer.headers, answer.body)
        if what < 0.15 or not answer.body:
            at = self.chance.randrange(len(answer.body) + 1)
            body = answer.body[:at] + self.chance.choice(_CUT)
            return Answer(answer.status, answer.headers, body)
        document = json.loads(answer.body)
        where = list(places(document))
        new = self.chance.choice([*ODD, *_MORE])
        changed = put(document, self.chance.choice(where), new) if where else new
        return Answer(answer.status, answer.headers, json.dumps(changed).encode())
