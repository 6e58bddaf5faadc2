from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.simulated.behaviour import Behaviour
from brokers.simulated.codes import Refusal
from brokers.simulated.records import Status
from tests.brokers.simulated.stage import BUY, LIMIT, MARKET, SELL, START, STOP, TRAILING, Stage

POSITION_MODE = "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets."


@pytest.mark.parametrize(("kind", "side", "more", "message"), [
    (MARKET, BUY, {"size": 0}, "Invalid size (0). Size should be greater than zero."),
    (MARKET, BUY, {"size": -1}, "Invalid size (-1). Size should be greater than zero."),
    (MARKET, 7, {}, "Invalid side (7)."),
    (3, BUY, {"limit_price": 1, "stop_price": 1}, "Invalid order type (3)."),
    (0, BUY, {}, "Invalid order type (0)."),
    (LIMIT, BUY, {}, "Limit price not set."),
    (LIMIT, BUY, {"limit_price": "20000.1"}, "Invalid limit price. Price is not aligned to tick size."),
    (LIMIT, BUY, {"limit_price": 0}, "Invalid limit price. Price is out of range."),
    (LIMIT, BUY, {"limit_price": "1E+400"}, "Invalid limit price. Price is out of range."),
    (STOP, BUY, {}, "Stop price not set."),
    (STOP, SELL, {"stop_price": "19999.9"}, "Invalid stop price. Price is not aligned to tick size."),
    (STOP, BUY, {"stop_price": 20000}, "Invalid stop price. A buy stop should be above the last price."),
    (STOP, SELL, {"stop_price": "20000.25"}, "Invalid stop price. A sell stop should be below the last price."),
    (TRAILING, SELL, {}, "Trail Distance not set."),
    (TRAILING, SELL, {"trail_price": "19749.75"}, "Trail Distance exceeds maximum (1000)"),
    (TRAILING, SELL, {"trail_price": "19999.9"}, "Invalid trail price. Price is not aligned to tick size."),
    (MARKET, BUY, {"sl": 40}, "Invalid stop loss ticks (40). Ticks should be less than zero when longing."),
    (MARKET, SELL, {"sl": -40}, "Invalid stop loss ticks (-40). Ticks should be greater than zero when going short."),
    (MARKET, SELL, {"tp": 30}, "Invalid take profit ticks (30). Ticks should be less than zero when going short."),
    (MARKET, BUY, {"tp": 0}, "Invalid take profit ticks (0). Ticks should be greater than zero when longing."),
    (MARKET, BUY, {"sl": -3}, "Invalid stop loss ticks (-3). Ticks should be at least 4 ticks."),
])  # fmt: skip
def test_place_refuses_with_code_2_and_its_reason(kind, side, more, message):
    stage = Stage()
    with pytest.raises(Refusal) as refusal:
        stage.place(kind, side, **more)
    assert (refusal.value.code, refusal.value.message, refusal.value.order_id) == (2, message, None)
    assert stage.fills == []


def test_a_bracket_has_a_stop_order_and_a_limit_order():
    stage = Stage()
    for name, kind, message in (
        ("stop_loss_bracket", LIMIT, "Invalid stop loss type (Limit). Only STOP Market orders are supported."),
        ("take_profit_bracket", STOP, "Invalid take profit type (Stop). Only LIMIT orders are supported."),
    ):
        from brokers.simulated.tickets import Leg, Place

        ticket = Place(
            account_id=stage.account_id,
            contract_id="CON.F.US.MNQ.Z26",
            type=MARKET,
            side=BUY,
            size=1,
            **{name: Leg(ticks=-40 if name.startswith("stop") else 40, type=kind)},
        )
        with pytest.raises(Refusal) as refusal:
            stage.venue.place(ticket, stage.at)
        assert refusal.value.message == message


def test_brackets_are_refused_in_position_mode_and_plain_orders_taken():
    stage = Stage(Behaviour(brackets="position"))
    with pytest.raises(Refusal) as refusal:
        stage.place(MARKET, BUY, sl=-40)
    assert (refusal.value.code, refusal.value.message) == (2, POSITION_MODE)
    stage.place(MARKET, BUY)
    assert len(stage.fills) == 1


def test_positive_bracket_ticks_where_the_venue_counts_distances():
    stage = Stage(Behaviour(bracket_ticks="positive"))
    stop, target = stage.legs(stage.place(MARKET, SELL, sl=40, tp=60))
    assert (stop.stop, target.limit) == (80040, 79940)
    with pytest.raises(Refusal):
        stage.place(MARKET, SELL, sl=40, tp=-60)


@pytest.mark.parametrize(("more", "code"), [
    ({"account_id": 1}, 1),
    ({"contract_id": "CON.F.US.MNQ.X26"}, 8),
    ({"contract_id": "MNQ"}, 8),
    ({"contract_id": "CON.F.US.MNQ.H27"}, 9),
    ({"contract_id": "CON.F.US.MNQ.U26"}, 9),
])  # fmt: skip
def test_place_knows_its_accounts_and_contracts(more, code):
    with pytest.raises(Refusal) as refusal:
        Stage().place(MARKET, BUY, **more)
    assert refusal.value.code == code


@pytest.mark.parametrize("minutes", [
    450,  # 17:00 New York, the daily break begins
    509,  # 17:59
    3 * 1440,  # Saturday
    1440 * 8 + 240,  # Thursday, Thanksgiving, after the early close at 13:00
])  # fmt: skip
def test_no_order_outside_the_session(minutes):
    stage = Stage()
    stage.wait(minutes * 60)
    for kind, more in ((MARKET, {}), (LIMIT, {"limit_price": 19000})):
        with pytest.raises(Refusal) as refusal:
            stage.place(kind, BUY, **more)
        assert (refusal.value.code, refusal.value.message) == (5, "MNQZ6 is not in an active trading status.")


def test_orders_are_refused_before_the_close_where_the_firm_says_so():
    stage = Stage(Behaviour(orders_until=50), start=START + timedelta(hours=6, minutes=39))  # 16:09 New York
    stage.place(MARKET, BUY)
    stage.wait(60)
    with pytest.raises(Refusal) as refusal:
        stage.close()
    assert refusal.value.code == 5


def test_a_locked_account_places_nothing():
    stage = Stage()
    stage.venue.set_account(stage.account_id, stage.at, can_trade=False)
    with pytest.raises(Refusal) as refusal:
        stage.place(MARKET, BUY)
    assert refusal.value.code == 4


@pytest.mark.parametrize("first", [{}, {"size": 0}])
def test_a_tag_is_used_for_ever_even_by_a_rejected_order(first):
    stage = Stage()
    try:
        stage.cancel(stage.place(LIMIT, BUY, limit_price=19000, custom_tag="a", **first))
    except Refusal:
        rejected = stage.venue.ledger.orders(stage.account_id)[-1]
        assert (rejected.status, rejected.tag, rejected.reason) == (
            Status.REJECTED, "a", "Invalid size (0). Size should be greater than zero.",
        )  # fmt: skip
    stage.wait(86400)
    with pytest.raises(Refusal) as refusal:
        stage.place(MARKET, BUY, custom_tag="a")
    assert (refusal.value.code, refusal.value.message) == (2, "Specified custom tag is already in use")


def test_the_tags_of_legs_are_taken_too():
    stage = Stage()
    stage.place(MARKET, BUY, custom_tag="a", sl=-40)
    for tag in ("a-SL", "a"):
        with pytest.raises(Refusal):
            stage.place(MARKET, BUY, custom_tag=tag)


def test_a_refusal_may_name_the_rejected_order():
    stage = Stage(Behaviour(rejected_order_id=True))
    with pytest.raises(Refusal) as refusal:
        stage.place(MARKET, BUY, 0)
    assert stage.order(refusal.value.order_id).status is Status.REJECTED


def test_the_position_limit_counts_mini_equivalents_over_all_contracts():
    stage = Stage(Behaviour(max_lots=Decimal("0.5")))
    stage.place(MARKET, BUY, 5)
    with pytest.raises(Refusal) as refusal:
        stage.place(MARKET, BUY, 1)
    assert refusal.value.message == "Order exceeds the maximum position size (0.5)."
    with pytest.raises(Refusal):
        stage.place(MARKET, SELL, 11)  # would be short 6
    stage.place(MARKET, SELL, 10)
    assert stage.position.quantity == -5


@pytest.mark.parametrize(("values", "message"), [
    ({"size": 0}, "Invalid size (0). Size should be greater than the filled volume."),
    ({"stop_price": "20000.1"}, "Invalid stop price. Price is not aligned to tick size."),
    ({"stop_price": 20000}, "Invalid stop price. A buy stop should be above the last price."),
    ({"limit_price": 20010}, "Only a limit order has a limit price."),
    ({"trail_price": 20010}, "Only a trailing stop has a trail price."),
])  # fmt: skip
def test_modify_refuses_with_code_3_and_changes_nothing(values, message):
    stage = Stage()
    order = stage.place(STOP, BUY, stop_price=20010)
    before = stage.order(order)
    with pytest.raises(Refusal) as refusal:
        stage.modify(order, **values)
    assert (refusal.value.code, refusal.value.message) == (3, message)
    assert stage.order(order) == before


def test_modify_sets_what_is_given_and_leaves_the_rest():
    stage = Stage()
    order = stage.place(STOP, BUY, 3, stop_price=20010)
    stage.modify(order, stop_price=20020)
    stage.modify(order, size=2)
    assert (stage.order(order).stop, stage.order(order).size) == (80080, 2)
    stage.move(20000, 20015)
    assert stage.fills == []
    stage.move(20015, 20021)
    assert stage.prices == [20020]


def test_a_trailing_stop_takes_a_new_distance_from_the_last_price():
    stage = Stage()
    order = stage.place(TRAILING, SELL, trail_price=19990)
    stage.modify(order, trail_price=19700)  # 1200 ticks, not checked on modify
    assert (stage.order(order).trail, stage.order(order).stop) == (1200, 78800)


def test_ended_unknown_and_suspended_orders_are_told_apart():
    stage = Stage()
    entry = stage.place(LIMIT, BUY, limit_price=19000, sl=-40)
    with pytest.raises(Refusal) as suspended:
        stage.modify(stage.legs(entry)[0].id, size=2)
    stage.cancel(entry)
    with pytest.raises(Refusal) as ended:
        stage.cancel(entry)
    with pytest.raises(Refusal) as unknown:
        stage.cancel(entry + 100)
    assert (suspended.value.code, ended.value.code, unknown.value.code) == (3, 3, 2)


def test_close_refuses_without_a_position_or_with_a_wrong_size():
    stage = Stage()
    for size in (None, 1):
        with pytest.raises(Refusal) as flat:
            stage.close(size)
        assert flat.value.code == 2
    stage.place(MARKET, BUY, 2)
    for size in (0, 3):
        with pytest.raises(Refusal) as wrong:
            stage.close(size)
        assert wrong.value.code == 5
    stage.wait(86400 * 3)
    with pytest.raises(Refusal) as closed:
        stage.close(1)
    assert closed.value.code == 6
