"""The checker finds what is planted, each violation by its id, and nothing on a clean day."""

from __future__ import annotations

import copy
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from market.orders import OrderStatus
from tests.checker import INVARIANTS, Death, Facts, check, measure, read
from tests.checker.facts import Row
from tests.factories import StrategyFactory
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.models import Order
from tradingbot.operations import orders, sessions, snapshots, trading, venues

SECOND = timedelta(seconds=1)

pytestmark = pytest.mark.django_db


def query(statement: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def day(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[Facts]:
    """A pair of entries, one filled and the other cancelled, its stop moved, flattened, and halted in the end."""
    file = tmp_path_factory.mktemp("checker") / "venue.sqlite3"
    with django_db_blocker.unblock():
        try:
            desk = Desk.open()
            desk.strategy = StrategyFactory(account=desk.account)
            sessions.plan(desk.account, now=desk.now)
            sessions.due(now=desk.now)
            desk.send(desk.pair())
            desk.minute(0, 25, 0, 22)
            desk.settle()
            stop = Order.objects.get(role="stop", status=OrderStatus.WORKING)
            orders.request_modify(stop, stop.stop_price + 1, by="test", now=desk.now)
            stop.refresh_from_db()
            orders.modify(stop, now=desk.now)
            desk.settle()
            orders.request_flatten(desk.account, reason="test", by="test", now=desk.now)
            for _ in range(2):
                orders.flatten(desk.account, now=desk.now)
                desk.settle()
            trading.halt(desk.account, reason="done", by="test", now=desk.now)
            desk.venue.flush()
            with closing(sqlite3.connect(file)) as copied:
                desk.venue.ledger._db.backup(copied)
            yield read(query, file, until=snapshots.machine_now(), secrets=["a very secret key"])
        finally:
            venues.forget()
            call_command("flush", interactive=False, verbosity=0, allow_cascade=True)


@pytest.fixture
def facts(day: Facts) -> Facts:
    return copy.deepcopy(day)


def test_a_clean_day_passes(facts: Facts):
    assert check(facts) == []
    figures = measure(facts)
    assert (figures.orders, figures.doubles, figures.lost, figures.exposures, figures.bare) == (2, 0, 0, 1, 0)
    assert figures.flat


def test_every_invariant_has_a_planted_violation():
    assert set(INVARIANTS) == {f"I{number}" for number in range(1, 17)}
    assert {name for name, _, _ in PLANTED} == set(INVARIANTS)


def entry(facts: Facts, status: str = "filled") -> Row:
    return next(row for row in facts.orders if row.role == "entry" and row.status == status)


def at_venue(facts: Facts, row: Row) -> Row:
    return next(order for order in facts.venue_orders if order.tag == row.tag)


def event_of(facts: Facts, row: Row, name: str, **data: Any) -> Row:
    found = next(e for e in facts.journal if e.kind == "event" and e.name == name)
    base = {"accountId": facts.venue_accounts[0].id, "contractId": row.broker_contract_id}
    last = facts.journal[-1]
    return Row(
        id=last.id + 1,
        kind="event",
        name=found.name,
        at=last.at,
        machine_at=last.machine_at + SECOND,
        data=base | data,
    )


def second_live_entry(facts: Facts) -> None:
    twin, first = copy.copy(entry(facts, "filled")), entry(facts, "filled")
    twin.id, twin.tag, twin.status = 9001, "tb-twin", "new"
    facts.orders.append(twin)
    claim = next(e for e in facts.events if e.order_id == first.id)
    facts.events.append(Row(**vars(claim) | {"id": 9001, "order_id": 9001}))


def second_venue_order(facts: Facts) -> None:
    twin = copy.copy(at_venue(facts, entry(facts)))
    twin.id = 1
    facts.venue_orders.append(twin)


def asked_twice(facts: Facts) -> None:
    request = next(e for e in facts.journal if e.kind == "request" and e.name == "Order/place")
    facts.journal.append(copy.deepcopy(request))


def order_without_an_intent(facts: Facts) -> None:
    at_venue(facts, entry(facts)).tag = "tb-nobody"


def stop_taken_away(facts: Facts) -> None:
    """The stop's journal entries never open it: the position was bare until it was closed."""
    stops = {o.id for o in facts.venue_orders if o.type == 4 and o.parent_id}
    for journaled in facts.journal:
        if journaled.name == "GatewayUserOrder" and journaled.data["id"] in stops:
            journaled.data["status"] = 8
    opened = next(e for e in facts.journal if e.name == "GatewayUserPosition")
    for journaled in facts.journal:
        if journaled.id > opened.id + 8:
            journaled.machine_at += 16 * SECOND
    facts.until += 16 * SECOND


def foreign_order_unseen(facts: Facts) -> None:
    row = entry(facts)
    event = event_of(facts, row, "GatewayUserOrder", id=77, status=1, type=4, side=0, size=1, fillVolume=0)
    facts.journal.append(event)
    known = at_venue(facts, row)
    facts.venue_orders.append(Row(**vars(known) | {"id": 77, "tag": None, "parent_id": None, "status": 1}))
    facts.until = event.machine_at + 31 * SECOND


def stop_without_a_position(facts: Facts) -> None:
    stop = next(
        row for row in facts.orders if row.role == "stop" and row.broker_order_id and row.parent_id == entry(facts).id
    )
    event = event_of(
        facts, stop, "GatewayUserOrder", id=stop.broker_order_id, status=1, type=4, side=1, size=3, fillVolume=0
    )
    ended = [e for e in facts.journal if e.name == "GatewayUserOrder" and e.data["id"] == stop.broker_order_id]
    ended[-1].data["status"] = 1
    facts.until = event.machine_at + 31 * SECOND


def held_over_the_close(facts: Facts) -> None:
    row = entry(facts)
    event = event_of(facts, row, "GatewayUserPosition", type=1, size=3, averagePrice=21_000)
    event.at = next(s for s in facts.steps if s.step == "flatten" and s.strategy_id is None).due_at
    facts.journal.append(event)
    facts.market_until = event.at + timedelta(minutes=2)


def fill_not_booked(facts: Facts) -> None:
    facts.fills.pop()


def fill_booked_twice(facts: Facts) -> None:
    facts.fills.append(copy.copy(facts.fills[0]))


def void_not_booked(facts: Facts) -> None:
    facts.executions[0].voided = 1


def position_differs(facts: Facts) -> None:
    facts.positions[0].quantity = 1


def too_large(facts: Facts) -> None:
    facts.accounts[0].max_lots = Decimal("0.2")


def too_risky(facts: Facts) -> None:
    facts.accounts[0].maximum_loss = Decimal(100)


def claimed_after_the_halt(facts: Facts) -> None:
    claim = next(e for e in facts.events if e.order_id == entry(facts).id and e.kind == "claimed")
    claim.machine_at = facts.until - timedelta(microseconds=1)


def cancelled_by_belief(facts: Facts) -> None:
    at_venue(facts, entry(facts, "cancelled")).status = 2


def filled_by_belief(facts: Facts) -> None:
    row = entry(facts)
    at_venue(facts, row).tag, row.broker_order_id = None, 7


def prices_were_stale(facts: Facts) -> None:
    rule = next(r for r in facts.decisions[0].rules if r["rule"] == "age of prices")
    rule["ok"], rule["value"] = False, "500 s"


def sent_in_another_session(facts: Facts) -> None:
    entry(facts).sent_at += timedelta(days=1)


def missed_in_silence(facts: Facts) -> None:
    facts.steps[0].state, facts.steps[0].step = "missed", "flatten"


def done_too_late(facts: Facts) -> None:
    facts.steps[0].state, facts.steps[0].done_at = "done", facts.steps[0].deadline + timedelta(minutes=1)


def left_behind(facts: Facts) -> None:
    facts.steps[0].state = "pending"
    facts.market_until = facts.steps[0].deadline + timedelta(minutes=2)


def acted_twice(facts: Facts) -> None:
    decision = copy.copy(facts.decisions[0])
    facts.decisions.append(decision)


def nobody_noticed(facts: Facts) -> None:
    facts.deaths = [Death("worker-high", facts.until - 100 * SECOND, None)]


def noticed_late(facts: Facts) -> None:
    facts.deaths = [Death("beat", facts.until - 100 * SECOND, facts.until - 5 * SECOND)]


def wrong_contract(facts: Facts) -> None:
    entry(facts).broker_contract_id = "CON.F.US.ENQ.Z26"


def half_a_size(facts: Facts) -> None:
    at_venue(facts, entry(facts)).size = 1


def off_the_tick(facts: Facts) -> None:
    entry(facts).stop_price += Decimal("0.1")


def wrong_side_of_the_entry(facts: Facts) -> None:
    leg = next(
        o for o in facts.venue_orders if o.parent_id == at_venue(facts, entry(facts, "cancelled")).id and o.type == 4
    )
    leg.offset = -leg.offset


def without_a_bracket(facts: Facts) -> None:
    request = next(e for e in facts.journal if e.kind == "request" and e.name == "Order/place")
    request.data["request"].pop("stopLossBracket")


def secret_in_a_log(facts: Facts) -> None:
    facts.texts["worker.log"] = "login with a very secret key"


def secret_in_a_reason(facts: Facts) -> None:
    entry(facts).reason = "refused: a very secret key"


def event_missing(facts: Facts) -> None:
    """The order was never seen on its way through SENDING."""
    facts.events.remove(next(e for e in facts.events if e.before == "sending"))


def event_of_another_transaction(facts: Facts) -> None:
    next(e for e in facts.events if e.order_id == entry(facts).id and e.after == "filled").machine_at -= 3 * SECOND


def state_without_event(facts: Facts) -> None:
    entry(facts).status = "working"


def queue_overflow(facts: Facts) -> None:
    facts.queue_peak = 2_000


PLANTED: list[tuple[str, Callable[[Facts], None], str]] = [
    ("I1", second_live_entry, "were live together"),
    ("I2", second_venue_order, "2 orders with tag"),
    ("I2", asked_twice, "asked for 2 times"),
    ("I2", order_without_an_intent, "belongs to no intent"),
    ("I3", stop_taken_away, "without a full stop"),
    ("I4", foreign_order_unseen, "was not known"),
    ("I4", stop_without_a_position, "without a position"),
    ("I5", held_over_the_close, "held +3"),
    ("I6", fill_not_booked, "we have None"),
    ("I6", fill_booked_twice, "booked 2 times"),
    ("I6", void_not_booked, "the venue"),
    ("I6", position_differs, "we say 1"),
    ("I7", too_large, "may hold"),
    ("I7", too_risky, "may lose"),
    ("I8", claimed_after_the_halt, "was claimed"),
    ("I9", cancelled_by_belief, "is cancelled, venue order"),
    ("I9", filled_by_belief, "no such order"),
    ("I10", prices_were_stale, "age of prices"),
    ("I10", sent_in_another_session, "decided in"),
    ("I11", missed_in_silence, "nobody was told"),
    ("I11", done_too_late, "its window is"),
    ("I11", left_behind, "after its deadline"),
    ("I11", acted_twice, "acted 2 times"),
    ("I12", nobody_noticed, "noticed never"),
    ("I12", noticed_late, "noticed after"),
    ("I13", wrong_contract, "is in"),
    ("I13", half_a_size, "is for 1"),
    ("I13", off_the_tick, "off its tick"),
    ("I13", wrong_side_of_the_entry, "wrong side"),
    ("I13", without_a_bracket, "without a stop bracket"),
    ("I14", secret_in_a_log, "holds a secret"),
    ("I14", secret_in_a_reason, "holds a secret"),
    ("I15", event_missing, "without an event"),
    ("I15", event_of_another_transaction, "its event is of"),
    ("I15", state_without_event, "its events end with"),
    ("I16", queue_overflow, "are the bound"),
]


def test_what_is_learnt_of_an_order_after_its_end_is_no_change_of_state(facts: Facts):
    row = entry(facts, "cancelled")
    last = max((e for e in facts.events if e.order_id == row.id), key=lambda e: e.id)
    late = last.machine_at + 10 * SECOND
    row.status_at = late
    assert [text for text in check(facts) if "its event is of" in text]
    facts.events.append(
        Row(
            id=last.id + 1000,
            order_id=row.id,
            kind="facts",
            before=last.after,
            after=last.after,
            machine_at=late,
            detail={},
        )
    )
    assert check(facts) == []


@pytest.mark.parametrize(("name", "plant", "words"), PLANTED, ids=[f"{n}-{p.__name__}" for n, p, _ in PLANTED])
def test_a_planted_violation_is_found(facts: Facts, name: str, plant: Callable[[Facts], None], words: str):
    plant(facts)
    found = check(facts)
    assert [text for text in found if text.startswith(f"{name}: ") and words in text], found
