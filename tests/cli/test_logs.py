"""Logs hold listed fields only, and results stay apart from them."""

from __future__ import annotations

import ast
import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from hub.cli import logs
from tests.cli.programs import ROOT, nrm

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged_fields() -> Iterator[tuple[str, str]]:
    """(file, field) of every structured log call in the hub and its consumers."""
    for package in ("hub", "consumers"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text("utf-8")
            if "structlog" not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                if not isinstance(node, ast.Call):
                    continue
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else ""
                if name in LEVELS or (isinstance(called, ast.Name) and called.id == "say"):
                    for keyword in node.keywords:
                        yield path.name, keyword.arg or "**"


def test_every_field_that_is_logged_is_on_the_list() -> None:
    found = set(logged_fields())
    assert ("edge.py", "route") in found
    assert {field for _, field in found} <= logs.FIELDS


def test_a_field_that_is_not_on_the_list_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    logs.configure()
    try:
        structlog.get_logger("x").warning("loop_failed", loop="ingest", name="Person")
    finally:
        structlog.reset_defaults()
    told = json.loads(out.getvalue())
    assert told["loop"] == "ingest"
    assert told["level"] == "warning"
    assert "Person" not in out.getvalue()


def test_the_brokers_client_is_silent() -> None:
    """Its failures become our own errors, one line each; its own lines come by the dozen."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logging.getLogger().addHandler(handler)
    try:
        logs.configure()
        logging.getLogger("kafka.net.manager").error("Connection failed")
        logging.getLogger("connectors.runner").warning("partner_down")
    finally:
        structlog.reset_defaults()
        logging.getLogger().removeHandler(handler)
    assert out.getvalue() == "partner_down\n"


def test_results_are_apart_from_logs() -> None:
    done = nrm("scenario", "run", "S8", "--json")
    json.loads(done.out)
    assert done.err == ""
