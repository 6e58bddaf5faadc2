from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now

from tests.factories import NOW
from tradingbot.models import ApiMetric, Notification
from tradingbot.operations import retention
from tradingbot.operations.notifications import notify


def test_figures_go_after_seven_days_and_messages_after_ninety_unless_they_still_wait(account):
    for days in (6, 8):
        ApiMetric.objects.create(
            login=account.login, at=Now() - timedelta(days=days), endpoint="Order/place", outcome="done",
            calls=1, seconds=0.1, slowest=0.1,
        )  # fmt: skip
    for days, status in ((89, "sent"), (91, "sent"), (91, "pending")):
        message = notify("system", f"{days} {status}", now=NOW - timedelta(days=days))
        Notification.objects.filter(pk=message.pk).update(status=status)
    assert retention.clean_up(now=NOW) == {"metrics": 1, "samples": 0, "seconds": 0, "notifications": 1}
    assert set(Notification.objects.values_list("title", flat=True)) == {"89 sent", "91 pending"}
