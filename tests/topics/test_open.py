"""open_topics(): which URL opens what, and what a wrong one is answered."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from hub.topics import TopicError, TopicUnavailable, open_topics
from hub.topics.kafka_settings import KafkaSettings


def test_an_embedded_url_names_a_file_exactly(tmp_path: Path) -> None:
    path = tmp_path / "a%20b ?#.db"
    open_topics(f"embedded://{path}").close()
    assert path.exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("embedded://topics.db", "absolute"),
        ("sqlite:///x.db", "kafka://"),
        ("", "kafka://"),
        ("kafka://", "host:port"),
        ("kafka://user:secret@broker:9092", "without user or password"),
        ("kafka://broker:9092?replicas=3", "replicas"),
        ("kafka://broker:9092?replication=three", "not a number"),
        ("kafka://broker:9092?security=tls", "security"),
        ("kafka://broker:9092?security=sasl_ssl&user=hub", "password_file"),
    ],
)
def test_a_wrong_url_is_answered_in_words(url: str, says: str) -> None:
    with pytest.raises(TopicError, match=says) as caught:
        open_topics(url)
    assert "secret" not in str(caught.value)


def test_the_options_reach_the_client(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    settings = KafkaSettings.parse(
        f"b1:9093,b2:9093?security=SASL_SSL&ca=/ca.pem&user=hub&password_file={tmp_path}/secret"
        "&replication=3&min_insync=2&timeout=7"
    )
    client = settings.client()
    assert client["bootstrap_servers"] == ["b1:9093", "b2:9093"]
    assert client["security_protocol"] == "SASL_SSL"
    assert client["ssl_cafile"] == "/ca.pem"
    assert client["sasl_mechanism"] == "SCRAM-SHA-512"
    assert client["sasl_plain_password"] == "s3cret"
    assert (settings.replication, settings.min_insync, settings.timeout) == (3, 2, 7)


def test_nobody_listening_is_said_within_seconds() -> None:
    with socket.socket() as taken:  # bound, not listening: refuses everyone
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(TopicUnavailable, match="is the broker running"):
            open_topics(f"kafka://127.0.0.1:{port}")
        assert time.monotonic() - began < 25
