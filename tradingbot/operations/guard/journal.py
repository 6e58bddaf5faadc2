"""What guard did while PostgreSQL was away: one line an act on disk before the next, booked when it is back."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models.functions import Now

from tradingbot.models import Account, Order, Position
from tradingbot.operations import notifications

log = logging.getLogger(__name__)

KEPT = 5
"""Booked files that stay."""


class Journal:
    """`guard.jsonl`: `{"id", "at", "account", "kind", "sentence", ...}`; `kind` is cancel, close or note."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._booking = file.with_suffix(".booking.jsonl")
        self._lock = threading.Lock()

    def write(self, account_id: int, kind: str, sentence: str, *, at: datetime, **facts: Any) -> None:
        """Append one act; on disk when this returns."""
        line = {"id": uuid4().hex, "at": at.isoformat(), "account": account_id, "kind": kind, "sentence": sentence}
        with self._lock, self.file.open("a") as output:
            output.write(json.dumps(line | facts) + "\n")
            output.flush()
            os.fsync(output.fileno())
        log.warning("%s", sentence)

    @property
    def waits(self) -> bool:
        """Whether anything is to be booked."""
        return self._booking.exists() or self.file.exists()

    def book(self) -> int:
        """Write every act into the database, each once, and put the file away; returns how many were new.

        A crash in between costs nothing: what is booked already is left out the next time.
        """
        if not self._booking.exists():
            with self._lock:
                if not self.file.exists():
                    return 0
                self.file.replace(self._booking)
        booked = sum(_book(line) for line in self._lines())
        self._put_away()
        return booked

    def _lines(self) -> Iterator[dict[str, Any]]:
        for text in self._booking.read_text().splitlines():
            try:
                yield json.loads(text)
            except ValueError:
                log.error("%s: a torn line is left out: %r", self._booking, text[:100])

    def _put_away(self) -> None:
        def numbered(number: int) -> Path:
            return self.file.with_suffix(f".{number}.jsonl")

        for number in range(KEPT - 1, 0, -1):
            if numbered(number).exists():
                numbered(number).replace(numbered(number + 1))
        self._booking.replace(numbered(1))


def _book(line: dict[str, Any]) -> bool:
    """Book one act with its message, whose key makes it happen once."""
    at = datetime.fromisoformat(line["at"])
    account = Account.objects.filter(pk=line["account"]).first()
    with transaction.atomic():
        told = notifications.notify(
            "risk",
            f"Done without PostgreSQL: {line['sentence']}",
            account=account,
            body="Guard went on from memory while the database was away; this is what it did, booked afterwards.",
            level="alert",
            key=f"guard:{line['id']}",
            now=at,
        )
        if told is None:
            return False
        if order := Order.objects.filter(account=account, broker_order_id=line.get("order_id")).first():
            order.note("guard", at=at, detail=line)
        if line["kind"] == "close":  # the venue's market order that closed it is ours
            Position.objects.filter(
                account=account, contract__broker_contract_id=line["contract_id"], close_sent_at=None
            ).update(close_sent_at=Now())
    return True
