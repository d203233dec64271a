"""An OpenID provider that lies: answers on loopback are whatever a test puts there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import RSAKey

Answer = Callable[["Hostile", dict[str, list[str]]], Any]


@dataclass
class Hostile:
    """A provider whose every answer can be replaced by path. Honest until then."""

    url: str
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1"}))
    answers: dict[str, Answer] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)  # in place of, or beside, honest ones
    asked: list[str] = field(default_factory=list)

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/auth",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "authorization_response_iss_parameter_supported": True,
        }

    def keys(self) -> dict[str, Any]:
        return {"keys": [{**self.key.as_dict(private=False), "use": "sig"}]}

    def id_token(self, nonce: str = "n", **other: Any) -> str:
        now = int(time.time())
        said = {
            "iss": self.url,
            "aud": "nrm-console",
            "sub": "ana",
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            **self.claims,
            **other,
        }
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, said, self.key)

    def answer(self, path: str, form: dict[str, list[str]]) -> Any:
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path](self, form)
        if path == "/.well-known/openid-configuration":
            return self.metadata()
        if path == "/jwks":
            return self.keys()
        if path == "/token":  # the code is the nonce: who made the test knows it
            return {"id_token": self.id_token(form["code"][0]), "access_token": "at"}
        return None


@contextmanager
def hostile() -> Iterator[Hostile]:
    """Listening; an answer of bytes is sent as it is, an int as a status, a str as a redirect."""
    told: list[Hostile] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.reply({})

        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            self.reply(parse_qs(self.rfile.read(size).decode()))

        def reply(self, form: dict[str, list[str]]) -> None:
            answer = told[0].answer(self.path.partition("?")[0], form)
            if callable(answer):
                answer(self)
                return
            status, body, headers = 200, b"", {}
            if isinstance(answer, int) or answer is None:
                status = answer or 404
            elif isinstance(answer, str):
                status, headers = 302, {"location": answer}
            else:
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # the other side had enough, which some tests are about
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.append(Hostile(f"http://127.0.0.1:{server.server_address[1]}"))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield told[0]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
