"""Every worked example of the firm's rules, in the order of the reference that the rulebook cites.

Numbers are those of the firm's pages; where an example has to be read through the gate, the gate is asked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal as D
from zoneinfo import ZoneInfo

import pytest

from market.orders import Side
from market.sessions import CHICAGO, firm_limit, regular_session, trade_date_of
from risk import consistency, costs, drawdown, limits, news, payouts, rulebook
from risk.consistency import Days
from risk.costs import ROUND_TURN
from risk.gate import Code, decide
from risk.rulebook import Stage
from tests.risk.states import MNQ, RULES, position, single, state

BOOK = rulebook.shipped()
TODAY = date(2026, 11, 18)
COMBINE_50, COMBINE_100, COMBINE_150 = (BOOK.parameters(Stage.COMBINE, size, TODAY) for size in (50, 100, 150))
EXPRESS_50, EXPRESS_100, EXPRESS_150 = (BOOK.parameters(Stage.EXPRESS, size, TODAY) for size in (50, 100, 150))


def chicago(day: int, month: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, second, tzinfo=ZoneInfo(CHICAGO)).astimezone(UTC)


# --- 2. Parameters by size


@pytest.mark.parametrize(
    ("field", "stage", "values"),
    [
        ("profit_target", Stage.COMBINE, (3000, 6000, 9000)),
        ("maximum_loss", Stage.COMBINE, (2000, 3000, 4500)),
        ("maximum_loss", Stage.EXPRESS, (2000, 3000, 4500)),
        ("daily_loss", Stage.COMBINE, (1000, 2000, 3000)),
        ("daily_loss", Stage.EXPRESS, (1000, 2000, 3000)),
        ("daily_loss", Stage.LIVE, (2000, 3000, 4500)),
        ("max_lots", Stage.COMBINE, (5, 10, 15)),
        ("payout_cap", Stage.EXPRESS, (2000, 3000, 5000)),
        ("consistency_payout_cap", Stage.EXPRESS, (3000, 4000, 6000)),
        ("min_trading_days", Stage.COMBINE, (2, 2, 2)),
        ("consistency_ratio", Stage.COMBINE, (D("0.55"),) * 3),
        ("consistency_ratio", Stage.EXPRESS, (D("0.40"),) * 3),
        ("consistency_min_days", Stage.EXPRESS, (3, 3, 3)),
        ("payout_winning_days", Stage.EXPRESS, (5, 5, 5)),
        ("payout_day_profit", Stage.EXPRESS, (150, 150, 150)),
        ("payout_share", Stage.EXPRESS, (D("0.50"),) * 3),
        ("trader_share", Stage.EXPRESS, (D("0.90"),) * 3),
        ("payout_minimum", Stage.EXPRESS, (125, 125, 125)),
        ("inactivity_days", Stage.EXPRESS, (30, 30, 30)),
        ("last_open", Stage.COMBINE, (time(15, 8),) * 3),
        ("flat_by", Stage.EXPRESS, (time(15, 10),) * 3),
        ("holiday_buffer", Stage.COMBINE, (15, 15, 15)),
    ],
)
def test_section_2_the_table_of_parameters(field, stage, values):
    assert tuple(getattr(BOOK.parameters(stage, size, TODAY), field) for size in (50, 100, 150)) == values


def test_section_2_the_consistency_ratio_was_050_before_17_september_2026():
    ratios = [BOOK.parameters(Stage.COMBINE, 50, day).consistency_ratio for day in (date(2026, 9, 16), TODAY)]
    assert ratios == [D("0.50"), D("0.55")]


@pytest.mark.parametrize(
    ("rules", "lock"),
    [
        (COMBINE_50, 52_000), (COMBINE_100, 103_000), (COMBINE_150, 154_500),
        (EXPRESS_50, 2_000), (EXPRESS_100, 3_000), (EXPRESS_150, 4_500),
    ],
)  # fmt: skip
def test_section_2_the_floor_locks_at_the_end_of_day_of_the_table(rules, lock):
    def floor(highest):
        return drawdown.floor(start=rules.start, maximum_loss=rules.maximum_loss, highest_eod=D(highest))

    assert (floor(lock - 1), floor(lock), floor(lock + 5000)) == (rules.start - 1, rules.start, rules.start)


@pytest.mark.parametrize(("contracts", "micros"), [(COMBINE_50, 50), (COMBINE_100, 100), (COMBINE_150, 150)])
def test_section_2_the_same_size_in_micros(contracts, micros):
    assert limits.lots([("MNQ", micros)]) == contracts.max_lots


def test_section_2_sunday_evening_belongs_to_monday():
    assert trade_date_of(chicago(4, 10, 18)) == date(2026, 10, 5)


# --- 3. Maximum Loss Limit


def test_section_3_a_combine_of_50k_loses_at_its_floor_on_the_third_day():
    def floor(*ended):
        return drawdown.floor(start=D(50_000), maximum_loss=COMBINE_50.maximum_loss, highest_eod=D(max(50_000, *ended)))

    assert floor(0) == 48_000
    assert floor(50_600) == 48_600
    assert floor(50_600, 50_200) == 48_600  # the peak of 51,500 inside the day does not count
    assert drawdown.is_breached(equity=D(50_200) - 1_600, floor=floor(50_600, 50_200))
    assert floor(50_600, 50_200, 52_300) == 50_000
    assert floor(50_600, 50_200, 52_300, 60_000) == 50_000


def test_section_3_an_express_account_of_50k_locks_at_zero():
    def floor(*ended):
        return drawdown.floor(start=D(0), maximum_loss=EXPRESS_50.maximum_loss, highest_eod=D(max(0, *ended)))

    assert [floor(0), floor(900), floor(900, 2_150), floor(900, 2_150, 100)] == [-2_000, -1_100, 0, 0]


# --- 4. Daily Loss Limit


def test_section_4_realised_and_open_loss_reach_the_daily_limit():
    day = D(-620) + D(-380)
    assert drawdown.is_day_lost(day_profit=day, daily_loss_limit=COMBINE_50.daily_loss)
    assert not drawdown.is_day_lost(day_profit=day + D("0.01"), daily_loss_limit=COMBINE_50.daily_loss)


# --- 5. Profit target and consistency


def passed(ratio, *nets):
    return consistency.is_passed(
        total=D(sum(nets)), target=D(3000), ratio=ratio, best_day=D(max(nets)), days=len(nets), min_days=2, flat=True
    )


def test_section_5_days_of_1800_900_and_300_do_not_pass_and_272_73_more_does():
    ratio = D("0.55")
    needed = consistency.needed_total(target=D(3000), ratio=ratio, best_day=D(1800))
    assert needed.quantize(D("0.01")) == D("3272.73")
    assert not passed(ratio, D(1800), D(900), D(300))
    assert not passed(ratio, D(1800), D(900), D(300), D("272.72"))
    assert passed(ratio, D(1800), D(900), D(300), D("272.73"))


def test_section_5_with_a_ratio_of_050_3600_are_needed():
    assert consistency.needed_total(target=D(3000), ratio=D("0.50"), best_day=D(1800)) == 3600


def test_section_5_a_day_of_1650_is_the_largest_that_raises_nothing():
    rules = {"target": D(3000), "ratio": D("0.55")}
    assert consistency.largest_day(**rules, best_day=D(0)) == 1650
    assert consistency.needed_total(**rules, best_day=D(1650)) == 3000
    assert consistency.needed_total(**rules, best_day=D("1650.01")) > 3000


def test_section_5_a_single_day_does_not_pass_nor_an_open_position():
    facts = {"total": D(6000), "target": D(3000), "ratio": D(1), "best_day": D(3000), "min_days": 2}
    assert not consistency.is_passed(**facts, days=1, flat=True)
    assert not consistency.is_passed(**facts, days=2, flat=False)
    assert consistency.is_passed(**facts, days=2, flat=True)


def test_section_5_the_cap_of_a_day_is_the_ratio_of_the_target_less_safety():
    assert consistency.day_cap(COMBINE_50, Days(), safety=D(50)) == 1600


# --- 6. Position size


def test_section_6_long_and_short_add_up():
    assert limits.lots([("ES", 2), ("CL", -3)]) == 5


def test_section_6_twenty_mnq_one_es_and_two_sil_leave_room_for_sixteen_m2k():
    held = [("MNQ", 20), ("ES", -1), ("SIL", 2)]
    assert limits.lots(held) == D("3.4")
    assert limits.lots([*held, ("M2K", 16)]) <= COMBINE_50.max_lots
    assert limits.lots([*held, ("M2K", 17)]) > COMBINE_50.max_lots


def test_section_6_the_weights_of_every_product():
    micros = ["MES", "MNQ", "M2K", "MYM", "MCL", "MNG", "MGC", "MHG", "M6A", "M6B", "M6E"]
    other = dict.fromkeys(micros, D("0.1")) | {"SIL": D("0.2")}  # MBT and MET count 1 although they are micros
    assert {symbol: limits.weight(symbol) for symbol in BOOK.permitted(TODAY)} == {
        symbol: other.get(symbol, D(1)) for symbol in BOOK.permitted(TODAY)
    }


@pytest.mark.parametrize(
    ("rules", "levels"),
    [
        (EXPRESS_50, [(1499, 2), (1500, 2), (1501, 3), (2000, 3), (2001, 5)]),
        (EXPRESS_100, [(1499, 3), (1501, 4), (2001, 5), (3000, 5), (3001, 10)]),
        (EXPRESS_150, [(1499, 3), (1501, 4), (2001, 5), (3001, 10), (4500, 10), (4501, 15)]),
    ],
)
def test_section_6_the_scaling_plan_takes_the_smaller_size_at_a_boundary(rules, levels):
    assert [rulebook.lots(rules, last_eod=D(balance)) for balance, _ in levels] == [lots for _, lots in levels]


def test_section_6_an_express_account_that_closed_at_1650_holds_two_minis_and_ten_micros():
    allowed = rulebook.lots(EXPRESS_50, last_eod=D(1650))
    assert allowed == 3
    assert limits.lots([("ES", 2), ("MES", 10)]) == allowed


@pytest.mark.parametrize(
    ("symbols", "caps"),
    [
        ("CL QM RB HO GC", (3, 6, 9)), ("MCL MGC", (30, 60, 90)), ("SIL MHG", (2, 4, 6)), ("SI HG PL", (0, 0, 0)),
        ("ES MNQ NG 6E", (None, None, None)),
    ],
)  # fmt: skip
def test_section_6_the_temporary_caps(symbols, caps):
    for symbol in symbols.split():
        assert tuple(BOOK.caps(size, TODAY).get(symbol) for size in (50, 100, 150)) == caps


# --- 7. Hours


@pytest.mark.parametrize(("day", "utc"), [(date(2026, 10, 30), 20), (date(2026, 11, 2), 21)])
def test_section_7_flat_by_1510_chicago_in_summer_and_winter(day, utc):
    assert firm_limit(regular_session(day)) == datetime(day.year, day.month, day.day, utc, 10, tzinfo=UTC)


def test_section_7_no_new_position_from_1508_on_even_if_our_own_window_were_longer():
    longer = state(entries_until=chicago(18, 11, 15, 30))
    assert decide(single(), replace(longer, now=chicago(18, 11, 15, 7, 59), prices_at=chicago(18, 11, 15, 7))).allowed
    late = decide(single(), replace(longer, now=chicago(18, 11, 15, 8), prices_at=chicago(18, 11, 15, 7)))
    assert (late.allowed, late.code) == (False, Code.OUTSIDE_WINDOW)


# --- 8. Permitted products


def test_section_8_every_product_of_the_list_and_no_other():
    listed = (
        "ES MES NQ MNQ RTY M2K YM MYM NKD MBT MET 6A 6B 6C 6E 6J 6S 6M 6N E7 M6A M6B M6E CL QM MCL NG QG MNG RB HO "
        "GC MGC SI SIL HG MHG PL ZT ZF ZN TN ZB UB ZC ZW ZS ZM ZL HE LE"
    )
    assert BOOK.permitted(TODAY) == set(listed.split())
    unlisted = state(rules=replace(RULES, permitted=BOOK.permitted(TODAY) - {"MNQ"}))
    assert decide(single(), unlisted).code is Code.PRODUCT_REFUSED


# --- 9. News


CPI = chicago(18, 11, 7, 30)


def in_window(second: timedelta, *, held=0, quantity=3, contract=MNQ):
    rule = BOOK.news("cpi", TODAY)
    now = CPI + second
    open_ = (position(held, contract=contract),) if held else ()
    window = news.firm_window("CPI", CPI, rule, 50)
    asked = state(now=now, prices_at=now, rules=replace(RULES, windows=(window,)), exposures=open_)
    return decide(replace(single(quantity), contract=contract), asked)


def test_section_9_around_cpi_a_50k_account_may_open_three_mnq_from_0725_to_0735():
    for second in (timedelta(minutes=-5), timedelta(), timedelta(minutes=5)):
        assert in_window(second).quantity == 3
        assert in_window(second, quantity=4).quantity == 3
        assert in_window(second, held=1).quantity == 2
        assert in_window(second, held=3).code is Code.NEWS_WINDOW
    for second in (timedelta(minutes=-5, seconds=-1), timedelta(minutes=5, seconds=1)):
        assert in_window(second, quantity=4).quantity == 4


def test_section_9_around_cpi_no_new_position_in_the_minis():
    nq = replace(MNQ, id="CON.F.US.ENQ.Z26", symbol="NQ", tick_value=D(5))
    assert in_window(timedelta(minutes=-5), quantity=1, contract=nq).code is Code.NEWS_WINDOW
    assert in_window(timedelta(minutes=6), quantity=1, contract=nq).code is Code.ALLOWED


@pytest.mark.parametrize("symbol", ["ES", "RTY", "YM", "NQ", "NKD", "GC", "SI", "HG", "PL"])
def test_section_9_the_products_without_new_positions(symbol):
    assert news.firm_window("CPI", CPI, BOOK.news("cpi", TODAY), 150).cap(symbol) == 0


@pytest.mark.parametrize(("size", "most"), [(50, 3), (100, 6), (150, 9), (None, 3)])
def test_section_9_micros_by_size(size, most):
    window = news.firm_window("CPI", CPI, BOOK.news("cpi", TODAY), size)
    assert {window.cap(symbol) for symbol in ["MES", "M2K", "MNQ", "MYM", "MGC", "SIL", "MHG"]} == {most}
    assert window.cap("MCL") is None


# --- 10. Payouts


def cycle(*, balance, days, **facts):
    return payouts.Cycle(D(balance), tuple(days), **facts)


def test_section_10_standard_path_of_a_balance_of_3100():
    days = [D(150), D(200), D(1000), D(900), D(850)]
    path = payouts.standard(EXPRESS_50, cycle(balance=D(3100), days=days, first=True))
    assert (path.eligible, path.amount, path.to_trader) == (True, 1550, 1395)
    after = D(3100) - path.amount
    assert (after, rulebook.lots(EXPRESS_50, last_eod=after)) == (1550, 3)
    short = payouts.standard(EXPRESS_50, cycle(balance=D(3100), days=[D("149.99"), *days[1:]], first=True))
    assert not short.eligible
    assert short.missing == ("1 more day(s) of at least $150 net; 4 so far",)


def test_section_10_consistency_path_of_500_300_and_450():
    path = payouts.consistency(EXPRESS_50, cycle(balance=D(1250), days=[D(500), D(300), D(450)], first=True))
    assert (path.eligible, path.amount) == (True, 625)
    over = payouts.consistency(EXPRESS_50, cycle(balance=D(1251), days=[D(501), D(300), D(450)], first=True))
    assert not over.eligible
    assert "40.05 %" in over.missing[0]
    assert "$1.50 more" in over.missing[0]


def test_section_10_caps_double_with_the_daily_loss_limit_and_the_minimum_is_125():
    days = [D(1000)] * 10
    assert payouts.standard(EXPRESS_50, cycle(balance=D(10_000), days=days, first=True)).amount == 2000
    doubled = payouts.standard(EXPRESS_50, cycle(balance=D(10_000), days=days, first=True, has_daily_loss_limit=True))
    assert doubled.amount == 4000
    assert payouts.consistency(EXPRESS_50, cycle(balance=D(10_000), days=days, first=True)).amount == 3000
    assert payouts.standard(EXPRESS_50, cycle(balance=D(250), days=days, first=True)).eligible
    assert not payouts.standard(EXPRESS_50, cycle(balance=D("249.98"), days=days, first=True)).eligible


def test_section_10_a_later_payout_needs_a_profit_since_the_last_and_no_lockout_today():
    days = [D(150)] * 5 + [D(-800)]
    assert payouts.standard(EXPRESS_50, cycle(balance=D(3000), days=days, first=True)).eligible
    assert not payouts.standard(EXPRESS_50, cycle(balance=D(3000), days=days, first=False)).eligible
    assert not payouts.standard(
        EXPRESS_50, cycle(balance=D(3000), days=[D(150)] * 5, first=True, blocked=True)
    ).eligible
    assert payouts.standard(COMBINE_50, cycle(balance=D(3000), days=days, first=True)) is None


# --- 11. Costs


def test_section_11_four_mnq_in_and_out_cost_4_88():
    assert ROUND_TURN["MNQ"] * 4 == D("4.88")
    assert ROUND_TURN["MNQ"] / 2 == D("0.36") + D("0.25")


@pytest.mark.parametrize(
    ("products", "turn"),
    [
        ("ES NQ RTY YM", "3.78"), ("MES MNQ M2K MYM", "1.22"), ("NKD", "5.32"), ("MBT", "2.82"), ("MET", "0.72"),
        ("CL RB HO", "4.02"), ("MCL", "1.72"), ("QM", "3.42"), ("NG", "4.22"), ("QG", "2.02"), ("MNG", "1.92"),
        ("GC SI HG PL", "4.32"), ("MGC MHG", "1.92"), ("SIL", "2.72"), ("6A 6B 6C 6E 6J 6S 6M 6N", "4.22"),
        ("M6A M6B M6E", "1.00"), ("E7", "2.72"), ("ZT ZF", "2.32"), ("ZN TN", "2.62"), ("ZB", "2.76"), ("UB", "2.92"),
        ("HE LE", "5.22"), ("ZC ZW ZS ZM ZL", "5.28"),
    ],
)  # fmt: skip
def test_section_11_the_table_of_costs_since_october_2026(products, turn):
    for symbol in products.split():
        side = costs.of_side(symbol, TODAY)
        assert (side.fees + side.commissions) * 2 == D(turn)
    assert costs.of_side("MCL", date(2026, 9, 30)) == costs.Costs(D("0.51"), D("0.25"))  # 1.52 before the surcharge


# --- 12. Conduct


def test_section_12_opposite_positions_of_two_own_accounts_are_denied_mini_against_micro_too():
    from risk.rule_states import Elsewhere

    def code(symbol, side):
        elsewhere = (Elsewhere("50KTC-2", symbol, side, is_position=True),)
        return decide(single(), state(rules=replace(RULES, elsewhere=elsewhere))).code

    assert code("MNQ", Side.SELL) is Code.HEDGING
    assert code("NQ", Side.SELL) is Code.HEDGING
    assert code("ES", Side.SELL) is Code.HEDGING  # correlated
    assert code("NQ", Side.BUY) is Code.ALLOWED
    assert code("CL", Side.SELL) is Code.ALLOWED
