"""Who may trade, at the prompt: all accounts, locks and their words, arming, the emergency stop."""

from __future__ import annotations

import getpass
from datetime import timedelta
from decimal import Decimal as D

from tradingbot.clock import now
from tradingbot.models import Account, Login, Order, OverallState, Position, StateChange


def test_all_accounts_are_halted_and_resumed_as_one(venue, run):
    assert run("halt", "--all", "news").out == "all accounts are halted: news\n"
    assert run("reduce_only", "--all", "less").out == "all accounts are halted already: news\n"
    ran = run("trade", "MNQ", "BUY", "1", "--sl-ticks", "40")
    assert ran.error.startswith("denied: All accounts are halted: news.")
    assert run("resume").out == "PRAC-V2-1-1 is active already; all accounts are halted\n"
    assert run("resume", "--all").out == "all accounts are active\n"
    assert run("trade", "MNQ", "BUY", "1", "--sl-ticks", "40").code == 0
    assert [row.by for row in StateChange.objects.all()] == [getpass.getuser()] * 2


def test_reduce_only_refuses_entries_and_lets_positions_be_closed(venue, run):
    run("trade", "MNQ", "BUY", "2", "--sl-ticks", "80")
    assert run("reduce_only", "thin").out == "PRAC-V2-1-1 is reduce only: thin\n"
    assert run("trade", "MNQ", "BUY", "1", "--sl-ticks", "40").error.startswith("denied: The account is reduce only")
    assert run("close", "MNQ", "1").code == 0
    assert Position.objects.get().quantity == 1


def test_all_and_one_account_exclude_each_other(venue, run):
    assert run("halt", "--all", "--account", "PRAC").error == "--all: it means every account; leave --account out"


def test_a_lock_wants_its_words(venue, run):
    until = now() + timedelta(hours=5)
    values = {"trading_state": "halted", "lock": "daily_loss", "lock_until": until, "state_until": until}
    Account.objects.update(**values)
    assert "type its name as the override" in run("resume").error
    assert run("resume", "--override", "PRAC-V2-1-1", "wrong limit").code == 0
    Account.objects.update(trading_state="halted", lock="maximum_loss", lock_until=None, state_until=None)
    assert "a reason is required" in run("resume").error
    Account.objects.update(balance=D(1))
    assert "the account is lost at" in run("resume", "reset").error


def test_the_emergency_stop_waits_until_everything_is_flat_and_says_what_was_closed(venue, run):
    run("trade", "MNQ", "BUY", "2", "--sl-ticks", "80")
    run("trade", "MNQ", "SELL", "1", "--limit", "21500", "--sl-ticks", "40")
    ran = run("emergency_stop", "smoke", "--yes", "--json")
    (row,) = ran.document["accounts"]
    assert (ran.code, row["positions_closed"], row["orders_cancelled"]) == (0, "1 of 1", "2 of 2")
    assert row["flat_seen_at"]
    assert venue.ledger.in_flight() == []
    assert not Order.objects.live().exists()
    assert OverallState.objects.get().reason == "emergency stop: smoke"
    assert Account.objects.get().trading_state == "halted"


def test_the_emergency_stop_needs_a_yes(venue, run):
    ran = run("emergency_stop")
    assert (ran.code, OverallState.objects.get().trading_state) == (2, "active")
    assert "--yes" in ran.error


def test_a_real_account_is_armed_by_its_full_name(venue, run):
    assert "needs no arming" in run("arm", "PRAC-V2-1-1", "--yes").error
    Login.objects.update(venue="projectx")
    assert "type PRAC-V2-1-1 to arm it" in run("arm", "PRAC", "--yes").error
    assert run("arm", "PRAC-V2-1-1").code == 2
    assert run("arm", "PRAC-V2-1-1", "--yes").out.startswith("PRAC-V2-1-1 is armed until ")
    assert run("disarm", "PRAC", "done for today").out == "PRAC-V2-1-1 is disarmed\n"
    assert run("disarm", "PRAC").out == "PRAC-V2-1-1 is disarmed already\n"
