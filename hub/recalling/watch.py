"""The recall book of a log, kept up to date by following it."""

from __future__ import annotations

from hub.recalling.book import TOPICS, RecallBook
from hub.store.log import HubLog

PAGE = 2_000  # log rows read at once


class RecallWatch:
    """Follows one log and only reads it. For one thread at a time, as the book it gives is."""

    def __init__(self, log: HubLog) -> None:
        self._log = log
        self._seen = 0
        self._book = RecallBook()

    def book(self, pages: int | None = None) -> RecallBook | None:
        """The book as of the log's head; None if that takes more than `pages` from here.

        What was read is kept, so a caller that must not wait asks again and comes further.
        """
        while pages is None or pages > 0:
            recorded = self._log.read(self._seen, PAGE, TOPICS)
            for one in recorded:
                self._seen = one.position
                self._book.apply(one.position, one.event)
            if len(recorded) < PAGE:
                return self._book
            if pages is not None:
                pages -= 1
        return None
