"""The outbox: rows with the transaction, delivered within Discord's limits, tried again, never with the address."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from tests.tradingbot.operations.ledgers import open_desk
from tradingbot.models import Notification
from tradingbot.operations import discord, notifications
from tradingbot.operations.notifications import notify

AT = datetime(2026, 11, 18, 14, 30, 4, tzinfo=UTC)
SECRET = "s3cr3t-t0k3n"


class Channel:
    """A Discord webhook on this machine: answers as told, remembers what it was sent."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], object]] = []
        self.messages: list[dict] = []
        self.paths: list[str] = []
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                channel.messages.append(json.loads(body))
                channel.paths.append(self.path)
                status, headers, answer = channel.answers.pop(0) if channel.answers else (200, {}, {"id": "1"})
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(data))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/webhooks/1/{SECRET}"

    @property
    def titles(self) -> list[list[str]]:
        return [[embed["title"] for embed in message["embeds"]] for message in self.messages]


@pytest.fixture
def channel(db, settings) -> Iterator[Channel]:
    channel = Channel()
    thread = threading.Thread(target=channel.server.serve_forever, args=(0.01,))
    thread.start()
    settings.DISCORD_WEBHOOK_URL, settings.DISCORD_NOTIFICATIONS_ENABLED = channel.url, True
    yield channel
    channel.server.shutdown()
    thread.join()
    channel.server.server_close()


def say(title: str, **options) -> Notification:
    return notify("system", title, now=AT, **options)


def deliver() -> int:
    return notifications.deliver(now=AT)


def due_again() -> None:
    Notification.objects.update(not_before=Now())


def waits() -> list[float]:
    rows = Notification.objects.filter(not_before__isnull=False).annotate(wait=F("not_before") - Now())
    return [row.wait.total_seconds() for row in rows.order_by("pk")]


def test_a_message_is_gone_with_the_transaction_it_tells_of(db):
    with transaction.atomic():
        say("Filled")
        transaction.set_rollback(True)
    assert not Notification.objects.exists()


def test_a_key_is_said_once_and_does_not_break_the_transaction_around_it(db):
    with transaction.atomic():
        assert say("first", key="k") is not None
        assert say("again", key="k") is None
        say("other")
    assert list(Notification.objects.order_by("pk").values_list("title", flat=True)) == ["first", "other"]


def test_a_wrong_message_is_an_error_and_not_taken_for_a_repetition(db):
    with pytest.raises(IntegrityError), transaction.atomic():
        notify("system", "x", key="k", now=None)
    with pytest.raises(ValueError, match="is not a valid"):
        notify("nonsense", "x", now=AT)


def test_long_texts_are_cut_to_their_columns(db):
    row = say("t" * 300, body="b" * 2000)
    row.refresh_from_db()
    assert (len(row.title), len(row.body)) == (200, 1000)


def test_without_a_webhook_messages_go_to_the_log(db, settings, caplog):
    settings.DISCORD_WEBHOOK_URL = ""
    for number in range(12):
        say(f"message {number}", body="body", facts={"Net": "+$5.00"}, level="alert" if number == 3 else "info")
    with caplog.at_level(logging.INFO):
        assert deliver() == 12
    assert set(Notification.objects.values_list("status", "attempts")) == {("logged", 1)}
    assert ("ERROR", "message 3: body; Net +$5.00") in [(r.levelname, r.getMessage()) for r in caplog.records]
    assert deliver() == 0


def test_switched_off_nothing_leaves(channel, settings):
    settings.DISCORD_NOTIFICATIONS_ENABLED = False
    say("quiet")
    assert (deliver(), channel.messages) == (1, [])
    assert Notification.objects.get().status == "logged"


def test_messages_leave_in_order_ten_at_once_and_are_waited_for(channel):
    for number in range(23):
        say(str(number))
    assert deliver() == 23
    assert [len(titles) for titles in channel.titles] == [10, 10, 3]
    assert [title for titles in channel.titles for title in titles] == [str(number) for number in range(23)]
    assert set(Notification.objects.values_list("status", "error", "not_before")) == {("sent", "", None)}
    assert {path.split("?")[1] for path in channel.paths} == {"wait=true"}


def test_a_fill_is_an_embed_with_its_facts_and_mentions_nobody(channel, db):
    account = open_desk().account
    Notification.objects.all().delete()
    facts = {
        "Price": "21,503.25",
        "Stop": "21,480.00 ($69.75)",
        "Target": "21,560.00 ($170.25)",
        "Strategy": "overnight_range",
    }
    notify("fill", "Filled: buy 3 MNQ at 21,503.25", account=account, body="@everyone", facts=facts, now=AT)
    deliver()
    (message,) = channel.messages
    assert message["allowed_mentions"] == {"parse": []}
    assert message["embeds"] == [
        {
            "title": "Filled: buy 3 MNQ at 21,503.25",
            "description": "@everyone",
            "color": 0x2E7D32,
            "timestamp": "2026-11-18T14:30:04+00:00",
            "footer": {"text": "50KTC-V2-1-1 · 18 Nov 09:30:04 New York"},
            "fields": [{"name": name, "value": value, "inline": True} for name, value in facts.items()],
        }
    ]


def test_embeds_keep_discords_limits():
    many = {f"{number} " + "n" * 300: "v" * 2000 for number in range(40)} | {"": ""}
    shown = discord.embed(Notification(title="t" * 300, body="b" * 5000, facts=many, at=AT))
    assert (len(shown["title"]), len(shown["description"])) == (256, 4096)
    assert all(len(field["name"]) <= 256 and len(field["value"]) <= 1024 for field in shown["fields"])
    assert (
        sum(map(len, [shown["title"], shown["description"], shown["footer"]["text"]]))
        + sum(len(field["name"]) + len(field["value"]) for field in shown["fields"])
        <= 6000
    )
    assert len(discord.embed(Notification(title="t", facts={str(n): "v" for n in range(40)}, at=AT))["fields"]) == 25


def test_a_message_of_several_embeds_stays_within_the_characters_of_one(channel):
    for number in range(10):
        say(str(number), body="b" * 1000, facts={"f": "v" * 400})
    assert deliver() == 10
    assert [len(titles) for titles in channel.titles] == [4, 4, 2]


def test_discords_pause_is_kept_and_costs_no_attempt(channel):
    channel.answers = [(429, {"X-RateLimit-Reset-After": "7.5", "Retry-After": "8"}, {"retry_after": 7500.0})]
    say("one")
    say("two")
    assert deliver() == 0
    assert [7 < wait <= 7.5 for wait in waits()] == [True, True]
    assert set(Notification.objects.values_list("status", "attempts")) == {("pending", 0)}
    assert deliver() == 0
    assert len(channel.messages) == 1
    due_again()
    assert deliver() == 2


def test_a_pause_is_read_from_the_body_and_has_bounds(channel):
    for answer, low, high in (({"retry_after": 1.2}, 1, 1.2), ({"retry_after": 1e9}, 500, 600), ({}, 4, 5), ([], 4, 5)):
        Notification.objects.all().delete()
        say("one")
        channel.answers = [(429, {}, answer)]
        deliver()
        assert low < waits()[0] <= high


def test_a_failing_discord_is_tried_again_later_and_later_and_then_given_up(channel):
    say("one")
    seen = []
    for attempt in range(notifications.MAX_ATTEMPTS):
        channel.answers = [(503, {}, {})]
        assert deliver() == 0
        if attempt < notifications.MAX_ATTEMPTS - 1:
            seen.append(round(waits()[0]))
            due_again()
    assert seen == [2, 4, 8, 16, 32, 64, 128]
    row = Notification.objects.get()
    assert (row.status, row.attempts, row.error) == ("failed", 8, "Discord answered HTTP 503")
    assert deliver() == 0


def test_a_fault_in_one_message_does_not_hold_up_the_others(channel):
    for number in range(3):
        say(str(number))
    channel.answers = [(400, {}, {}), (200, {}, {}), (400, {}, {}), (200, {}, {})]
    assert deliver() == 2
    rows = Notification.objects.order_by("pk").values_list("title", "status", "error")
    refused = "Discord refused the message (HTTP 400)"
    assert list(rows) == [("0", "sent", ""), ("1", "failed", refused), ("2", "sent", "")]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_unknown_webhook_says_what_to_set(channel, status):
    channel.answers = [(status, {}, {})]
    say("one")
    deliver()
    row = Notification.objects.get()
    assert row.status == "failed"
    assert "set DISCORD_WEBHOOK_URL to one that exists" in row.error


@pytest.mark.parametrize(
    "url", [f"http://127.0.0.1:9/api/webhooks/1/{SECRET}", f"nonsense/{SECRET}", f"http://127.0.0.1:no-{SECRET}"]
)
def test_the_address_is_in_no_row_and_no_log(db, settings, caplog, url):
    settings.DISCORD_WEBHOOK_URL, settings.DISCORD_NOTIFICATIONS_ENABLED = url, True
    say("one")
    with caplog.at_level(logging.INFO):
        assert deliver() == 0
    row = Notification.objects.get()
    assert row.error
    assert SECRET not in row.error + caplog.text


def test_a_redirect_is_not_followed(channel):
    channel.answers = [(307, {"Location": "http://127.0.0.1:9/elsewhere"}, {})]
    say("one")
    assert deliver() == 0
    assert Notification.objects.get().error == "Discord answered HTTP 307"


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_message_once(channel):
    for number in range(40):
        say(str(number))
    total = []

    def work() -> None:
        total.append(deliver())
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    told = [title for titles in channel.titles for title in titles]
    assert sorted(told, key=int) == [str(number) for number in range(40)]
    assert sum(total) == 40


def test_a_row_claimed_by_a_process_that_died_is_taken_again_after_a_minute(channel):
    say("one")
    notifications._claim()
    assert deliver() == 0
    assert 55 < waits()[0] <= 60
    due_again()
    assert deliver() == 1
