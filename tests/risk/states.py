"""A state in which everything is allowed, and what a test changes of it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

from market.contracts import Contract
from market.orders import OrderType, Side
from market.sessions import flat_by, regular_session
from risk.consistency import Days
from risk.gate import EntryRequest, EntrySide, Exposure, RiskState
from risk.limits import entries_until
from risk.personal import Personal
from risk.rule_states import RuleState
from risk.rulebook import shipped

MNQ = Contract("CON.F.US.MNQ.Z26", "MNQ", D("0.25"), D("0.5"))
MES = Contract("CON.F.US.MES.Z26", "MES", D("0.25"), D("1.25"))
SESSION = regular_session(date(2026, 11, 18))
TODAY = SESSION.trade_date
NOW = datetime(2026, 11, 18, 14, 30, 4, tzinfo=UTC)  # 09:30:04 New York
MARKET = 86000  # ticks of MNQ: 21,500.00
RULES = RuleState(
    problems=(),
    parameters=shipped().parameters("combine", 50, TODAY),
    permitted=shipped().permitted(TODAY),
    personal=Personal(),
    days=Days(),
    conduct=shipped().conduct(TODAY),
)
ALLOWED = RiskState(
    now=NOW,
    trading_state="active",
    stage="combine",
    enabled=True,
    can_trade=True,
    reconciled=True,
    blocked="",
    strategy_halted="",
    session=SESSION,
    flat_at=flat_by(SESSION),
    entries_until=entries_until(SESSION),
    calendar_until=date(2027, 11, 18),
    prices_at=NOW - timedelta(seconds=4),
    price_age=125.0,
    balance=D(50000),
    balance_age=30.0,
    equity=D(50000),
    day_profit=D(0),
    floor=D(48000),
    maximum_loss=D(2000),
    daily_loss_limit=None,
    max_lots=D(5),
    slippage_ticks=8,
    rules=RULES,
)
BUY = EntrySide(Side.BUY, OrderType.STOP, MARKET + 200, 80, 100)
SELL = EntrySide(Side.SELL, OrderType.STOP, MARKET - 200, 80, 100)


def state(**changes):
    return replace(ALLOWED, **changes)


def pair(quantity=3, **changes):
    return replace(EntryRequest(MNQ, quantity, (BUY, SELL), oco=True, reference=MARKET), **changes)


def single(quantity=3, side=BUY, **changes):
    return replace(EntryRequest(MNQ, quantity, (replace(side, **changes),), reference=MARKET))


def position(quantity=3, *, contract=MNQ, side=Side.BUY, stop=80):
    return Exposure(contract, side, quantity, stop, is_position=True)


def order(quantity=3, *, contract=MNQ, side=Side.BUY, stop=80, unknown=False):
    return Exposure(contract, side, quantity, stop, is_unknown=unknown)
