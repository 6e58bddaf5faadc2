"""The venue does not answer, answers wrongly, late or never, and does things that nobody asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.life import Life, judge
from tests.chaos.system import System

pytestmark = pytest.mark.chaos

LOST = [
    *(pytest.param(effect, marks=pytest.mark.core) for effect in ("lost_before", "lost_after", "busy", "truncated")),
    *("error_before", "error_after", "denied", "html"),
]


@pytest.fixture
def all_up(run: System) -> System:
    run.beat()
    run.worker()
    run.guard()
    return run


@pytest.mark.parametrize("effect", LOST)
def test_both_placements_go_wrong(all_up: System, effect: str):
    all_up.fault("rule", effect=effect, calls=["place"], count=2)
    life = Life(all_up)
    life.begin()
    life.whole()
    judge(all_up, f"place {effect}")


@pytest.mark.parametrize("seconds", [3, 20, 29])
def test_orders_appear_long_after_their_call(all_up: System, seconds: int):
    all_up.fault("rule", effect="late", calls=["place"], count=2, seconds=seconds)
    life = Life(all_up)
    life.begin()
    life.whole()
    judge(all_up, f"place late {seconds} s")


@pytest.mark.parametrize("effect", ["lost_before", "lost_after", "error_after", "truncated", "late"])
def test_cancel_modify_and_close_go_wrong(all_up: System, effect: str):
    more: dict[str, Any] = {"seconds": 3} if effect == "late" else {}
    for call in ("cancel", "modify", "close"):
        all_up.fault("rule", effect=effect, calls=[call], **more)
    life = Life(all_up)
    life.begin()
    life.whole()
    judge(all_up, f"cancel, modify, close {effect}")


def test_no_answer_at_all_until_the_client_gives_up(all_up: System):
    all_up.fault("rule", effect="lost_after", calls=["place"], seconds=30)
    life = Life(all_up)
    life.begin()
    life.whole()
    judge(all_up, "place silent 30 s")


@pytest.mark.parametrize("effect", ["error_before", "busy", "lost_before"])
def test_every_read_fails_for_a_time(all_up: System, effect: str):
    life = Life(all_up)
    life.begin()
    life.sent()
    all_up.fault("rule", effect=effect, calls=["positions", "query", "trades", "orders", "accounts"], count=20)
    life.fill()
    life.booked()
    life.flat()
    life.settled()
    judge(all_up, f"reads {effect}")


def test_executions_cannot_be_read_over_the_flat_time(all_up: System):
    all_up.fault("legless", count=2)
    life = Life(all_up)
    life.begin()
    life.sent()
    all_up.fault("rule", effect="error_before", calls=["trades"], count=None)
    life.fill()
    life.protected()
    all_up.execute(  # flat by 09:31 New York
        "UPDATE tradingbot_calendarday SET closes_at = '2026-11-18 14:56:00+00', early_close = true, source = 'test'"
        " WHERE trade_date = '2026-11-18'"
    )
    all_up.wait(lambda: not all_up.ledger("SELECT 1 FROM positions WHERE quantity <> 0"), "the close", 60)
    all_up.fault_end()
    life.flattened()
    life.settled()
    figures = judge(all_up, "executions unread, bracket legs missing")
    assert figures.bare == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_three_of_ten_calls_go_wrong(all_up: System, seed: int):
    for number, effect in enumerate(("lost_before", "lost_after", "error_after")):
        all_up.fault(
            "rule",
            effect=effect,
            calls=["place", "cancel", "modify", "close", "positions", "query", "trades", "orders"],
            count=None,
            rate=0.1,
            seed=seed * 10 + number,
        )
    life = Life(all_up)
    life.begin()
    life.whole()
    judge(all_up, f"30 % of calls fail, seed {seed}")


def test_lists_lag_ten_seconds_behind(all_up: System):
    all_up.fault("lag", seconds=10)
    life = Life(all_up)
    life.begin()
    life.whole()
    judge(all_up, "lists 10 s behind")


def test_an_unknown_order_that_the_lists_do_not_show_yet(all_up: System):
    all_up.fault("lag", seconds=10)
    all_up.fault("rule", effect="lost_after", calls=["place"], count=2)
    life = Life(all_up)
    life.begin()
    life.whole()
    judge(all_up, "place lost_after, lists 10 s behind")


@pytest.mark.core
def test_entries_are_taken_without_their_legs(all_up: System):
    all_up.fault("legless", count=2)
    life = Life(all_up)
    life.begin()
    life.sent()
    life.fill()
    life.booked()
    life.protected()
    life.flat()
    life.settled()
    figures = judge(all_up, "bracket legs missing")
    assert figures.bare == 1


@pytest.mark.parametrize("effect", ["lost_before", "lost_after", "late"])
def test_the_missing_stop_is_hard_to_place(all_up: System, effect: str):
    all_up.fault("legless", count=2)
    life = Life(all_up)
    life.begin()
    life.sent()
    all_up.fault("rule", effect=effect, calls=["place"], **({"seconds": 5} if effect == "late" else {}))
    life.fill()
    life.booked()
    life.protected()
    life.flat()
    life.settled()
    judge(all_up, f"missing stop, place {effect}")


def test_no_stop_can_be_placed_so_the_position_is_closed(all_up: System):
    all_up.fault("legless", count=2)
    life = Life(all_up)
    life.begin()
    life.sent()
    all_up.fault("rule", effect="lost_before", calls=["place"], count=None)
    life.fill()
    all_up.wait(lambda: not all_up.ledger("SELECT 1 FROM positions WHERE quantity <> 0"), "the close", 30)
    all_up.fault_end()
    life.flat()
    life.settled()
    judge(all_up, "no stop can be placed")


@pytest.mark.core
def test_fills_come_contract_by_contract(all_up: System):
    life = Life(all_up)
    life.begin(quantity=3)
    life.sent()
    for _ in range(3):
        life.fill(quantity=1)
    life.booked()
    life.moved()
    life.flat()
    life.settled()
    judge(all_up, "partial fills 1+1+1")


@pytest.mark.core
def test_both_entries_of_the_pair_fill(all_up: System):
    life = Life(all_up)
    life.begin()
    life.sent()
    all_up.fault("both_sides", account_id=all_up.account_id)
    life.requested()
    life.flattened()
    life.settled()
    judge(all_up, "both sides filled")


@pytest.mark.parametrize("stop", [None, "20000"])
def test_somebody_trades_by_hand(all_up: System, stop: str | None):
    life = Life(all_up)
    life.begin()
    life.sent()
    foreign = {"account_id": all_up.account_id, "contract_id": "CON.F.US.MNQ.Z26", "side": 1}
    all_up.fault("foreign", stop_price=stop, **foreign)
    life.fill()
    all_up.wait(lambda: all_up.rows("SELECT 1 FROM tradingbot_order WHERE role = 'external'"), "the foreign order", 60)
    life.flat()
    life.settled()
    judge(all_up, f"foreign {'stop' if stop else 'market order'}")


@pytest.mark.core
def test_a_trade_is_voided(all_up: System):
    life = Life(all_up)
    life.begin(quantity=1)
    life.sent()
    life.fill()
    life.booked()
    execution = all_up.ledger("SELECT id FROM executions")[0]["id"]
    all_up.fault("void", execution_id=execution)
    all_up.wait(lambda: all_up.rows("SELECT 1 FROM tradingbot_fill WHERE voided"), "the void", 60)
    life.flat()
    life.settled()
    judge(all_up, "voided trade")


def test_the_account_may_not_trade_any_more(all_up: System):
    all_up.act("look")
    all_up.fault("can_trade", account_id=all_up.account_id, allowed=False)
    life = Life(all_up)
    life.ids = all_up.act("pair")
    for order_id in life.ids:
        all_up.act("hint", task="critical.send_order", order_id=order_id)
    life.sent()
    life.settled()
    assert {r["status"] for r in all_up.rows("SELECT status FROM tradingbot_order WHERE role = 'entry'")} == {
        "rejected"
    }
    judge(all_up, "canTrade=false")


def test_entries_wait_while_the_clocks_disagree(all_up: System):
    all_up.fault("skew", seconds=-8)
    all_up.act("look")
    all_up.act("hint", task="high.update_balance", account_id=1)
    all_up.wait(lambda: all_up.rows("SELECT 1 FROM tradingbot_login WHERE entries_blocked <> ''"), "the block", 60)
    with pytest.raises(RuntimeError, match="clock"):
        all_up.act("pair")
    all_up.fault("skew", seconds=0)
    all_up.wait(lambda: all_up.rows("SELECT 1 FROM tradingbot_login WHERE entries_blocked = ''"), "its end", 60)
    life = Life(all_up)
    life.begin()
    life.whole()
    judge(all_up, "clock skew 8 s")


def test_the_token_is_refused_everywhere(all_up: System):
    all_up.fault("rule", effect="denied", count=15)
    life = Life(all_up)
    life.begin()
    life.whole()
    judge(all_up, "401 everywhere, 15 times")
