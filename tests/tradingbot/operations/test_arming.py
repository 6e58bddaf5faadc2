"""Real orders need an armed account; what protects and closes needs nobody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from market.orders import OrderStatus, OrderType, Role
from tests.tradingbot.operations.orders.desk import Desk
from tests.tradingbot.operations.orders.test_exits import long_position
from tradingbot import one_time_codes
from tradingbot.models import Account, BracketMode, Contract, Login, Notification, Order, StateChange
from tradingbot.operations import arming, orders, venues


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    """An account whose orders are real ones, as far as we know."""
    desk = Desk.open()
    Contract.objects.update(venue="projectx")
    Login.objects.update(venue="projectx", clock_skew=0.2, token="given", token_renewed_at=Now())
    desk.account = Account.objects.select_related("login").get()
    venues.use(desk.account.login, desk.broker)
    yield desk
    venues.forget()


def arm(desk: Desk, **how: object) -> None:
    arming.arm(desk.account, name=desk.account.name, by="ada", now=desk.now, **how)
    desk.account.refresh_from_db()


def test_nothing_enters_before_a_person_has_typed_the_name(desk: Desk):
    denied = desk.pair()
    assert denied.code == "not_armed"
    assert {"rule": "armed", "value": "no", "limit": "yes", "ok": False, "note": denied.sentence} in denied.rules
    with pytest.raises(ValueError, match="type 50KTC-V2-1-1 to arm it"):
        arming.arm(desk.account, name="50KTC", by="ada", now=desk.now)
    arm(desk)
    assert desk.account.bracket_mode == BracketMode.AUTO_OCO
    assert [order.status for order in desk.send(desk.pair())] == ["working", "working"]
    row = StateChange.objects.get(kind="arming")
    assert (row.before, row.after, row.by) == ("disarmed", "armed", "ada")


def test_a_code_of_the_authenticator_app_is_asked_for_where_it_is_set_up(desk: Desk, settings):
    key = settings.ARMING_TOTP_SECRET = b"12345678901234567890"
    code = one_time_codes.code(key, one_time_codes.step_of(desk.now))
    with pytest.raises(ValueError, match="six digits that your authenticator app shows"):
        arm(desk)
    with pytest.raises(ValueError, match="it is wrong"):
        arm(desk, code="000000")
    told = Notification.objects.get(title__endswith="wrong code at arming")
    assert (told.level, told.body) == ("alert", "by ada")
    assert desk.pair().code == "not_armed"
    arm(desk, code=code)
    assert desk.pair().outcome == "ordered"
    arming.disarm(desk.account, by="ada", now=desk.now)
    with pytest.raises(ValueError, match="used a moment ago"):
        arm(desk, code=code)


def test_nobody_guesses_a_code(desk: Desk, settings):
    key = settings.ARMING_TOTP_SECRET = b"12345678901234567890"
    for _ in range(arming.WRONG_CODES):
        with pytest.raises(ValueError, match="it is wrong"):
            arm(desk, code="000000")
    with pytest.raises(ValueError, match="5 wrong ones within 10 minutes"):
        arm(desk, code=one_time_codes.code(key, one_time_codes.step_of(desk.now)))
    desk.now += timedelta(minutes=10)
    arm(desk, code=one_time_codes.code(key, one_time_codes.step_of(desk.now)))
    assert desk.account.armed_at == desk.now


def test_it_disarms_by_itself_at_the_flat_time_of_its_session(desk: Desk):
    arm(desk)
    decision = desk.pair()
    flat_at = desk.now.replace(hour=21, minute=0)
    assert desk.account.armed_until == flat_at  # 15:00 Chicago
    Order.objects.filter(decision=decision).update(expires_at=flat_at + timedelta(hours=1))
    desk.now = flat_at
    assert [order.status for order in desk.send(decision)] == ["new", "new"]  # the claim looks, whoever is late
    assert arming.end_arming(now=desk.now) == 1
    assert arming.state(Account.objects.select_related("login").get(), now=desk.now) == "disarmed"
    assert StateChange.objects.first().by == "the clock"


def test_kept_armed_it_stays_until_somebody_disarms_it(desk: Desk):
    arm(desk, keep=True)
    assert arming.end_arming(now=desk.now + timedelta(days=9)) == 0
    assert arming.disarm(desk.account, by="ada", now=desk.now)
    assert not arming.disarm(desk.account, by="ada", now=desk.now)


def test_disarmed_it_still_protects_exits_and_flattens_and_withdraws_its_entries(desk: Desk):
    arm(desk)
    entry = long_position(desk)
    working = desk.send(desk.pair(up=400, down=-400))
    arming.disarm(desk.account, by="ada", now=desk.now)
    stop = entry.legs.get(role=Role.STOP)
    desk.broker.cancel(desk.account.broker_account_id, stop.broker_order_id)
    desk.settle()
    (again,) = orders.protect(desk.account, desk.contract, stop=stop.stop_price, target=None, now=desk.now, by="test")
    assert orders.send(again, now=desk.now)
    out = orders.exit(desk.account, desk.contract, 1, now=desk.now, by="test")
    assert orders.send(out, now=desk.now)
    desk.settle()
    orders.sweep(now=desk.now)
    for order in working:
        order.refresh_from_db()
    assert {order.status for order in working} <= {OrderStatus.CANCEL_PENDING, OrderStatus.CANCELLED}
    orders.request_flatten(desk.account, reason="enough", by="ada", now=desk.now)
    for _ in range(3):
        orders.flatten(desk.account, now=desk.now)
        desk.settle()
    assert not desk.broker.positions(desk.account.broker_account_id)
    assert not desk.broker.orders_in_flight(desk.account.broker_account_id)
    assert again.type == OrderType.STOP


def test_paper_needs_no_arming(db: None):
    desk = Desk.open()
    with pytest.raises(ValueError, match="needs no arming"):
        arming.arm(desk.account, name=desk.account.name, by="ada", now=desk.now)
    assert desk.pair().code == "allowed"
    venues.forget()
