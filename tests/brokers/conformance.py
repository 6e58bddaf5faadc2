"""What every broker must do, whatever is behind it: one suite over the port, run once for each venue.

A venue's test module subclasses `Conformance` and provides a fixture `rig`: a broker on an account with $50,000 and no
position, in MNQ at 20,000 points, with a market that the test can move; and `partial_rig`, where at most two contracts
of an order fill at a time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import pytest

from brokers.base import BracketTicks, Broker, OrderReport, PlaceOrder, ReadFailed, Refused
from market.bars import Timeframe
from market.orders import OrderStatus, OrderType, Side

D = Decimal


class Rig(Protocol):
    broker: Broker
    account_id: int
    contract_id: str

    def now(self) -> datetime:
        """Return market time."""

    def move(self, start: float, end: float) -> None:
        """Let one minute pass in which the price goes straight from one level to another."""


class Conformance:
    """Subclass it with fixtures `rig` and `partial_rig`."""

    tags = 0

    def place(self, rig: Rig, side: Side, kind: OrderType, quantity: int = 1, **more: Any) -> int:
        tag = more.pop("tag", None)
        if tag is None:
            self.tags += 1
            tag = f"c-{self.tags}"
        order = PlaceOrder(rig.account_id, rig.contract_id, tag, side, kind, quantity, **more)
        return rig.broker.place(order)

    def found(self, rig: Rig, order_id: int) -> OrderReport:
        """The order in the history, else among those in flight."""
        past = rig.broker.orders_between(rig.account_id, rig.now() - timedelta(days=1), rig.now())
        present = rig.broker.orders_in_flight(rig.account_id)
        return next(order for order in past + present if order.id == order_id)

    def legs(self, rig: Rig, entry: int) -> tuple[OrderReport, OrderReport]:
        """Stop and target in flight."""
        both = {order.tag: order for order in rig.broker.orders_in_flight(rig.account_id) if order.parent_id == entry}
        (stop,) = (order for tag, order in both.items() if tag and tag.endswith("-SL"))
        (target,) = (order for tag, order in both.items() if tag and tag.endswith("-TP"))
        return stop, target

    def position(self, rig: Rig) -> tuple[int, Decimal] | None:
        found = rig.broker.positions(rig.account_id)
        return (found[0].quantity, found[0].average_price) if found else None

    def fills(self, rig: Rig) -> list[tuple[Side, int, Decimal]]:
        found = rig.broker.fills(rig.account_id, rig.now() - timedelta(days=1), rig.now())
        return [(fill.side, fill.quantity, fill.price) for fill in found]

    def test_the_account_and_its_contract_are_listed(self, rig: Rig) -> None:
        account = next(a for a in rig.broker.accounts() if a.id == rig.account_id)
        assert (account.balance, account.can_trade, account.simulated) == (D(50000), True, True)
        listed = next(c for c in rig.broker.contracts() if c.contract.id == rig.contract_id)
        assert (listed.contract.symbol, listed.active) == ("MNQ", True)
        assert (listed.contract.tick_size, listed.contract.tick_value) == (D("0.25"), D("0.5"))
        assert rig.broker.contract(rig.contract_id) == listed

    def test_an_unknown_contract_is_refused_and_an_unknown_account_is_no_empty_list(self, rig: Rig) -> None:
        with pytest.raises(Refused):
            rig.broker.contract("CON.F.US.MNQ.X26")
        for read in (rig.broker.positions, rig.broker.orders_in_flight):
            with pytest.raises(ReadFailed):
                read(999_999)

    def test_a_market_order_fills_and_reports_its_execution(self, rig: Rig) -> None:
        order_id = self.place(rig, Side.BUY, OrderType.MARKET, 2, tag="mine")
        order = self.found(rig, order_id)
        assert (order.status, order.filled, order.filled_price, order.tag) == (OrderStatus.FILLED, 2, D(20000), "mine")
        (fill,) = rig.broker.fills(rig.account_id, rig.now() - timedelta(minutes=1), rig.now())
        assert (fill.order_id, fill.side, fill.quantity, fill.price) == (order_id, Side.BUY, 2, D(20000))
        assert (fill.fees, fill.commissions, fill.profit, fill.voided) == (D("0.72"), D("0.50"), None, False)
        assert self.position(rig) == (2, D(20000))

    def test_a_short_is_negative_and_its_profit_is_reported_on_the_way_out(self, rig: Rig) -> None:
        self.place(rig, Side.SELL, OrderType.MARKET, 2)
        assert self.position(rig) == (-2, D(20000))
        rig.move(20000, 19990)
        self.place(rig, Side.BUY, OrderType.MARKET, 2)
        assert self.position(rig) is None
        last = rig.broker.fills(rig.account_id, rig.now() - timedelta(hours=1), rig.now())[-1]
        assert last.profit == D(40)
        balance = next(a.balance for a in rig.broker.accounts() if a.id == rig.account_id)
        assert balance == D("50037.56")  # 40 - 4 x 0.61

    def test_working_orders_fill_when_the_market_gets_there(self, rig: Rig) -> None:
        stop = self.place(rig, Side.BUY, OrderType.STOP, stop_price=D("20010"))
        limit = self.place(rig, Side.BUY, OrderType.LIMIT, limit_price=D("19990"))
        assert [self.found(rig, i).status for i in (stop, limit)] == [OrderStatus.WORKING] * 2
        assert (self.found(rig, stop).stop_price, self.found(rig, limit).limit_price) == (D("20010"), D("19990"))
        rig.move(20000, 20012)
        rig.move(20012, 19989)
        assert self.fills(rig) == [(Side.BUY, 1, D("20010")), (Side.BUY, 1, D("19990"))]
        assert self.position(rig) == (2, D(20000))

    def test_a_bracket_travels_suspended_and_works_once_its_entry_filled(self, rig: Rig) -> None:
        bracket = BracketTicks(stop=40, target=60)
        entry = self.place(rig, Side.SELL, OrderType.STOP, 3, stop_price=D("19990"), tag="e", bracket=bracket)
        assert [leg.status for leg in self.legs(rig, entry)] == [OrderStatus.SUSPENDED] * 2
        rig.move(20000, 19988)
        stop, target = self.legs(rig, entry)
        assert (stop.status, stop.type, stop.stop_price) == (OrderStatus.WORKING, OrderType.STOP, D(20000))
        assert (target.status, target.type, target.limit_price) == (OrderStatus.WORKING, OrderType.LIMIT, D(19975))
        assert (stop.side, stop.quantity, stop.tag, target.tag) == (Side.BUY, 3, "e-SL", "e-TP")
        rig.move(19988, 19974)
        assert self.position(rig) is None
        assert self.found(rig, target.id).status is OrderStatus.FILLED
        assert self.found(rig, stop.id).status is OrderStatus.CANCELLED
        assert rig.broker.orders_in_flight(rig.account_id) == []

    def test_the_stop_of_a_bracket_ends_the_trade(self, rig: Rig) -> None:
        entry = self.place(rig, Side.BUY, OrderType.MARKET, bracket=BracketTicks(stop=40, target=60))
        stop, target = self.legs(rig, entry)
        rig.move(20000, 19985)
        assert self.fills(rig)[-1] == (Side.SELL, 1, D(19990))
        assert self.found(rig, target.id).status is OrderStatus.CANCELLED
        assert self.found(rig, stop.id).filled_price == D(19990)

    def test_a_bracket_may_have_a_stop_alone(self, rig: Rig) -> None:
        entry = self.place(rig, Side.BUY, OrderType.MARKET, bracket=BracketTicks(stop=40))
        (leg,) = (order for order in rig.broker.orders_in_flight(rig.account_id) if order.parent_id == entry)
        assert (leg.stop_price, leg.status) == (D(19990), OrderStatus.WORKING)

    def test_modify_sets_absolute_values(self, rig: Rig) -> None:
        entry = self.place(rig, Side.BUY, OrderType.MARKET, 2, bracket=BracketTicks(stop=40, target=60))
        stop, target = self.legs(rig, entry)
        rig.broker.modify(rig.account_id, stop.id, stop_price=D("19999.75"))
        rig.broker.modify(rig.account_id, target.id, limit_price=D("20030.25"), quantity=1)
        stop, target = self.legs(rig, entry)
        assert (stop.stop_price, stop.quantity) == (D("19999.75"), 2)
        assert (target.limit_price, target.quantity) == (D("20030.25"), 1)

    def test_a_modification_that_cannot_be_is_refused(self, rig: Rig) -> None:
        order = self.place(rig, Side.BUY, OrderType.STOP, stop_price=D("20010"))
        for values in ({"stop_price": D("20010.1")}, {"stop_price": D("19000")}, {"quantity": 0}):
            with pytest.raises(Refused):
                rig.broker.modify(rig.account_id, order, **values)
        assert self.found(rig, order).stop_price == D("20010")

    def test_cancel_ends_an_order_and_its_suspended_legs(self, rig: Rig) -> None:
        bracket = BracketTicks(stop=40, target=60)
        order = self.place(rig, Side.BUY, OrderType.LIMIT, limit_price=D(19000), bracket=bracket)
        rig.broker.cancel(rig.account_id, order)
        assert self.found(rig, order).status is OrderStatus.CANCELLED
        assert rig.broker.orders_in_flight(rig.account_id) == []
        for unknown in (order, 999_999_999):
            with pytest.raises(Refused):
                rig.broker.cancel(rig.account_id, unknown)

    def test_a_partial_fill_is_seen_as_such_and_protected(self, partial_rig: Rig) -> None:
        rig = partial_rig
        entry = self.place(rig, Side.BUY, OrderType.MARKET, 5, bracket=BracketTicks(stop=40, target=60))
        order = self.found(rig, entry)
        assert (order.status, order.quantity, order.filled) == (OrderStatus.PARTIAL, 5, 2)
        assert [leg.quantity for leg in self.legs(rig, entry)] == [2, 2]
        rig.move(20000, 20000)
        assert self.found(rig, entry).status is OrderStatus.FILLED
        assert [leg.quantity for leg in self.legs(rig, entry)] == [5, 5]
        assert [quantity for _, quantity, _ in self.fills(rig)] == [2, 2, 1]

    def test_close_all_and_in_part(self, rig: Rig) -> None:
        self.place(rig, Side.BUY, OrderType.MARKET, 3)
        rig.broker.close(rig.account_id, rig.contract_id, 2)
        assert self.position(rig) == (1, D(20000))
        rig.broker.close(rig.account_id, rig.contract_id)
        assert self.position(rig) is None
        with pytest.raises(Refused) as flat:
            rig.broker.close(rig.account_id, rig.contract_id)
        assert flat.value.code == 2

    def test_closing_leaves_bracket_legs_to_us(self, rig: Rig) -> None:
        entry = self.place(rig, Side.BUY, OrderType.MARKET, bracket=BracketTicks(stop=40, target=60))
        rig.broker.close(rig.account_id, rig.contract_id)
        for leg in self.legs(rig, entry):
            rig.broker.cancel(rig.account_id, leg.id)
        assert rig.broker.orders_in_flight(rig.account_id) == []

    def test_a_tag_is_accepted_once(self, rig: Rig) -> None:
        self.place(rig, Side.BUY, OrderType.MARKET, tag="once")
        with pytest.raises(Refused, match=r"(?i)tag.*in use"):
            self.place(rig, Side.BUY, OrderType.MARKET, tag="once")
        assert self.position(rig) == (1, D(20000))

    def test_orders_that_cannot_be_are_refused(self, rig: Rig) -> None:
        for kind, more in (
            (OrderType.LIMIT, {"limit_price": D("20000.1")}),
            (OrderType.STOP, {"stop_price": D("19990")}),
            (OrderType.MARKET, {"quantity": 0}),
            (OrderType.MARKET, {"bracket": BracketTicks(stop=3)}),
        ):
            with pytest.raises(Refused):
                self.place(rig, Side.BUY, kind, more.pop("quantity", 1), **more)
        assert rig.broker.orders_in_flight(rig.account_id) == []
        assert self.position(rig) is None

    def test_a_trailing_stop_follows(self, rig: Rig) -> None:
        self.place(rig, Side.BUY, OrderType.MARKET)
        order = self.place(rig, Side.SELL, OrderType.TRAILING_STOP, trail_price=D(19990))
        rig.move(20000, 20020)
        assert self.found(rig, order).status is OrderStatus.WORKING
        rig.move(20020, 20000)
        assert self.fills(rig)[-1] == (Side.SELL, 1, D(20010))

    def test_bars_are_closed_oldest_first_and_within_the_window(self, rig: Rig) -> None:
        start = rig.now()
        rig.move(20000, 20010)
        rig.move(20010, 20005)
        rig.move(20005, 20006)
        bars = rig.broker.bars(rig.contract_id, Timeframe.M1, start, start + timedelta(minutes=2))
        assert [bar.opened_at for bar in bars] == [start, start + timedelta(minutes=1)]
        assert [(bar.open, bar.high, bar.low, bar.close) for bar in bars] == [
            (D(20000), D(20010), D(20000), D(20010)),
            (D(20010), D(20010), D(20005), D(20005)),
        ]
        (newest,) = rig.broker.bars(rig.contract_id, Timeframe.M1, start, rig.now(), limit=1)
        assert newest.opened_at == start + timedelta(minutes=2)
        seconds = rig.broker.bars(rig.contract_id, Timeframe.S30, start, start + timedelta(minutes=1))
        assert [bar.close for bar in seconds] == [D(20005), D(20010)]

    def test_orders_and_fills_are_those_of_the_window(self, rig: Rig) -> None:
        first = self.place(rig, Side.BUY, OrderType.MARKET)
        rig.move(20000, 20000)
        middle = rig.now()
        second = self.place(rig, Side.SELL, OrderType.MARKET)
        before = rig.broker.orders_between(rig.account_id, middle - timedelta(hours=1), middle - timedelta(seconds=1))
        after = rig.broker.orders_between(rig.account_id, middle, rig.now())
        assert ([order.id for order in before], [order.id for order in after]) == ([first], [second])
        assert [fill.order_id for fill in rig.broker.fills(rig.account_id, middle, rig.now())] == [second]
