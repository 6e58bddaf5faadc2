"""Declared management of open positions at the venue: trailing stops, parts, time limits, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from brokers.base import OutcomeUnknown, Refused
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.broker import SimulatedBroker
from market.orders import OrderStatus, OrderType, Role, Side
from market.plans import Management, Partial
from market.sessions import trade_date_of
from risk.gate import EntryRequest, EntrySide
from tests.tradingbot.operations.orders.desk import PRICE, START, Desk
from tests.tradingbot.operations.orders.test_exits import by_hand
from tradingbot.models import Decision, Notification, Order, OrderEvent, Outcome, Position, Strategy, Trade
from tradingbot.operations import bars, closes, orders, protection, reconciliation

HALF = Management(partials=(Partial(Decimal(1), Decimal("0.5")),))  # 40 ticks of profit, 2 of 4
TWO = Management(partials=(Partial(Decimal(1), Decimal("0.5")), Partial(Decimal(2), Decimal("0.25"))))


@pytest.fixture
def held(desk: Desk, make_strategy: Callable[[Desk], Strategy]) -> Desk:
    desk.strategy = make_strategy(desk)
    return desk


def enter(
    desk: Desk,
    management: Management | None = None,
    *,
    quantity: int = 4,
    side: Side = Side.BUY,
    stop: int = 40,
    **wish: Any,
) -> Order:
    """Enter at market with a stop `stop` ticks behind and a target 200 beyond; return the booked entry."""
    request = EntryRequest(
        contract=desk.spec,
        quantity=quantity,
        sides=(EntrySide(side, OrderType.MARKET, None, stop, 200),),
        reference=PRICE,
    )
    decision = orders.open(
        account=desk.account,
        contract=desk.contract,
        request=request,
        session_date=trade_date_of(desk.now),
        now=desk.now,
        strategy=desk.strategy,
        management=management,
        **wish,
    )
    assert decision.outcome == Outcome.ORDERED, decision.sentence
    (entry,) = desk.send(decision)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    entry.refresh_from_db()
    assert entry.status == OrderStatus.FILLED
    return entry


def minute(desk: Desk, *prices: int) -> list[Decision]:
    """Let a minute pass, know its bar and fills, and manage what is open."""
    desk.minute(*prices)
    bars.fetch(desk.contract, now=desk.now)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    return orders.manage(desk.strategy, desk.contract, now=desk.now)


def at_venue(desk: Desk) -> dict[str, tuple[int, int | None]]:
    """Return by role what rests at the venue: contracts, and the price in ticks from PRICE."""
    roles = dict(Order.objects.values_list("broker_order_id", "role"))
    resting = desk.broker.orders_in_flight(desk.account.broker_account_id)
    price = {o.id: o.limit_price if o.limit_price is not None else o.stop_price for o in resting}
    return {roles[o.id]: (o.quantity - o.filled, desk.spec.ticks(price[o.id]) - PRICE) for o in resting if price[o.id]}


def position(desk: Desk) -> int:
    return sum(p.quantity for p in desk.broker.positions(desk.account.broker_account_id))


def well(desk: Desk) -> None:
    """Assert that what is open has stops of exactly its size, by the venue's own books."""
    assert protection.check(desk.account, now=desk.now, max_age=0) == []
    stops = sum(size for role, (size, _) in at_venue(desk).items() if role == Role.STOP)
    assert stops == abs(position(desk))


class TestTrail:
    @pytest.fixture
    def trailing(self, held: Desk) -> Desk:
        enter(held, trail_ticks=50)
        return held

    def test_it_moves_once_it_is_nearer_than_the_stop(self, trailing: Desk):
        assert minute(trailing, 0, 10, 0, 8) == []  # 10 - 50 is the stop itself
        (decision,) = minute(trailing, 8, 30, 8, 25)
        assert (decision.outcome, decision.code) == (Outcome.MANAGED, "trail")
        assert at_venue(trailing)["stop"] == (4, -20)
        assert decision.sentence == (
            "Stop of 4 MNQ moved from 20,990.00 to 20,995.00: 12.5 points behind the best price 21,007.50."
        )

    def test_it_never_goes_back_and_fills_where_it_went(self, trailing: Desk):
        minute(trailing, 0, 60, 0, 55)
        assert at_venue(trailing)["stop"] == (4, 10)
        assert minute(trailing, 55, 58, 20, 30) == []
        assert at_venue(trailing)["stop"] == (4, 10)
        minute(trailing, 30, 30, 5, 8)
        assert position(trailing) == 0
        assert Trade.objects.get().exit_price == Decimal("21002.50")

    def test_a_short_trails_downwards(self, held: Desk):
        enter(held, side=Side.SELL, trail_ticks=50)
        minute(held, 0, 5, -60, -50)
        assert at_venue(held)["stop"] == (4, -10)

    def test_the_nearer_of_breakeven_and_trail_counts(self, held: Desk):
        enter(held, Management(breakeven_r=Decimal(1), breakeven_offset_ticks=4), trail_ticks=50)
        (decision,) = minute(held, 0, 45, 0, 45)
        assert decision.code == "breakeven"
        assert at_venue(held)["stop"] == (4, 4)
        (decision,) = minute(held, 45, 70, 45, 60)
        assert decision.code == "trail"
        assert at_venue(held)["stop"] == (4, 20)

    def test_a_price_beyond_the_new_stop_closes_the_position(self, trailing: Desk):
        (decision,) = minute(trailing, 0, 100, 0, 20)  # the stop would go to 50
        assert decision.code == "trail_passed"
        assert position(trailing) == 0
        trailing.settle()
        assert not Order.objects.live().exists()

    def test_a_modify_without_an_answer_is_made_up_for(self, trailing: Desk, monkeypatch):
        with monkeypatch.context() as wire:
            wire.setattr(SimulatedBroker, "modify", lost)
            minute(trailing, 0, 60, 0, 55)
        assert at_venue(trailing)["stop"] == (4, -40)
        Order.objects.filter(role=Role.STOP).update(change_sent_at=Now() - timedelta(seconds=3))
        orders.sweep(now=trailing.now)
        assert at_venue(trailing)["stop"] == (4, 10)
        assert minute(trailing, 55, 56, 54, 55) == []


class TestParts:
    def test_a_part_is_closed_at_its_profit_and_the_legs_get_the_size_of_the_rest(self, held: Desk):
        entry = enter(held, HALF)
        assert minute(held, 0, 39, 0, 30) == []
        (decision,) = minute(held, 30, 40, 30, 38)
        assert (decision.code, position(held)) == ("partial", 2)
        assert decision.sentence == "2 of 4 MNQ closed at market: 10 points of profit were reached."
        assert at_venue(held) == {"stop": (2, -40), "target": (2, 200)}
        part = Order.objects.get(role=Role.EXIT)
        assert (part.parent, part.strategy, part.decision) == (entry, held.strategy, decision)
        well(held)
        assert minute(held, 38, 60, 38, 50) == []  # once is enough
        assert position(held) == 2

    def test_parts_reached_together_are_closed_together_and_the_last_contract_stays(self, held: Desk):
        enter(held, TWO, quantity=3)
        (decision,) = minute(held, 0, 85, 0, 85)
        assert (decision.inputs["quantity"], position(held)) == ("2", 1)
        well(held)

    def test_parts_follow_one_another(self, held: Desk):
        enter(held, TWO)
        minute(held, 0, 45, 0, 45)
        minute(held, 45, 90, 45, 85)
        assert (position(held), at_venue(held)["stop"]) == (1, (1, -40))
        assert Decision.objects.filter(code="partial").count() == 2

    def test_stop_and_part_of_one_bar(self, held: Desk):
        enter(held, Management(breakeven_r=Decimal(1), partials=HALF.partials))
        codes = [decision.code for decision in minute(held, 0, 50, 0, 45)]
        assert codes == ["breakeven", "partial"]
        assert at_venue(held) == {"stop": (2, 0), "target": (2, 200)}

    def test_a_stop_that_has_filled_leaves_nothing_to_close(self, held: Desk):
        enter(held, HALF)
        held.minute(0, 50, 0, 45)
        bars.fetch(held.contract, now=held.now)
        held.minute(45, 45, -50, -45)  # the stop fills at the venue, and nobody has looked yet
        assert orders.manage(held.strategy, held.contract, now=held.now) == []
        assert (position(held), Order.objects.filter(role=Role.EXIT).count()) == (0, 0)

    def test_an_unknown_outcome_is_resolved_not_repeated(self, held: Desk):
        enter(held, HALF)
        held.broker.lose = 1
        (decision,) = minute(held, 0, 50, 0, 45)
        part = Order.objects.get(role=Role.EXIT)
        assert (decision.code, position(held)) == ("partial", 2)
        assert minute(held, 45, 50, 40, 45) == []
        orders.resolve(held.account, now=held.now)
        reconciliation.check_fills(held.account, now=held.now, max_age=0)
        minute(held, 45, 50, 40, 45)
        part.refresh_from_db()
        assert (part.status, position(held)) == (OrderStatus.FILLED, 2)
        assert Order.objects.filter(role=Role.EXIT).count() == 1
        well(held)

    def test_a_part_that_never_arrived_is_not_sent_again_while_that_is_unknown(self, held: Desk):
        enter(held, HALF)
        held.broker.lose, held.broker.reaches = 1, False
        minute(held, 0, 50, 0, 45)
        assert minute(held, 45, 50, 40, 45) == []
        assert (position(held), at_venue(held)["stop"]) == (4, (4, -40))
        assert Order.objects.get(role=Role.EXIT).status == OrderStatus.UNKNOWN

    def test_a_refused_part_is_asked_for_again_with_the_next_bar(self, held: Desk, monkeypatch):
        enter(held, HALF)
        with monkeypatch.context() as wire:
            wire.setattr(SimulatedBroker, "place", refuse)
            minute(held, 0, 50, 0, 45)
        assert position(held) == 4
        minute(held, 45, 46, 40, 45)
        assert position(held) == 2
        well(held)

    def test_a_crash_before_the_sending_is_finished_by_the_sweeper_and_the_next_bar(self, held: Desk, monkeypatch):
        enter(held, HALF)

        class Died(BaseException):
            """The process is killed here."""

        def die(*_: object, **__: object) -> None:
            raise Died

        with monkeypatch.context() as patched:
            patched.setattr("tradingbot.operations.orders.managing.send_exit", die)
            with pytest.raises(Died):
                minute(held, 0, 50, 0, 45)
        OrderEvent.objects.filter(order__role=Role.EXIT).update(machine_at=Now() - timedelta(seconds=5))
        orders.sweep(now=held.now)
        assert position(held) == 2
        assert minute(held, 45, 46, 40, 45) == []
        assert at_venue(held) == {"stop": (2, -40), "target": (2, 200)}

    def test_a_crash_before_the_legs_follow_is_made_up_for(self, held: Desk, monkeypatch):
        enter(held, HALF)
        with monkeypatch.context() as patched:
            patched.setattr("tradingbot.operations.orders.reducing.fit", lambda *_, **__: None)
            minute(held, 0, 50, 0, 45)
        assert (position(held), at_venue(held)["stop"]) == (2, (4, -40))
        assert minute(held, 45, 46, 40, 45) == []
        assert at_venue(held) == {"stop": (2, -40), "target": (2, 200)}

    def test_a_venue_that_refuses_the_size_gets_other_legs(self, held: Desk, monkeypatch):
        enter(held, HALF)
        with monkeypatch.context() as wire:
            wire.setattr(SimulatedBroker, "modify", refuse)
            minute(held, 0, 50, 0, 45)
        assert at_venue(held) == {"stop": (2, -40), "target": (2, 200)}
        well(held)
        minute(held, 45, 45, -45, -45)
        held.settle()
        assert position(held) == 0
        assert not Order.objects.live().exists()

    def test_a_size_whose_answer_is_lost_is_sent_again(self, held: Desk, monkeypatch):
        enter(held, HALF)
        calls: list[dict[str, Any]] = []

        def lose_first(broker: SimulatedBroker, *args: Any, **options: Any) -> None:
            calls.append(options)
            if len(calls) == 1:
                raise OutcomeUnknown("the connection was reset")
            real(broker, *args, **options)

        real = SimulatedBroker.modify
        monkeypatch.setattr(SimulatedBroker, "modify", lose_first)
        minute(held, 0, 50, 0, 45)
        assert calls == [{"quantity": 2}] * 3  # the stop, the target, the stop again
        well(held)

    def test_a_part_that_fills_in_pieces_takes_the_legs_with_it_each_time(self, db: None, make_strategy):
        desk = Desk.open(behaviour=Behaviour(segments=1, partial=1))
        desk.strategy = make_strategy(desk)
        desk.pair(quantity=4)  # 20 ticks above PRICE, stop 40 behind
        Order.objects.filter(side=Side.SELL, role=Role.ENTRY).update(status=OrderStatus.CANCELLED)
        buy = Order.objects.get(side=Side.BUY, role=Role.ENTRY)
        Order.objects.filter(pk=buy.pk).update(partials=[["1", "0.5"]], oco_group=None)
        orders.send(Order.objects.get(pk=buy.pk), now=desk.now)
        while position(desk) < 4:
            assert minute(desk, 21, 22, 21, 22) == []
        seen = []
        (decision,) = minute(desk, 22, 65, 22, 64)
        while not seen or seen[-1][0] > 2:
            seen.append((position(desk), at_venue(desk)["stop"][0]))
            assert minute(desk, 64, 64, 62, 62) == []
        assert (decision.inputs["quantity"], seen) == ("2", [(3, 3), (2, 2)])
        well(desk)

    def test_a_leg_that_a_person_made_smaller_is_left_to_protection(self, held: Desk):
        entry = enter(held, HALF)
        stop = entry.legs.get(role=Role.STOP)
        held.broker.modify(held.account.broker_account_id, stop.broker_order_id, quantity=1)
        minute(held, 0, 50, 0, 45)
        assert (position(held), at_venue(held)["stop"]) == (2, (1, -40))


class TestTime:
    def test_a_position_is_closed_when_its_time_is_over(self, held: Desk):
        enter(held, Management(hold=timedelta(minutes=2)))
        assert minute(held, 0, 5, 0, 5) == []
        (decision,) = minute(held, 5, 6, 5, 5)
        assert (decision.code, position(held)) == ("hold", 0)
        assert decision.sentence == "4 MNQ closed at market: it was held for 2 minutes."
        held.settle()
        assert not Order.objects.live().exists()
        assert Trade.objects.get().exit_role == Role.EXIT

    def test_the_time_counts_from_the_fill_to_the_first_close_after_it(self, held: Desk):
        held.now = START + timedelta(seconds=30)
        enter(held, Management(hold=timedelta(minutes=1)))
        assert minute(held, 0, 5, 0, 5) == []  # 10:01:00 is half a minute after the fill
        (decision,) = minute(held, 5, 6, 5, 5)
        assert decision.code == "hold"

    def test_an_entry_at_market_counts_from_the_close_that_it_was_decided_on(self, held: Desk):
        held.now = START + timedelta(seconds=3)
        enter(held, Management(hold=timedelta(minutes=1)), bar_closed_at=START)
        (decision,) = minute(held, 0, 5, 0, 5)
        assert decision.code == "hold"

    def test_an_exit_that_a_person_has_asked_for_is_waited_for(self, held: Desk):
        enter(held, Management(hold=timedelta(minutes=1)))
        leaving = orders.exit(held.account, held.contract, 4, now=held.now, by="ada")
        assert minute(held, 0, 5, 0, 5) == []
        orders.send(leaving, now=held.now)
        assert minute(held, 5, 6, 5, 5) == []
        assert position(held) == 0

    def test_a_close_that_was_held_up_does_not_leave_and_the_next_one_does(self, held: Desk, monkeypatch):
        enter(held, Management(hold=timedelta(minutes=1)))
        with monkeypatch.context() as slow:
            slow.setattr(closes, "_FRESH", 0.0)
            (decision,) = minute(held, 0, 5, 0, 5)
        assert "too old to use" in decision.sentence
        assert position(held) != 0
        (decision,) = minute(held, 5, 6, 5, 5)
        assert (decision.code, position(held)) == ("hold", 0)

    def test_a_close_that_is_refused_is_asked_for_again(self, held: Desk, monkeypatch):
        enter(held, Management(hold=timedelta(minutes=1)))
        with monkeypatch.context() as wire:
            wire.setattr(SimulatedBroker, "close", refuse)
            (decision,) = minute(held, 0, 5, 0, 5)
        assert "close at market: the venue says no" in decision.sentence
        well(held)
        Position.objects.update(close_sent_at=Now() - timedelta(seconds=6))
        (decision,) = minute(held, 5, 6, 5, 5)
        assert (decision.code, position(held)) == ("hold", 0)


class TestAdditions:
    def added(
        self, desk: Desk, first: Management | None = None, second: Management | None = None
    ) -> tuple[Order, Order]:
        one = enter(desk, first, quantity=2)
        minute(desk, 0, 20, 0, 20)
        two = enter(desk, second, quantity=1, adds=True)
        return one, two

    def test_each_entry_keeps_its_own_legs(self, held: Desk):
        one, two = self.added(held)
        assert (position(held), two.adds) == (3, True)
        sizes = [(leg.parent_id, leg.quantity) for leg in Order.objects.filter(role=Role.STOP).order_by("pk")]
        assert sizes == [(one.pk, 2), (two.pk, 1)]
        assert protection.check(held.account, now=held.now, max_age=0) == []

    def test_the_time_of_one_entry_closes_that_entry_alone(self, held: Desk):
        one, _ = self.added(held, second=Management(hold=timedelta(minutes=1)))
        minute(held, 20, 25, 20, 22)
        (decision,) = minute(held, 22, 25, 20, 22)
        assert (decision.code, position(held)) == ("hold", 2)
        held.settle()
        live = Order.objects.live().order_by("pk")
        assert [(leg.parent_id, leg.role, leg.quantity) for leg in live] == [(one.pk, "stop", 2), (one.pk, "target", 2)]
        assert protection.check(held.account, now=held.now, max_age=0) == []

    def test_each_entry_moves_its_own_stop(self, held: Desk):
        one, two = self.added(held, Management(breakeven_ticks=30), Management(breakeven_ticks=30))
        minute(held, 20, 35, 20, 32)  # 35 above the first, 15 above the second
        prices = Order.objects.filter(role=Role.STOP).order_by("pk").values_list("parent_id", "desired_price")
        assert list(prices) == [(one.pk, Decimal(21000)), (two.pk, None)]

    def test_a_stop_of_one_entry_leaves_the_other(self, held: Desk):
        one = enter(held, quantity=2, stop=80)
        minute(held, 0, 20, 0, 20)
        two = enter(held, quantity=1, adds=True)
        assert minute(held, 20, 20, -30, -25) == []
        assert position(held) == 2
        (open_,) = [h for h in orders.holdings({held.account.pk}, held.contract, one.session_date) if h.left]
        assert (open_.entry, open_.left, two.legs.get(role=Role.TARGET).is_live) == (one, 2, False)
        well(held)


def test_what_a_person_closes_is_taken_from_the_oldest_entry(held: Desk) -> None:
    enter(held, HALF)
    held.broker.close(held.account.broker_account_id, held.contract.broker_contract_id, 3)
    reconciliation.check_fills(held.account, now=held.now, max_age=0)
    (holding,) = orders.holdings({held.account.pk}, held.contract, trade_date_of(held.now))
    assert holding.left == 1
    assert minute(held, 0, 50, 0, 45) == []  # the last contract is not closed
    assert at_venue(held) == {"stop": (1, -40), "target": (1, 200)}


class TestByHand:
    """A person trades in the platform beside a position of ours."""

    def test_what_he_buys_and_sells_leaves_ours_as_it_is(self, held: Desk):
        enter(held, quantity=3)
        for side in (Side.BUY, Side.SELL):
            by_hand(held, 2, side)
            reconciliation.check_fills(held.account, now=held.now, max_age=0)
        minute(held, 0, 1, -1, 0)
        assert (position(held), left(held)) == (3, [3])
        assert at_venue(held) == {"stop": (3, -40), "target": (3, 200)}
        well(held)

    def test_what_he_sells_of_ours_too_is_taken_from_it(self, held: Desk):
        enter(held, quantity=3)
        by_hand(held, 2)
        by_hand(held, 4, Side.SELL)
        minute(held, 0, 1, -1, 0)
        assert (position(held), left(held)) == (1, [1])
        assert at_venue(held) == {"stop": (1, -40), "target": (1, 200)}

    def test_what_he_holds_is_left_when_the_time_of_ours_is_over(self, held: Desk):
        enter(held, Management(hold=timedelta(minutes=1)), quantity=3)
        by_hand(held, 2)
        (decision,) = minute(held, 0, 5, 0, 5)
        assert (decision.code, position(held)) == ("hold", 2)
        assert minute(held, 5, 6, 5, 5) == []
        assert (position(held), at_venue(held)) == (2, {})
        assert {(trade.strategy, trade.quantity) for trade in Trade.objects.all()} == {(held.strategy, 3)}

    def test_an_entry_on_top_of_what_he_turned_round_is_whole(self, held: Desk):
        enter(held, quantity=3)
        by_hand(held, 5, Side.SELL)
        assert minute(held, 0, 1, -1, 0) == []
        assert (position(held), at_venue(held)) == (-2, {})
        by_hand(held, 2, stop=held.spec.price(PRICE + 60))
        reconciliation.reconcile(held.account, now=held.now, max_age=0)
        enter(held, quantity=3, side=Side.SELL)
        by_hand(held, 2)
        minute(held, 0, 1, -1, 0)
        assert (position(held), left(held)) == (-3, [0, 3])
        assert at_venue(held) == {"external": (2, 60), "stop": (3, 40), "target": (3, -200)}


class TestAfterAClose:
    """The venue's close leaves an untagged market order, and so does a person in the platform."""

    def closed(self, desk: Desk) -> None:
        enter(desk, Management(hold=timedelta(minutes=1)))
        (decision,) = minute(desk, 0, 5, 0, 5)
        assert decision.code == "hold"
        reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
        assert set(Order.objects.filter(tag__startswith="external").values_list("role", flat=True)) == {Role.EXIT}

    def buys(self, desk: Desk) -> None:
        """Buy 2 at market in the platform, and assert that they stay a person's."""
        before = position(desk)
        by_hand(desk, 2, tag=None)
        reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
        desk.account.refresh_from_db()
        assert desk.account.flatten_requested_at is None
        assert Order.objects.latest("pk").role == Role.EXTERNAL
        assert position(desk) == before + 2

    def test_what_a_person_buys_then_is_his(self, held: Desk):
        self.closed(held)
        passes(held, timedelta(hours=1))
        held.settle()
        self.buys(held)

    def test_it_is_his_once_no_close_can_be_in_flight_though_nobody_has_compared_yet(self, held: Desk):
        self.closed(held)
        passes(held, timedelta(seconds=5))
        self.buys(held)

    def test_what_he_adds_to_a_later_position_is_his_and_so_is_what_he_turns_round(self, held: Desk):
        self.closed(held)
        passes(held, timedelta(seconds=5))
        held.settle()
        enter(held)
        self.buys(held)
        by_hand(held, 8, Side.SELL, tag=None)
        reconciliation.check_fills(held.account, now=held.now, max_age=0)
        held.account.refresh_from_db()
        assert (position(held), held.account.flatten_requested_at) == (-2, None)

    def test_a_close_that_may_be_in_flight_stays_on_record(self, held: Desk):
        self.closed(held)
        held.settle()
        assert Position.objects.get().close_sent_at is not None
        passes(held, timedelta(seconds=5))
        held.settle()
        assert Position.objects.get().close_sent_at is None


def passes(desk: Desk, time: timedelta) -> None:
    """Let market and machine go on."""
    desk.now += time
    Position.objects.update(close_sent_at=F("close_sent_at") - time)


def left(desk: Desk) -> list[int]:
    """Return the contracts that are left of each open entry."""
    return [one.left for one in orders.holdings({desk.account.pk}, desk.contract, trade_date_of(desk.now))]


def test_a_new_position_knows_nothing_of_the_one_before(held: Desk) -> None:
    enter(held, HALF)
    minute(held, 0, 10, -45, -42)
    held.settle()
    second = enter(held, quantity=2)
    (holding,) = orders.holdings({held.account.pk}, held.contract, trade_date_of(held.now))
    assert (holding.entry, holding.left) == (second, 2)
    assert not Notification.objects.filter(level="alert").exists()


def lost(*_: Any, **__: Any) -> None:
    raise OutcomeUnknown("the connection was reset")


def refuse(*_: Any, **__: Any) -> int:
    raise Refused("the venue says no")
