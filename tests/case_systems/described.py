"""A server made from an OpenAPI description: its routes, what may be asked, what may be answered.

The description says which requests there are; what they do is a class with a method per
operationId. A request that the description does not allow gets 400 and is kept in `violations`,
as is an answer of ours that it does not allow: a test that ends with violations has failed.

It is as strict as the description, and no more like the real system than that.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from jsonschema import Draft202012Validator


@dataclass(frozen=True)
class Asked:
    """An allowed request. account: who asks, as authenticate() said."""

    operation: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    account: Any


@dataclass(frozen=True)
class Told:
    """An answer. body None: no content. headers: besides the usual ones."""

    status: int
    body: Any = None
    headers: Mapping[str, str] | None = None


class Behaviour(Protocol):
    """What the operations do; a method per operationId: Asked → Told."""

    def authenticate(self, headers: Mapping[str, str]) -> Any:
        """The account, or None."""

    def refusal(self, status: int, path: str, text: str) -> Any:
        """The body of an answer that is not an operation's."""


Disturbance = Callable[[str], str | None]
"""Operation → what goes wrong: "lost" (done, but the answer is cut off), "down" (503), …"""


class Described:
    """One description, served. `disturb` may be set by a test; `violations` must stay empty."""

    def __init__(self, description: Path, behaviour: Behaviour) -> None:
        self.document = json.loads(description.read_text("utf-8"))
        self.behaviour = behaviour
        self.violations: list[str] = []
        self.disturb: Disturbance = lambda operation: None
        self.lock = threading.Lock()
        self._validators: dict[int, Draft202012Validator] = {}
        base = urlsplit(self.document["servers"][0]["url"]).path.rstrip("/")
        self._routes = [
            ((base + path).strip("/").split("/"), methods)
            for path, methods in self.document["paths"].items()
        ]

    # -- what is allowed -------------------------------------------------------------------

    def answer(self, method: str, url: str, headers: Mapping[str, str], raw: bytes) -> Told:
        parts = urlsplit(url)
        found = self._route(method, parts.path)
        if found is None:
            self.violations.append(f"no such request: {method} {parts.path}")
            return Told(404, self.behaviour.refusal(404, parts.path, "no such request"))
        operation, path = found
        name = operation["operationId"]
        account = None
        if operation.get("security", self.document.get("security")):
            account = self.behaviour.authenticate(headers)
            if account is None:
                return Told(401, self.behaviour.refusal(401, parts.path, "unauthorized"))
        query = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        try:
            self._parameters(operation, path, query)
            body = self._body(operation, headers, raw)
        except ValueError as wrong:
            self.violations.append(f"{name}: {wrong}")
            return Told(400, self.behaviour.refusal(400, parts.path, str(wrong)))
        with self.lock:
            told: Told = getattr(self.behaviour, name)(Asked(name, path, query, body, account))
        self._allowed(operation, told)
        return told

    def _route(self, method: str, path: str) -> tuple[dict[str, Any], dict[str, str]] | None:
        steps = path.strip("/").split("/")
        for template, methods in self._routes:
            if len(template) != len(steps) or method.lower() not in methods:
                continue
            pairs = list(zip(template, steps, strict=True))
            if all(t.startswith("{") or t == s for t, s in pairs):
                return methods[method.lower()], {
                    t.strip("{}"): s for t, s in pairs if t.startswith("{")
                }
        return None

    def _parameters(
        self, operation: dict[str, Any], path: Mapping[str, str], query: Mapping[str, str]
    ) -> None:
        known = {(p["in"], p["name"]): p for p in map(self._deref, operation.get("parameters", []))}
        for where, given in (("path", path), ("query", query)):
            for name, value in given.items():
                if (where, name) not in known:
                    raise ValueError(f"unknown parameter {name}")
                self._fits(known[where, name]["schema"], value, f"parameter {name}")
        for (where, name), one in known.items():
            if one.get("required") and name not in (path if where == "path" else query):
                raise ValueError(f"parameter {name} is missing")

    def _body(self, operation: dict[str, Any], headers: Mapping[str, str], raw: bytes) -> Any:
        wanted = operation.get("requestBody")
        if wanted is None:
            if raw:
                raise ValueError("a body is not expected")
            return None
        if headers.get("content-type", "").split(";")[0] != "application/json":
            raise ValueError("the body is not application/json")
        body = json.loads(raw)
        self._fits(wanted["content"]["application/json"]["schema"], body, "body")
        return body

    def _allowed(self, operation: dict[str, Any], told: Told) -> None:
        responses = operation["responses"]
        if str(told.status) not in responses:
            self.violations.append(f"{operation['operationId']}: undescribed {told.status}")
            return
        content = self._deref(responses[str(told.status)]).get("content")
        if content is None:
            if told.body is not None:
                self.violations.append(f"{operation['operationId']}: a body with {told.status}")
            return
        try:
            self._fits(content["application/json"]["schema"], told.body, f"answer {told.status}")
        except ValueError as wrong:
            self.violations.append(f"{operation['operationId']}: {wrong}")

    def _fits(self, schema: dict[str, Any], value: Any, what: str) -> None:
        validator = self._validators.get(id(schema))  # of the document, so never of another
        if validator is None:
            validator = Draft202012Validator({**schema, "components": self.document["components"]})
            self._validators[id(schema)] = validator
        error = next(validator.iter_errors(value), None)
        if error is not None:
            raise ValueError(f"{what}: {error.json_path} {error.message[:200]}")

    def _deref(self, one: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in one:
            found: Any = self.document
            for step in one["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            return dict(found)
        return one

    # -- serving ---------------------------------------------------------------------------

    def server(self, port: int = 0) -> ThreadingHTTPServer:
        described = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                """Quiet."""

            def _handle(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                found = described._route(self.command, urlsplit(self.path).path)
                wrong = described.disturb(found[0]["operationId"]) if found else None
                if wrong is not None and wrong != "lost":
                    self._misbehave(wrong)
                    return
                told = described.answer(self.command, self.path, headers, raw)
                if wrong == "lost":
                    self.close_connection = True
                    return
                self._send(told)

            def _misbehave(self, how: str) -> None:
                """A status, or words sent as they are with 200."""
                if how.isdigit():
                    self._send(Told(int(how), {}))
                    return
                data = how.encode()
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _send(self, told: Told) -> None:
                data = b"" if told.body is None else json.dumps(told.body).encode()
                self.send_response(told.status)
                self.send_header("content-type", "application/json")
                for name, value in (told.headers or {}).items():
                    self.send_header(name, value)
                if told.status != 204:
                    self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        return server

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its address, while it runs."""
        server = self.server()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
