"""What is appended to topics, noted in order. Every append goes through `append_each`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.topics import Message, Topics
from hub.topics.port import Appended


def noted(topics: Topics) -> list[tuple[str, Message]]:
    """Everything that these topics take from now on: embedded ones, or Kafka's."""
    taken: list[tuple[str, Message]] = []
    append_each = topics.append_each

    def noting(batches: Mapping[str, Sequence[Message]]) -> dict[str, Appended]:
        became = append_each(batches)
        for topic, end in became.items():
            if isinstance(end, int):
                taken.extend((topic, message) for message in batches[topic])
        return became

    topics.append_each = noting  # type: ignore[method-assign]
    return taken
