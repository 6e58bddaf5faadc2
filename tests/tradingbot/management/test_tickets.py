from __future__ import annotations

from decimal import Decimal as D

import pytest
from django.core.management import CommandError

from market.orders import OrderType, Side
from risk.requests import EntrySide
from tradingbot.management import tickets
from tradingbot.management.arguments import WrongUsage
from tradingbot.models import Contract

MNQ = Contract(
    venue="paper", broker_contract_id="CON.F.US.MNQ.Z26", symbol="MNQ", tick_size=D("0.25"), tick_value=D("0.5")
)
NOTHING = dict.fromkeys(("limit", "stop", "trail", "sl", "sl_ticks", "tp"))


def request(side: Side, newest: str | None, **options):
    ticket = tickets.trade(MNQ, side, 2, NOTHING | options)
    return ticket.request(None if newest is None else D(newest))


@pytest.mark.parametrize(
    ("side", "newest", "options", "expected"),
    [
        # 21480.25 - 21450 = 30.25 points = 121 ticks; 21540 - 21480.25 = 59.75 = 239 ticks
        (
            Side.BUY,
            "21490",
            {"limit": D("21480.25"), "sl": D(21450), "tp": D(21540)},
            EntrySide(Side.BUY, OrderType.LIMIT, 85921, 121, 239),
        ),
        (Side.SELL, "21490", {"stop": D(21480), "sl_ticks": 40}, EntrySide(Side.SELL, OrderType.STOP, 85920, 40)),
        # a market order counts from the newest price: 21490 - 21480 = 10 points = 40 ticks
        (Side.BUY, "21490", {"sl": D(21480)}, EntrySide(Side.BUY, OrderType.MARKET, None, 40)),
        (Side.SELL, "21490", {"sl": D(21500), "tp": D(21485)}, EntrySide(Side.SELL, OrderType.MARKET, None, 40, 20)),
        # a trailing buy starts its trail above the market: 21490 + 8 x 0.25 = 21492 = 85968 ticks
        (Side.BUY, "21490", {"trail": 8, "sl_ticks": 40}, EntrySide(Side.BUY, OrderType.TRAILING_STOP, 85968, 40)),
        (Side.BUY, None, {"sl_ticks": 40}, EntrySide(Side.BUY, OrderType.MARKET, None, 40)),
    ],
)
def test_trade_becomes_the_request_that_was_meant(side, newest, options, expected):
    asked = request(side, newest, **options)
    assert asked.sides == (expected,)
    assert (asked.quantity, asked.minimum_quantity, asked.contract) == (2, 2, MNQ.spec)
    assert asked.reference == (None if newest is None else 85960)


def test_stop_bracket_is_a_stop_entry_with_both_legs():
    ticket = tickets.stop_bracket(MNQ, Side.SELL, 1, entry=D(21480), sl=D(21490), tp=D(21460))
    assert ticket.request(D(21485)).sides == (EntrySide(Side.SELL, OrderType.STOP, 85920, 40, 80),)


@pytest.mark.parametrize(
    ("side", "options", "error"),
    [
        (
            Side.BUY,
            {},
            "--sl: a stop is required, every position has one from its first second; add --sl PRICE or --sl-ticks N",
        ),
        (
            Side.BUY,
            {"sl": D(21480), "sl_ticks": 40},
            "--sl-ticks: the stop is given by --sl already; leave one out",
        ),
        (
            Side.BUY,
            {"limit": D(21480), "stop": D(21500), "sl_ticks": 40},
            "--stop: an entry has one kind of price and --limit is given too; leave one out",
        ),
        (
            Side.BUY,
            {"limit": D("21480.1"), "sl": D(21450)},
            "--limit: 21480.1 is not on the 0.25 tick grid of MNQ: use 21,480.00 or 21,480.25",
        ),
        (
            Side.BUY,
            {"sl": D("21480.99")},
            "--sl: 21480.99 is not on the 0.25 tick grid of MNQ: use 21,480.75 or 21,481.00",
        ),
        (
            Side.BUY,
            {"limit": D(21480), "sl": D("21480.25")},
            "--sl: 21,480.25 is on the wrong side; it must lie below 21,480.00",
        ),
        (
            Side.SELL,
            {"limit": D(21480), "sl": D(21480)},
            "--sl: 21,480.00 is on the wrong side; it must lie above 21,480.00",
        ),
        (
            Side.SELL,
            {"sl": D(21500), "tp": D(21495)},
            "--tp: 21,495.00 is on the wrong side; it must lie below 21,490.00",
        ),
        (
            Side.BUY,
            {"stop": D(21490), "sl": D(21480)},
            (
                "--stop: a BUY stop waits above the market, which is at 21,490.00, not at 21,490.00; "
                "for a better price use a limit order"
            ),
        ),
        (
            Side.BUY,
            {"trail": 8, "sl": D(21480)},
            "--sl: where a trailing entry fills is not known yet; use --sl-ticks N",
        ),
        (
            Side.BUY,
            {"trail": 8, "sl_ticks": 40, "tp": D(21540)},
            "--tp: where a trailing entry fills is not known yet; set it after the fill with `protect`",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_field_and_the_fix(side, options, error):
    with pytest.raises(WrongUsage) as refused:
        request(side, "21490", **options)
    assert (str(refused.value), refused.value.returncode) == (error, 2)


@pytest.mark.parametrize(
    ("field", "options"),
    [("--sl", {"sl": D(21480)}), ("--tp", {"sl_ticks": 40, "tp": D(21500)}), ("--trail", {"trail": 8, "sl_ticks": 40})],
)
def test_a_distance_from_an_unknown_price_is_refused(field, options):
    with pytest.raises(CommandError) as refused:
        request(Side.BUY, None, **options)
    assert str(refused.value) == (
        f"{field}: no price of MNQ is known to count from; fetch some with `python manage.py history MNQ 1m 10`"
    )
