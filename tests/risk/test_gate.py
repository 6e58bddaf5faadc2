"""The gate: what it lets through, what it denies and with which words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from market.contracts import Contract
from market.orders import OrderType
from market.sessions import flat_by
from risk import rulebook
from risk.gate import Code, decide
from tests.risk.states import ALLOWED, BUY, MARKET, MES, NOW, RULES, SELL, SESSION, order, pair, position, single, state

REAL = {
    "real": True,
    "armed": True,
    "token_until": flat_by(SESSION) + timedelta(seconds=1),
    "bracket_mode": "auto_oco",
    "clock_skew": -4.9,
}
GC = Contract("CON.F.US.GCE.Z26", "GC", D("0.1"), D(10))  # no margin is known of it


def test_the_overnight_pair_of_three_micros_is_allowed_and_every_rule_reported():
    verdict = decide(pair(), state())
    assert (verdict.allowed, verdict.quantity, verdict.code) == (True, 3, Code.ALLOWED)
    assert all(rule.ok is not False for rule in verdict.rules)
    assert [rule.name for rule in verdict.rules] == [
        "all accounts", "trading state", "stage", "venue allows trading", "reconciled", "token valid until",
        "bracket mode", "clock against the venue's", "rulebook", "login", "session", "entry window",
        "calendar known until", "age of prices", "age of balance", "product", "quantity", "sides", "buy price",
        "buy stop loss", "buy target", "sell price", "sell stop loss", "sell target", "lots", "product cap",
        "entry in this session", "contract free", "entries in a minute", "entries in a session",
        "other exposed accounts", "firm's products", "last opening time", "opposite positions",
        "everything has a stop", "daily loss", "worst equity", "news", "useful today", "personal limits", "size",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"trading_state": "reduce_only"}, Code.REDUCE_ONLY),
        ({"trading_state": "halted"}, Code.HALTED),
        ({"trading_state": ""}, Code.HALTED),
        ({"enabled": False}, Code.ACCOUNT_DISABLED),
        ({"stage": "unknown"}, Code.STAGE_REFUSED),
        ({"stage": "live"}, Code.STAGE_REFUSED),
        ({"can_trade": False}, Code.ACCOUNT_LOCKED),
        ({"blocked": "missing: beat is silent"}, Code.LOGIN_BLOCKED),
        ({"overall_state": "halted"}, Code.HALTED),
        ({"overall_state": "reduce_only"}, Code.REDUCE_ONLY),
        ({"overall_state": ""}, Code.HALTED),
        ({"real": True, "armed": False}, Code.NOT_ARMED),
        ({"real": True, "armed": True}, Code.TOKEN_EXPIRES),
        ({"token_until": flat_by(SESSION)}, Code.TOKEN_EXPIRES),
        ({"bracket_mode": "position"}, Code.BRACKET_MODE),
        ({**REAL, "bracket_mode": "unknown"}, Code.BRACKET_MODE),
        ({**REAL, "clock_skew": None}, Code.CLOCK_SKEW),
        ({"clock_skew": -5.1}, Code.CLOCK_SKEW),
        ({"clock_skew": 5.1}, Code.CLOCK_SKEW),
        ({"rules": replace(RULES, problems=("two rows for XFA 50 overlap",))}, Code.RULEBOOK_INVALID),
        ({"product_percent": 3}, Code.PRODUCT_SHARE),  # 0.15 lots; one on each side takes 0.2
        ({"group_percent": 10, "exposures": (order(4, contract=MES),)}, Code.GROUP_SHARE),
        ({"product_percent": 50, "max_lots": None}, Code.NO_SIZE_LIMIT),
        ({"margin_percent": 1}, Code.MARGIN),
        ({"margin_percent": 50, "exposures": (position(1, contract=GC),)}, Code.MARGIN),
        ({"reconciled": False}, Code.NOT_RECONCILED),
        ({"strategy_halted": "both entries filled"}, Code.STRATEGY_HALTED),
        ({"session": None}, Code.NO_SESSION),
        ({"now": SESSION.opens_at - timedelta(seconds=1)}, Code.OUTSIDE_WINDOW),
        ({"now": datetime(2026, 11, 18, 21, 0, tzinfo=UTC)}, Code.OUTSIDE_WINDOW),  # 15:00 Chicago: flat
        ({"calendar_until": None}, Code.CALENDAR_ENDS),
        ({"calendar_until": (NOW + timedelta(days=13)).date()}, Code.CALENDAR_ENDS),
        ({"prices_at": None}, Code.STALE_PRICES),
        ({"prices_at": NOW - timedelta(seconds=126)}, Code.STALE_PRICES),
        ({"balance": None}, Code.STALE_BALANCE),
        ({"equity": None}, Code.STALE_BALANCE),
        ({"balance_age": None}, Code.STALE_BALANCE),
        ({"balance_age": 90.1}, Code.STALE_BALANCE),
        ({"max_lots": None}, Code.NO_SIZE_LIMIT),
        ({"max_lots": D("0.1")}, Code.TOO_MANY_LOTS),
        ({"product_cap": 1}, Code.PRODUCT_CAP),
        ({"taken": frozenset({SELL.side})}, Code.ENTRY_TAKEN),
        ({"contract_taken_by": "ema_cross"}, Code.CONTRACT_TAKEN),
        ({"strategies_at_work": 2, "max_strategies": 2}, Code.TOO_MANY_STRATEGIES),
        ({"entries_minute": 5}, Code.TOO_MANY_ENTRIES),
        ({"entries_session": 59}, Code.TOO_MANY_ENTRIES),
        ({"exposed_accounts": 5}, Code.TOO_MANY_ACCOUNTS),
        ({"exposures": (position(1, stop=None),)}, Code.UNPROTECTED),
        ({"exposures": (order(1, stop=None, unknown=True),)}, Code.UNPROTECTED),
        ({"daily_loss_limit": D(1000), "day_profit": None}, Code.DAY_UNKNOWN),
        ({"daily_loss_limit": D(1000), "day_profit": D(-950)}, Code.DAILY_LOSS),
        ({"floor": None}, Code.NO_LOSS_LIMIT),
        ({"maximum_loss": None}, Code.NO_LOSS_LIMIT),
        ({"floor": D(49950)}, Code.MAXIMUM_LOSS),
    ],
)
def test_each_rule_denies_with_its_code_and_a_sentence(changes, code):
    verdict = decide(pair(minimum_quantity=1), state(**changes))
    assert (verdict.allowed, verdict.quantity, verdict.code) == (False, 0, code)
    assert verdict.sentence.endswith(".")
    assert next(rule.note for rule in verdict.rules if rule.ok is False) == verdict.sentence


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (pair(0), Code.BAD_QUANTITY, "quantity is 0"),
        (pair(-3), Code.BAD_QUANTITY, "at least 1"),
        (pair(2, minimum_quantity=3), Code.BAD_QUANTITY, "at least 3"),
        (pair(3, minimum_quantity=0), Code.BAD_QUANTITY, "at least 1"),
        (pair(sides=()), Code.BAD_SIDES, "none"),
        (pair(sides=(BUY, BUY)), Code.BAD_SIDES, "buy and buy"),
        (pair(sides=(BUY,)), Code.BAD_SIDES, "pair"),
        (pair(oco=False), Code.BAD_SIDES, "buy and sell"),
        (single(price=MARKET), Code.BAD_PRICE, "buy stop must lie above"),
        (single(side=SELL, price=MARKET + 1), Code.BAD_PRICE, "sell stop must lie below"),
        (single(price=None), Code.BAD_PRICE, "missing"),
        (single(type=OrderType.MARKET), Code.BAD_PRICE, "leave the price out"),
        (single(type=OrderType.TRAILING_STOP, price=MARKET - 1), Code.BAD_PRICE, "buy stop must lie above"),
        (single(stop_ticks=3), Code.BAD_STOP, "4 ticks or more"),
        (single(stop_ticks=0), Code.BAD_STOP, "below the entry"),
        (single(side=SELL, stop_ticks=-12), Code.BAD_STOP, "above the entry"),
        (single(stop_ticks=100_001), Code.BAD_STOP, "cannot be meant"),
        (single(target_ticks=0), Code.BAD_TARGET, "above the entry"),
        (single(side=SELL, target_ticks=-1), Code.BAD_TARGET, "below the entry"),
        (single(expires_at=NOW), Code.EXPIRED, "09:30:04"),
        (replace(single(), reference=None), Code.STALE_PRICES, "no price of MNQ"),
        (replace(single(), contract=Contract("X", "XYZ", D(1), D(1))), Code.PRODUCT_REFUSED, "XYZ"),
        (replace(single(), contract=Contract("Z", "ZC", D("0.25"), D("12.5"))), Code.PRODUCT_REFUSED, "closes before"),
    ],
)
def test_a_wrong_request_is_denied_and_the_sentence_names_the_fix(request_, code, words):
    verdict = decide(request_, state())
    assert (verdict.allowed, verdict.code) == (False, code)
    assert words in verdict.sentence


def test_a_market_order_and_a_marketable_limit_need_no_side_of_the_market():
    for good in (single(type=OrderType.MARKET, price=None), single(type=OrderType.LIMIT, price=MARKET + 10)):
        assert decide(good, state()).allowed


def test_the_first_failure_in_the_gates_order_decides_and_all_are_reported():
    verdict = decide(pair(0), state(trading_state="halted", floor=None, balance_age=300.0))
    assert verdict.code is Code.HALTED
    assert [rule.name for rule in verdict.rules if rule.ok is False] == ["trading state", "age of balance", "quantity"]


def test_both_sides_of_a_pair_count_for_the_maximum_loss():
    # One MNQ and side: (80 + 8) ticks x $0.50 + $1.22 = $45.22; a pair of 3 can lose 2 x 3 x 45.22 = $271.32.
    room = D("271.33")
    assert decide(pair(), state(floor=D(50000) - room)).quantity == 3
    assert decide(single(), state(floor=D(50000) - room / 2)).quantity == 3
    touching = decide(pair(), state(floor=D(50000) - room + D("0.01")))
    assert touching.quantity == 2  # reaching the floor is a breach


def test_the_size_shrinks_to_what_fits_but_not_below_the_smallest_that_is_wanted():
    tight = state(floor=D(50000) - D(200))  # two pairs cost 180.88
    verdict = decide(pair(), tight)
    assert (verdict.quantity, verdict.sentence) == (2, "2 of 3 MNQ may be sent: every rule is kept.")
    assert decide(pair(minimum_quantity=3), tight).code is Code.MAXIMUM_LOSS
    assert decide(pair(), state(max_lots=D("0.5"))).quantity == 2  # 0.2 lots a pair


def test_positions_and_working_and_unknown_orders_use_up_the_room_at_their_stops():
    held = (position(10), order(10), order(10, unknown=True))
    # position: 10 x (88 x 0.50 + 0.61) = 446.10; each order: 10 x 45.22 = 452.20
    used = D("446.10") + 2 * D("452.20")
    each = D("90.44")
    for room, granted in ((used + each + D("0.01"), 1), (used + each, 0)):
        verdict = decide(pair(1), state(exposures=held, floor=D(50000) - room))
        assert verdict.quantity == granted


def test_a_secured_profit_is_not_lent_to_new_orders():
    secured = position(10, stop=-400)
    assert decide(pair(), state(exposures=(secured,), floor=D(50000) - D("277.42"))).quantity == 2
    assert decide(pair(), state(exposures=(secured,), floor=D(50000) - D("277.43"))).quantity == 3  # exit costs 6.10


def test_a_position_beyond_its_stop_counts_at_what_it_is_worth():
    gone = state(exposures=(position(10),), equity=D(48050), floor=D(48000))
    assert decide(single(), gone).code is Code.MAXIMUM_LOSS


def test_the_daily_loss_limit_is_room_of_its_own():
    verdict = decide(pair(), state(daily_loss_limit=D(1000), day_profit=D(-800)))
    assert verdict.quantity == 2  # 200 left, 90.44 a pair
    rule = next(rule for rule in verdict.rules if rule.name == "worst result of the day")
    assert (rule.value, rule.limit, rule.note) == ("-$1,071.32", "above -$1,000.00", "2 contracts fit")


def test_long_and_short_in_different_products_add_up_to_lots():
    held = (position(20), order(10, contract=MES))  # 2.0 + 1.0 lots
    assert decide(single(20), state(exposures=held, floor=D(10000))).quantity == 20
    assert decide(single(21), state(exposures=held, floor=D(10000))).quantity == 20
    full = (position(50),)
    assert decide(single(1), state(exposures=full, floor=D(10000))).code is Code.TOO_MANY_LOTS


def test_a_product_cap_of_none_is_no_cap_and_of_zero_refuses():
    assert decide(single(), state(product_cap=None)).allowed
    assert decide(single(), state(product_cap=0)).code is Code.PRODUCT_CAP


def test_every_traded_stage_passes_and_no_other():
    allowed = {stage for stage in rulebook.Stage if decide(pair(), state(stage=stage)).allowed}
    assert allowed == {rulebook.Stage.PRACTICE, rulebook.Stage.COMBINE, rulebook.Stage.EXPRESS}


def test_the_same_question_has_the_same_answer():
    assert decide(pair(), ALLOWED) == decide(pair(), ALLOWED)


def test_an_armed_account_with_everything_in_place_is_allowed():
    assert decide(pair(), state(**REAL)).allowed


@pytest.mark.parametrize(
    ("changes", "granted"),
    [
        ({"product_percent": 8}, 2),  # 0.4 lots: two on each side
        ({"group_percent": 8, "exposures": (order(2, contract=MES),)}, 1),  # 0.2 of them are held
        ({"margin_percent": 20}, 2),  # $10,000; one on each side binds $4,884
        ({"margin_percent": 30, "exposures": (order(2, contract=MES),)}, 2),  # $12,470 are left of $15,000
        ({"taper_percent": 50, "floor": D(49250)}, 2),  # $750 of $1,000: 3 x 0.75
        ({"taper_percent": 100, "floor": D(49700)}, 1),  # $300 of $2,000: never below 1
        ({"taper_percent": 50}, 3),
    ],
)
def test_a_persons_own_limits_reduce_the_size(changes, granted):
    verdict = decide(pair(3), state(**changes))
    assert (verdict.allowed, verdict.quantity) == (True, granted), verdict.sentence
    assert any("contracts" in rule.note for rule in verdict.rules) == (granted < 3)
