"""Messages to the trader: a row in the transaction of what it tells of, delivered later by a worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest, Now

from tradingbot.models import Account, Notification
from tradingbot.operations import discord
from tradingbot.operations.figures import in_order

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 8
_ROUNDS = 5  # messages a run: Discord takes five in two seconds from a webhook
_LEASE = timedelta(seconds=60)  # a claimed row is taken again after it: its process died
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "alert": logging.ERROR}

Status = Notification.Status


def notify(
    kind: str,
    title: str,
    *,
    account: Account | None = None,
    body: str = "",
    facts: Mapping[str, str] | None = None,
    level: str = "info",
    key: str | None = None,
    now: datetime,
) -> Notification | None:
    """Write a message; a worker delivers it. Call it in the transaction of what it tells of.

    facts   name and value pairs, shown as fields
    key     said once: returns None if the key was used before
    """
    row = Notification(
        kind=Notification.Kind(kind),
        level=Notification.Level(level),
        account=account,
        title=title[:200],
        body=body[:1000],
        facts=dict(facts or {}),
        key=key,
        at=now,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        if key is None or not Notification.objects.filter(key=key).exists():
            raise
        return None
    return row


def deliver(*, now: datetime) -> int:
    """Send what is due to Discord, or to the log when no webhook is configured. Returns how many left."""
    url = settings.DISCORD_WEBHOOK_URL if settings.DISCORD_NOTIFICATIONS_ENABLED else ""
    if not url:
        return sum(_log(rows) for rows in iter(_claim, []))
    sent = 0
    with discord.Webhook(url) as webhook:
        for _ in range(_ROUNDS):
            rows = _claim()
            taken = _send(webhook, rows) if rows else 0
            sent += taken
            if not taken:
                break
    return sent


def _claim() -> list[Notification]:
    """Take due messages for this process by moving their next attempt ahead; no row is held while Discord is called."""
    with transaction.atomic():
        due = Notification.objects.filter(Q(not_before__isnull=True) | Q(not_before__lte=Now()), status=Status.PENDING)
        rows = list(
            due.select_for_update(skip_locked=True, of=("self",))
            .select_related("account")
            .order_by("pk")[: discord.EMBEDS]
        )
        Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
            not_before=Now() + _LEASE, attempts=F("attempts") + 1
        )
    for row in rows:
        row.attempts += 1
    return rows


def _log(rows: Sequence[Notification]) -> int:
    for row in rows:
        facts = "".join(f"; {name} {value}" for name, value in in_order(row.facts))
        log.log(_LEVELS[row.level], "%s%s%s", row.title, f": {row.body}" if row.body else "", facts)
    return _update(rows, status=Status.LOGGED, sent_at=Now(), not_before=None)


def _send(webhook: discord.Webhook, rows: Sequence[Notification]) -> int:
    """Send claimed rows as one message, one by one if Discord finds fault with it. Returns how many were taken."""
    number = discord.fitting(rows)
    batch, rest = rows[:number], rows[number:]
    _give_back(rest)
    try:
        webhook.post(batch)
    except discord.Busy as error:
        log.warning("%s message(s) wait: %s", len(batch), error)
        _give_back(batch, wait=error.wait)
        return 0
    except (discord.WrongWebhook, discord.WrongMessage) as error:
        if isinstance(error, discord.WrongMessage) and len(batch) > 1:
            return sum(_send(webhook, [row]) for row in batch)
        _give_up(batch, error)
        return 0
    except discord.NotTaken as error:
        _give_up([row for row in batch if row.attempts >= MAX_ATTEMPTS], error)
        for row in batch:
            if row.attempts < MAX_ATTEMPTS:
                log.warning("message %s is tried again in %s s: %s", row.pk, 2**row.attempts, error)
                _update([row], error=str(error)[:300], not_before=Now() + timedelta(seconds=2**row.attempts))
        return 0
    return _update(batch, status=Status.SENT, sent_at=Now(), not_before=None, error="")


def _give_back(rows: Sequence[Notification], *, wait: float = 0.0) -> None:
    """Let `rows` be claimed again after `wait` seconds; the attempt was not theirs and does not count."""
    _update(rows, not_before=Now() + timedelta(seconds=wait), attempts=Greatest(F("attempts") - 1, 0))


def _give_up(rows: Sequence[Notification], error: discord.NotTaken) -> None:
    for row in rows:
        log.error("message %s is given up after %s attempt(s): %s", row.pk, row.attempts, error)
    _update(rows, status=Status.FAILED, not_before=None, error=str(error)[:300])


def _update(rows: Sequence[Notification], **changes: Any) -> int:
    """Change those of `rows` that are still as this process claimed them; returns how many."""
    claims = Q(pk__in=[])
    for row in rows:
        claims |= Q(pk=row.pk, attempts=row.attempts)
    return Notification.objects.filter(claims, status=Status.PENDING).update(**changes)
