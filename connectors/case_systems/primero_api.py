"""The few requests to Primero (API v2) that the connector makes, and what their answers mean.

    GET    /api/v2/forms, lookups                    the configuration
    GET    /api/v2/users/refer-to                    who can be referred to
    GET    /api/v2/cases/{id}                        a case as it is
    POST   /api/v2/cases, PATCH /api/v2/cases/{id}   made with our id, or changed in part
    DELETE /api/v2/cases/{id}                        disabled: Primero deletes no case
    …      /api/v2/cases/{id}/referrals              listed, made, revoked

An answer that is not Primero's is an outage: it says nothing about a delivery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from connectors.case_systems.primero_forms import Forms, read_forms
from connectors.errors import SinkDownError
from connectors.remote.outbound import Answer, Outbound

_CASES: Final = "/api/v2/cases"
_MOST_PAGES: Final = 50
_BROKEN: Final = (KeyError, TypeError, AttributeError, ValueError, RecursionError)


class Refused(Exception):
    """A 4xx about what was sent. fields: names the answer gives; anything else of it is dropped."""

    def __init__(self, status: int, fields: Sequence[str]) -> None:
        super().__init__(status)
        self.status = status
        self.fields = tuple(fields)

    def told(self) -> str:
        about = f" about {', '.join(self.fields)}" if self.fields else ""
        return f"Primero answered {self.status}{about}"


class PrimeroApi:
    """One instance. Every method: SinkDownError when it is away or answers nonsense."""

    def __init__(self, http: Outbound) -> None:
        self._http = http

    def close(self) -> None:
        self._http.close()

    def forms(self) -> Forms:
        try:
            return read_forms(
                self._list("/api/v2/forms", {"record_type": "case"}),
                self._pages("/api/v2/lookups"),
            )
        except _BROKEN:
            raise _not_primero("forms") from None

    def receivers(self) -> frozenset[str]:
        """User names that referrals can go to."""
        users = self._list("/api/v2/users/refer-to", {"record_type": "case"})
        try:
            return frozenset(str(one["user_name"]) for one in users)
        except _BROKEN:
            raise _not_primero("users") from None

    def case(self, record: str) -> dict[str, Any] | None:
        """The case as this account sees it; None if there is none."""
        answer = self._http.request("GET", f"{_CASES}/{record}")
        if answer.status == 404:
            return None
        data = _data(answer, "case")
        if not isinstance(data, dict):
            raise _not_primero("case")
        return data

    def create(self, data: Mapping[str, Any], names: frozenset[str]) -> bool:
        """Make a case under the id in `data`; False if there is one by now. Refused."""
        answer = self._http.request("POST", _CASES, json_body={"data": data})
        if answer.status == 409:
            return False
        self._taken(answer, names)
        return True

    def update(self, record: str, data: Mapping[str, Any], names: frozenset[str]) -> None:
        """Merge into a case. Refused."""
        path = f"{_CASES}/{record}"
        self._taken(self._http.request("PATCH", path, json_body={"data": data}), names)

    def disable(self, record: str) -> None:
        self._taken(self._http.request("DELETE", f"{_CASES}/{record}"), frozenset())

    def referrals(self, record: str) -> list[dict[str, Any]]:
        return self._list(f"{_CASES}/{record}/referrals", {})

    def refer(self, record: str, data: Mapping[str, Any], names: frozenset[str]) -> None:
        """Refused."""
        path = f"{_CASES}/{record}/referrals"
        self._taken(self._http.request("POST", path, json_body={"data": data}), names)

    def revoke(self, record: str, referral: str) -> None:
        path = f"{_CASES}/{record}/referrals/{referral}"
        self._taken(self._http.request("DELETE", path), frozenset())

    # -- answers ---------------------------------------------------------------------------

    def _taken(self, answer: Answer, names: frozenset[str]) -> None:
        if answer.good:
            return
        if answer.status == 404:
            raise SinkDownError("Primero has no such case or call: check the address")
        found: dict[str, None] = {}
        try:
            for error in answer.json()["errors"]:
                words = error.get("detail") or ()
                for word in [words] if isinstance(words, str) else words:
                    found.update({part: None for part in str(word).split("/") if part in names})
        except _BROKEN:
            raise _not_primero("change") from None
        raise Refused(answer.status, list(found))

    def _list(self, path: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
        data = _data(self._http.request("GET", path, params=params or None), path)
        if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
            raise _not_primero(path)
        return data

    def _pages(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in range(1, _MOST_PAGES + 1):
            more = self._list(path, {"per": "1000", "page": str(page)})
            found += more
            if len(more) < 1000:
                break
        return found


def _data(answer: Answer, what: str) -> Any:
    if not answer.good:
        raise SinkDownError(
            f"Primero answered {answer.status} when asked for {what}: check the address and what "
            "the account may see"
        )
    said = answer.json()
    if not isinstance(said, dict) or "data" not in said:
        raise _not_primero(what)
    return said["data"]


def _not_primero(what: str) -> SinkDownError:
    return SinkDownError(
        f"the answer about {what} is not Primero's: check the address, and that nothing stands "
        "between"
    )
