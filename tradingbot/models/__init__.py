"""What we remember; the constraints are the rules that must hold whoever writes."""

from tradingbot.models.accounting import AccountingDifference, DayResult
from tradingbot.models.accounts import Account, Balance, BracketMode, Lock, Login, Sharing, Stage, TradingState
from tradingbot.models.backtests import Backtest, Search
from tradingbot.models.bars import BarDay, BarHour
from tradingbot.models.contracts import Contract
from tradingbot.models.decisions import Decision, Outcome
from tradingbot.models.notifications import Notification
from tradingbot.models.orders import Order, OrderEvent
from tradingbot.models.positions import Fill, Position, Trade
from tradingbot.models.processes import ApiMetric, Heartbeat, Lease, Sample, Snapshot
from tradingbot.models.rules import NewsEvent, NewsStep, Payout, PersonalRules, Rule, RulebookLoad, RuleOverride
from tradingbot.models.sessions import CalendarDay, SessionStep
from tradingbot.models.states import OverallState, StateChange
from tradingbot.models.strategies import OvernightRange, Strategy
from tradingbot.models.stream import StreamEvent

__all__ = [
    "Account",
    "AccountingDifference",
    "ApiMetric",
    "Backtest",
    "Balance",
    "BarDay",
    "BarHour",
    "BracketMode",
    "CalendarDay",
    "Contract",
    "DayResult",
    "Decision",
    "Fill",
    "Heartbeat",
    "Lease",
    "Lock",
    "Login",
    "NewsEvent",
    "NewsStep",
    "Notification",
    "Order",
    "OrderEvent",
    "Outcome",
    "OverallState",
    "OvernightRange",
    "Payout",
    "PersonalRules",
    "Position",
    "Rule",
    "RuleOverride",
    "RulebookLoad",
    "Sample",
    "Search",
    "SessionStep",
    "Sharing",
    "Snapshot",
    "Stage",
    "StateChange",
    "Strategy",
    "StreamEvent",
    "Trade",
    "TradingState",
]
