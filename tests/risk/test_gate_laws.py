"""Laws of the gate: nothing that it admits can break the account, and what is not known never means unlimited."""

from dataclasses import replace
from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st

from market.orders import OrderType, Side
from risk.costs import ROUND_TURN
from risk.exposures import tally
from risk.gate import EntryRequest, EntrySide, Exposure, decide
from risk.strategies import StrategyLimits, StrategyState
from risk.worst_cases import worst_case
from tests.risk.states import MARKET, MES, MNQ, state

SLIPPAGE = 8
contracts = st.sampled_from([MNQ, MES])
sizes = st.integers(1, 30)
stops = st.integers(4, 400)


@st.composite
def requests(draw):
    contract, paired = draw(contracts), draw(st.booleans())
    up = EntrySide(Side.BUY, OrderType.STOP, MARKET + draw(st.integers(1, 500)), draw(stops))
    down = EntrySide(Side.SELL, OrderType.STOP, MARKET - draw(st.integers(1, 500)), draw(stops))
    sides = (up, down) if paired else (draw(st.sampled_from([up, down])),)
    return EntryRequest(contract, draw(sizes), sides, oco=paired, reference=MARKET)


def admitted(book, verdict, request):
    """Return the book with what the verdict lets through."""
    new = (Exposure(request.contract, side.side, verdict.quantity, side.stop_ticks) for side in request.sides)
    return (*book, *new)


def losses(book, draw):
    """Fill any of the book's orders, in any order, and stop any of what is open, each with slippage up to the reserve.

    Yields the equity's change after each fill, open positions marked at their stops: the worst mark before they close.
    """
    closed = open_ = D(0)
    filled = draw(st.permutations(range(len(book))))
    for number in filled[: draw(st.integers(0, len(book)))]:
        item = book[number]
        quantity = draw(st.integers(1, item.quantity))
        ticks = item.stop_ticks + draw(st.integers(0, SLIPPAGE))
        cost = ROUND_TURN[item.contract.symbol] * quantity
        loss = ticks * quantity * item.contract.tick_value + cost
        if draw(st.booleans()):
            closed += loss
        else:
            open_ += loss
        yield closed + open_


@settings(max_examples=150, deadline=None)
@given(
    st.data(),
    st.lists(requests(), min_size=1, max_size=6),
    st.integers(0, 4000),
    st.one_of(st.none(), st.integers(1, 3000)),
)
def test_no_set_of_admitted_orders_breaches_whatever_fills(data, asked, room, daily):
    book = ()
    daily_limit = None if daily is None else D(daily)
    for request in asked:
        now = state(exposures=book, floor=D(50000) - room, daily_loss_limit=daily_limit, max_lots=D(1000))
        verdict = decide(request, now)
        assert verdict.quantity <= request.quantity
        if verdict.allowed:
            book = admitted(book, verdict, request)
    for loss in losses(book, data.draw):
        assert D(50000) - loss > D(50000) - room
        assert daily_limit is None or -loss > -daily_limit


@settings(max_examples=60, deadline=None)
@given(requests(), st.integers(1, 200))
def test_lots_of_everything_that_may_fill_stay_within_the_limit(request_, tenths):
    limit = D(tenths) / 10
    verdict = decide(request_, state(max_lots=limit, floor=D(-10_000_000)))
    assert D("0.1") * verdict.quantity * len(request_.sides) <= limit
    assert verdict.allowed == (limit >= D("0.1") * len(request_.sides))


@settings(max_examples=40, deadline=None)
@given(requests(), st.sets(st.sampled_from(["maximum_loss", "max_lots", "balance", "floor", "equity"]), min_size=1))
def test_a_required_limit_that_is_not_known_denies(request_, unknown):
    verdict = decide(request_, state(**dict.fromkeys(unknown)))
    assert (verdict.allowed, verdict.quantity) == (False, 0)


@settings(max_examples=60, deadline=None)
@given(requests(), st.lists(st.tuples(contracts, sizes, stops), max_size=5))
def test_more_exposure_never_lets_more_through(request_, held):
    book = tuple(Exposure(contract, Side.BUY, size, stop, is_position=True) for contract, size, stop in held)
    alone, beside = decide(request_, state()), decide(request_, state(exposures=book))
    assert beside.quantity <= alone.quantity
    without_stop = replace(book[0], stop_ticks=None) if book else None
    if without_stop:
        assert not decide(request_, state(exposures=(without_stop,))).allowed


class Account:
    """An account whose entries fill, stop and are asked for in any order; every entry passes the gate first."""

    def __init__(self, room: int, daily: int | None, limits: StrategyLimits) -> None:
        self.balance = self.start = D(50_000)
        self.floor, self.daily, self.limits = self.start - room, None if daily is None else D(daily), limits
        self.book: list[Exposure] = []
        self.marks: dict[int, int] = {}  # ticks in profit of each open position, by its place in the book

    def ask(self, request: EntryRequest) -> None:
        profit = sum(
            (
                ticks * self.book[place].quantity * self.book[place].contract.tick_value
                for place, ticks in self.marks.items()
            ),
            D(0),
        )
        strategy = StrategyState(self.limits, realised=self.balance - self.start, exposures=tuple(self.book))
        verdict = decide(
            request,
            state(
                balance=self.balance,
                equity=self.balance + profit,
                day_profit=self.balance + profit - self.start,
                floor=self.floor,
                daily_loss_limit=self.daily,
                max_lots=D(1000),
                exposures=tuple(self.book),
                strategy=strategy,
                taper_percent=60,
            ),
        )
        if verdict.allowed:
            self.book += [Exposure(request.contract, s.side, verdict.quantity, s.stop_ticks) for s in request.sides]

    def fill(self, place: int, quantity: int, mark: int) -> None:
        """Fill a part of an order; its mark is anywhere from its stop, with slippage, to far in profit."""
        order = self.book[place]
        quantity = min(quantity, order.quantity)
        self.book[place] = replace(order, quantity=order.quantity - quantity)
        self.marks[len(self.book)] = mark
        self.book.append(replace(order, quantity=quantity, is_position=True))
        self.balance -= ROUND_TURN[order.contract.symbol] / 2 * quantity

    def stop(self, place: int, slippage: int) -> None:
        held = self.book[place]
        loss = (held.stop_ticks + slippage) * held.contract.tick_value + ROUND_TURN[held.contract.symbol] / 2
        self.balance -= loss * held.quantity
        self.book[place] = replace(held, quantity=0)
        self.marks.pop(place)

    @property
    def worst(self) -> D:
        """Return the balance after everything that is open, or may open, is stopped with the whole reserve."""
        left = [item for item in self.book if item.quantity]
        book = worst_case(tally(left, slippage=SLIPPAGE))
        return self.balance - book.positions - book.orders

    def check(self) -> None:
        """Assert that no limit can be reached any more, whatever fills and stops from here on."""
        lost = self.start - self.worst
        if lost:
            assert self.worst > self.floor
            assert self.daily is None or lost < self.daily
            assert self.limits.daily_loss is None or lost < self.limits.daily_loss


@settings(max_examples=100, deadline=None)
@given(
    st.data(),
    st.integers(0, 4000),
    st.one_of(st.none(), st.integers(1, 3000)),
    st.one_of(st.none(), st.integers(1, 2000)),
)
def test_whatever_happens_between_the_entries_no_limit_can_be_reached(data, room, daily, own):
    account = Account(room, daily, StrategyLimits(daily_loss=None if own is None else D(own)))
    for _ in range(data.draw(st.integers(1, 12))):
        orders = [p for p, item in enumerate(account.book) if item.quantity and not item.is_position]
        what = data.draw(st.sampled_from(["ask", *["fill"] * bool(orders), *["stop"] * bool(account.marks)]))
        if what == "ask":
            account.ask(data.draw(requests()))
        elif what == "fill":
            place = data.draw(st.sampled_from(orders))
            worst_mark = -account.book[place].stop_ticks - SLIPPAGE
            account.fill(place, data.draw(st.integers(1, 30)), data.draw(st.integers(worst_mark, 2000)))
        else:
            place = data.draw(st.sampled_from(sorted(account.marks)))
            account.stop(place, data.draw(st.integers(0, SLIPPAGE)))
        account.check()


@settings(max_examples=60, deadline=None)
@given(
    requests(),
    st.sampled_from(
        [
            ({"margin_percent": 100}, {"equity": None}),
            ({"product_percent": 100}, {"max_lots": None}),
            ({"group_percent": 100}, {"max_lots": None}),
            ({"strategy": StrategyState(StrategyLimits(daily_loss_share=100))}, {"daily_loss_limit": None}),
            ({"strategy": StrategyState(StrategyLimits(buffer=D(1)))}, {"floor": None}),
            ({"strategy": StrategyState(StrategyLimits(min_reward_risk=D(0)))}, {}),  # no target: no reward known
        ]
    ),
)
def test_a_limit_of_ones_own_whose_base_is_not_known_denies(request_, case):
    limits, unknown = case
    assert not decide(request_, state(**limits, **unknown)).allowed
