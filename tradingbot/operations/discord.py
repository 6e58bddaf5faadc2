"""Messages as Discord takes them: embeds on a webhook.

Limits as its documentation has them (Webhook resource, Embed limits, Rate limits; checked 2026-11). The webhook's
address is a secret: it is in no error, log line or row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from market.sessions import NEW_YORK
from tradingbot.models import Notification
from tradingbot.operations.figures import in_order

EMBEDS = 10  # a message
_CHARACTERS = 6000  # of all embeds of a message together
_TITLE, _DESCRIPTION, _FIELDS, _NAME, _VALUE = 256, 4096, 25, 256, 1024
_TIMEOUT = httpx.Timeout(10.0, connect=3.0)
_COLOURS = {"info": 0x2E7D32, "warning": 0xF9A825, "alert": 0xC62828}
_LONGEST_WAIT = 600.0


class NotTaken(Exception):
    """Discord does not have the message, or we do not know: it may be tried again after a while."""


class Busy(NotTaken):
    """Discord asks for a pause of `wait` seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"Discord asked to wait {wait:.1f} s")
        self.wait = wait


class WrongWebhook(NotTaken):
    """No message can be sent before DISCORD_WEBHOOK_URL is put right."""


class WrongMessage(NotTaken):
    """Discord finds fault with the message itself."""


class Webhook:
    """One webhook, for a few messages."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(timeout=_TIMEOUT, follow_redirects=False)

    def __enter__(self) -> Webhook:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, rows: Sequence[Notification]) -> None:
        """Send `rows` as one message. Raises NotTaken, or what it knows better: Busy, WrongWebhook, WrongMessage."""
        message = {"username": "tradingbot", "allowed_mentions": {"parse": []}, "embeds": [embed(row) for row in rows]}
        try:
            answer = self._client.post(self._url, params={"wait": "true"}, json=message)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            text = "DISCORD_WEBHOOK_URL is not an address: copy it again from the channel's settings"
            raise WrongWebhook(text) from None
        except httpx.HTTPError as error:  # its text may hold the address
            raise NotTaken(f"Discord was not reached ({type(error).__name__})") from None
        if answer.is_success:
            return
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise Busy(_retry_after(answer))
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND):
            text = "Discord does not know the webhook: set DISCORD_WEBHOOK_URL to one that exists"
            raise WrongWebhook(f"{text} (HTTP {answer.status_code})")
        if answer.is_client_error:
            raise WrongMessage(f"Discord refused the message (HTTP {answer.status_code})")
        raise NotTaken(f"Discord answered HTTP {answer.status_code}")


def fitting(rows: Sequence[Notification]) -> int:
    """Return how many of `rows`, from the first, one message holds; at least one."""
    total = 0
    for number, row in enumerate(rows[:EMBEDS]):
        total += _length(embed(row))
        if total > _CHARACTERS and number:
            return number
    return min(len(rows), EMBEDS)


def embed(row: Notification) -> dict[str, Any]:
    """Return a message as an embed, cut to Discord's limits."""
    shown: dict[str, Any] = {
        "title": row.title[:_TITLE],
        "color": _COLOURS[row.level],
        "timestamp": row.at.isoformat(),
        "footer": {"text": _footer(row)},
        "fields": [
            {"name": str(name)[:_NAME] or "–", "value": str(value)[:_VALUE] or "–", "inline": True}
            for name, value in in_order(row.facts)[:_FIELDS]
        ],
    }
    if row.body:
        shown["description"] = row.body[:_DESCRIPTION]
    while _length(shown) > _CHARACTERS:
        shown["fields"].pop()
    return shown


def _footer(row: Notification) -> str:
    clock = f"{row.at.astimezone(ZoneInfo(NEW_YORK)):%d %b %H:%M:%S} New York"
    return f"{row.account.name} · {clock}" if row.account else clock


def _length(shown: Mapping[str, Any]) -> int:
    fields = sum(len(field["name"]) + len(field["value"]) for field in shown["fields"])
    return len(shown["title"]) + len(shown.get("description", "")) + len(shown["footer"]["text"]) + fields


def _retry_after(answer: httpx.Response) -> float:
    """Return the seconds that Discord asks for; headers first, the body counts in milliseconds in old versions."""
    text = answer.headers.get("X-RateLimit-Reset-After") or answer.headers.get("Retry-After")
    try:
        wait = float(text if text is not None else answer.json()["retry_after"])
    except (ValueError, KeyError, TypeError):
        wait = 5.0
    return min(max(wait, 0.1), _LONGEST_WAIT)
