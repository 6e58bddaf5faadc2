"""The invariants I1-I16 as functions: each returns what breaks it, in sentences with ids; nothing is a clean run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from market.orders import ENTRY_TAKEN, LIVE
from market.sessions import trade_date_of
from risk import drawdown, limits
from tests.checker.facts import Facts, Row
from tests.checker.timeline import (
    BUY,
    CANCELLED,
    EXPIRED,
    FILLED,
    OPEN,
    REJECTED,
    SUSPENDED,
    exposures,
    flat_spans,
    moments,
    working,
)

BARE = 15.0  # I3, seconds of machine time
OWNERLESS = timedelta(seconds=30)  # I4
FLAT_AFTER = timedelta(seconds=60)  # I5, real time
TOGETHER = timedelta(seconds=2)  # I15: two statements of one transaction
NOTICED = timedelta(seconds=90)  # I12
QUEUE_BOUND = 1_400
EVENTS_BOUND = 500

Violations = Iterator[str]
INVARIANTS: dict[str, Callable[[Facts], Violations]] = {}


def check(facts: Facts) -> list[str]:
    """Return everything that breaks an invariant, each with its id."""
    return [f"{name}: {text}" for name, find in INVARIANTS.items() for text in find(facts)]


def invariant(find: Callable[[Facts], Violations]) -> Callable[[Facts], Violations]:
    INVARIANTS[find.__name__.upper()] = find
    return find


@invariant
def i1(facts: Facts) -> Violations:
    """At most one live entry per (account, strategy, session date, side)."""
    spans = defaultdict(list)
    for row in facts.orders:
        if row.role != "entry" or row.strategy_id is None:
            continue
        events = [e for e in facts.events if e.order_id == row.id]
        ended = next((e.machine_at for e in events if e.after not in ENTRY_TAKEN), None)
        began = events[0].machine_at if events else row.status_at
        spans[row.account_id, row.strategy_id, row.session_date, row.side].append((began, ended, row.id))
    for key, of in spans.items():
        of.sort(key=lambda span: span[0])
        for (_, ended, first), (began, _, second) in pairwise(of):
            if ended is None or ended > began:
                yield f"entries #{first} and #{second} of {key} were live together"
    sides = defaultdict(list)
    for one in working(facts):
        row = facts.row_of(one.order)
        if row is not None and row.role == "entry" and row.strategy_id is not None:
            sides[row.account_id, row.strategy_id, row.session_date, row.side].append(one)
    for key, of in sides.items():
        of.sort(key=lambda w: w.since)
        for first, second in pairwise(of):
            if first.until is None or first.until > second.since:
                yield f"venue orders {first.order.id} and {second.order.id} of {key} worked together"


@invariant
def i2(facts: Facts) -> Violations:
    """One intent leads to at most one order at the venue; only a stop is ever asked for twice."""
    taken = Counter((o.account_id, o.tag) for o in facts.venue_orders if o.tag and o.status != REJECTED)
    for (account, tag), count in taken.items():
        if count > 1:
            yield f"{count} orders with tag {tag} on account {account}"
    roles = {row.tag: row.role for row in facts.orders}
    asked = Counter(
        entry.data["request"].get("customTag")
        for entry in facts.journal
        if entry.kind == "request" and entry.name == "Order/place"
    )
    for tag, count in asked.items():
        if tag and tag.startswith(facts.prefix) and count > 1 and roles.get(tag) != "stop":
            yield f"intent {tag} ({roles.get(tag)}) was asked for {count} times"
    for order in facts.venue_orders:
        if order.tag and order.tag.startswith(facts.prefix) and order.tag not in roles:
            yield f"venue order {order.id} with tag {order.tag} belongs to no intent"


@invariant
def i3(facts: Facts) -> Violations:
    """No position of ours is without a working stop of its full size for more than 15 s of machine time."""
    for exposure in exposures(facts):
        if exposure.ours and exposure.longest > BARE:
            yield (
                f"account {exposure.account_id} in {exposure.contract_id} since {exposure.since:%H:%M:%S} "
                f"was without a full stop for {exposure.longest:.1f} s"
            )


@invariant
def i4(facts: Facts) -> Violations:
    """No order works without an owner for more than 30 s, and no stop or target without its position."""
    known = {row.broker_order_id: row for row in facts.orders if row.broker_order_id}
    first = {}
    for event in facts.events:
        first.setdefault(event.order_id, event.machine_at)
    spans = flat_spans(facts)
    for one in working(facts):
        order, end = one.order, one.until or facts.until
        row = known.get(order.id) or facts.row_of(order)
        seen_at = first.get(row.id, row.status_at) if row is not None else None
        if (seen_at or end) - one.since > OWNERLESS and end - one.since > OWNERLESS:
            yield f"venue order {order.id} worked for {(end - one.since).total_seconds():.0f} s and was not known"
        if row is not None and one.until is None and row.status not in LIVE:
            yield f"venue order {order.id} works, our #{row.id} is {row.status}"
        if row is not None and row.role in {"stop", "target"}:
            for since, until in spans.get((order.account_id, order.contract_id), []):
                alone = min(until or facts.until, end) - max(since, one.since)
                if alone > OWNERLESS:
                    yield f"{row.role} {order.id} worked for {alone.total_seconds():.0f} s without a position"


@invariant
def i5(facts: Facts) -> Violations:
    """Flat and without working orders from the flat time until the next session."""
    for step in facts.steps:
        if step.step != "flatten" or step.strategy_id is not None:
            continue
        start = step.due_at + FLAT_AFTER * facts.speed
        if facts.market_until < start:
            continue
        venue_id = facts.account_of(step).broker_account_id
        for entry, books in moments(facts):
            if entry.at > step.deadline:
                break
            following = next((e.at for e in facts.journal if e.id == entry.id + 1), facts.market_until)
            if following <= start:
                continue
            for (account, contract), book in books.items():
                if account != venue_id:
                    continue
                live = [id_ for id_, order in book.orders.items() if order["status"] in (OPEN, SUSPENDED)]
                if book.quantity or live:
                    yield (
                        f"account {venue_id} held {book.quantity:+d} {contract} with orders {live} "
                        f"at {max(entry.at, start):%H:%M:%S}, flat time {step.due_at:%H:%M:%S}"
                    )
                    return


@invariant
def i6(facts: Facts) -> Violations:
    """Each execution is booked once; fills, positions and money agree with the venue's."""
    ids = {account.id: account.broker_account_id for account in facts.accounts}
    booked = Counter((ids[f.account_id], f.broker_trade_id) for f in facts.fills)
    yield from (f"execution {trade} was booked {n} times" for (_, trade), n in booked.items() if n > 1)
    ours = {
        (ids[f.account_id], f.broker_trade_id): (f.side, f.quantity, f.price / _tick(facts, f), f.voided)
        for f in facts.fills
    }
    mine = set(ids.values())
    theirs = {
        (e.account_id, e.id): (e.side, e.quantity, Decimal(e.price), bool(e.voided))
        for e in facts.executions
        if e.account_id in mine
    }
    for key in sorted(ours.keys() | theirs.keys()):
        ours_says, theirs_says = ours.get(key), theirs.get(key)
        if ours_says is None and theirs_says is not None and theirs_says[3]:
            continue  # voided before we saw it
        if ours_says != theirs_says:
            yield f"execution {key[1]}: we have {ours_says}, the venue {theirs_says}"
    sums: dict[tuple[int, str], int] = defaultdict(int)
    for execution in facts.executions:
        if not execution.voided:
            sums[execution.account_id, execution.contract_id] += execution.side * execution.quantity
    held = {(p.account_id, p.contract_id): p.quantity for p in facts.venue_positions if p.quantity}
    for row in facts.positions:
        key = (ids[row.account_id], row.broker_contract_id)
        if not row.quantity == sums.get(key, 0) == held.get(key, 0):
            yield f"position {key}: we say {row.quantity}, the fills {sums.get(key, 0)}, the venue {held.get(key, 0)}"
    yield from (f"the venue holds {q} of {key}, we know nothing of it" for key, q in held.items() if key[0] in mine
                and key not in {(ids[p.account_id], p.broker_contract_id) for p in facts.positions})  # fmt: skip


@invariant
def i7(facts: Facts) -> Violations:
    """Open positions and working entries stay within the account's limits whenever an entry is taken."""
    accounts = {account.broker_account_id: account for account in facts.accounts}
    rows = {row.tag: row for row in facts.orders}
    symbols = {row.broker_contract_id: row for row in facts.orders}
    for entry, books in moments(facts):
        if entry.kind != "request" or entry.name != "Order/place" or not entry.data["reply"].get("orderId"):
            continue
        request = entry.data["request"]
        row, account = rows.get(request.get("customTag")), accounts.get(request["accountId"])
        if row is None or row.role != "entry" or account is None:
            continue
        sizes, loss = [], Decimal(0)
        for (owner, contract), book in books.items():
            if owner != request["accountId"]:
                continue
            ways = {1: max(book.quantity, 0), -1: max(-book.quantity, 0)}
            for order in book.orders.values():
                of = rows.get(order.get("customTag"))
                left = order["size"] - order["fillVolume"]
                if order["status"] == OPEN and of is not None and of.role == "entry":
                    ways[1 if order["side"] == BUY else -1] += left
                    loss += left * of.stop_ticks * of.tick_value
            sizes.append((symbols[contract].symbol, max(ways.values())) if contract in symbols else ("MNQ", 0))
        lots = limits.lots(sizes)
        if account.max_lots is not None and lots is not None and lots > account.max_lots:
            yield f"with venue order {entry.data['reply']['orderId']} the account may hold {lots} of {account.max_lots}"
        if account.maximum_loss is not None and account.balance is not None and account.start_balance is not None:
            floor = drawdown.floor(
                start=account.start_balance,
                maximum_loss=account.maximum_loss,
                highest_eod=account.highest_eod_balance or account.start_balance,
            )
            if loss > max(account.balance, account.start_balance) - floor:
                yield f"with venue order {entry.data['reply']['orderId']} the entries may lose ${loss:,.2f}"


@invariant
def i8(facts: Facts) -> Violations:
    """After a committed halt no entry leaves: a claim and a halt wait for each other at the account's row."""
    for account in facts.accounts:
        states = [state for state in facts.states if state.id == account.id]
        spans = [
            (state.history_date, states[n + 1].history_date if n + 1 < len(states) else facts.until)
            for n, state in enumerate(states)
            if state.trading_state != "active"
        ]
        entries = {r.id: r for r in facts.orders if r.account_id == account.id and r.role == "entry"}
        for since, until in spans:
            for event in facts.events:
                if event.order_id in entries and event.kind == "claimed" and since < event.machine_at < until:
                    yield f"entry #{event.order_id} was claimed at {event.machine_at}, the account halted at {since}"


@invariant
def i9(facts: Facts) -> Violations:
    """No order of ours has ended without evidence at the venue."""
    venue = {(o.account_id, o.tag): o for o in facts.venue_orders if o.tag}
    by_id = {o.id: o for o in facts.venue_orders}
    ids = {account.id: account.broker_account_id for account in facts.accounts}
    proof = {
        "filled": {FILLED},
        "cancelled": {CANCELLED},
        "expired": {EXPIRED, CANCELLED},
        "rejected": {REJECTED},
    }
    for row in facts.orders:
        order = venue.get((ids[row.account_id], row.tag)) or by_id.get(row.broker_order_id)
        if row.status in proof and order is not None and order.status not in proof[row.status]:
            yield f"our #{row.id} is {row.status}, venue order {order.id} has status {order.status}"
        if row.status == "filled" and order is None:
            yield f"our #{row.id} is filled, the venue has no such order"
        if row.status in {"cancelled", "expired"} and order is None and row.attempt and row.parent_id is None:
            yield f"our #{row.id} was sent and is {row.status}, the venue has no such order"
        if row.status == "abandoned" and order is not None and order.status in (OPEN, FILLED):
            yield f"our #{row.id} is abandoned, venue order {order.id} has status {order.status}"
        if row.status in {"working", "partial"} and (order is None or order.status != OPEN):
            yield f"our #{row.id} is {row.status}, the venue says {order.status if order else 'nothing'}"


@invariant
def i10(facts: Facts) -> Violations:
    """No entry is sent on stale data: prices and balance are young, the range is this session's."""
    decisions = {decision.id: decision for decision in facts.decisions}
    for row in facts.orders:
        if row.role != "entry" or row.sent_at is None:
            continue
        decision = decisions.get(row.decision_id)
        if decision is None:
            yield f"entry #{row.id} was sent without a decision"
            continue
        if decision.session_date != row.session_date or trade_date_of(row.sent_at) != row.session_date:
            yield f"entry #{row.id} of {row.session_date} was sent at {row.sent_at}, decided in {decision.session_date}"
        for rule in decision.rules:
            if rule["rule"] in {"age of prices", "age of balance"} and rule["ok"] is not True:
                yield f"entry #{row.id}: {rule['rule']} {rule['value']}, the limit is {rule['limit']}"
        named = {rule["rule"] for rule in decision.rules}
        for needed in {"age of prices", "age of balance"} - named:
            yield f"entry #{row.id}: nobody looked at the {needed}"
        if "range_high" in decision.inputs:
            ranges = [
                r for r in facts.ranges if r.session_date == row.session_date and r.contract_id == row.contract_id
            ]
            if not any(r.complete and r.captured_at <= row.sent_at for r in ranges):
                yield f"entry #{row.id} was sent without the range of {row.session_date}"


@invariant
def i11(facts: Facts) -> Violations:
    """Each step of a session takes effect once and in time, or is missed with an alert."""
    keys = {notification.key for notification in facts.notifications}
    for step in facts.steps:
        name = f"step #{step.id} {step.step} of {step.session_date}"
        if (
            step.state == "done"
            and not step.due_at <= step.done_at <= step.deadline + timedelta(seconds=30) * facts.speed
        ):
            yield f"{name} was done at {step.done_at}, its window is {step.due_at} to {step.deadline}"
        if step.state == "missed" and step.step != "prepare" and f"step-missed-{step.id}" not in keys:
            yield f"{name} was missed and nobody was told"
        if step.state in {"pending", "running"} and step.deadline + FLAT_AFTER * facts.speed < facts.market_until:
            yield f"{name} is {step.state} after its deadline {step.deadline}"
    acted = Counter(
        (d.strategy_id, d.bar_closed_at)
        for d in facts.decisions
        if d.outcome == "ordered" and d.strategy_id is not None
    )
    yield from (f"strategy {key[0]} acted {n} times on the bar of {key[1]}" for key, n in acted.items() if n > 1)
    captured = Counter((r.contract_id, r.session_date) for r in facts.ranges)
    yield from (f"the range of {key} was captured {n} times" for key, n in captured.items() if n > 1)


@invariant
def i12(facts: Facts) -> Violations:
    """A dead component is noticed within 90 s."""
    for death in facts.deaths:
        if (death.noticed_at or facts.until) - death.at > NOTICED:
            when = f"after {(death.noticed_at - death.at).total_seconds():.0f} s" if death.noticed_at else "never"
            yield f"{death.name} was dead at {death.at:%H:%M:%S} and noticed {when}"


@invariant
def i13(facts: Facts) -> Violations:
    """Right contract, whole size, price on the tick, stop on the right side."""
    by_id = {order.id: order for order in facts.venue_orders}
    entries = {row.tag for row in facts.orders if row.role == "entry"}
    for asked in facts.journal:
        request = asked.data.get("request", {})
        if request.get("customTag") in entries and asked.name == "Order/place" and not request.get("stopLossBracket"):
            yield f"entry {request['customTag']} was asked for without a stop bracket"
    for order in facts.venue_orders:
        row = facts.row_of(order)
        if row is None or row.role == "external":
            continue
        if row.broker_contract_id != order.contract_id:
            yield f"venue order {order.id} is in {order.contract_id}, our #{row.id} in {row.broker_contract_id}"
        if row.side != order.side:
            yield f"venue order {order.id} has side {order.side}, our #{row.id} {row.side}"
        if row.parent_id is None and order.status != REJECTED and row.quantity != order.size:
            yield f"venue order {order.id} is for {order.size}, our #{row.id} for {row.quantity}"
        for price in (row.limit_price, row.stop_price):
            if price is not None and price % row.tick_size:
                yield f"our #{row.id} has the price {price}, off its tick of {row.tick_size}"
        if order.parent_id is not None and row.role == "stop":
            _, entry = row, by_id[order.parent_id]
            offset = order.offset if order.offset is not None else _distance(entry, order)
            if offset is not None and offset * entry.side >= 0 and not _moved(facts, row):
                yield f"stop {order.id} lies on the wrong side of entry {entry.id}"


@invariant
def i14(facts: Facts) -> Violations:
    """No secret is in logs, errors, messages or events."""
    texts = dict(facts.texts)
    texts |= {f"order #{row.id}": row.reason for row in facts.orders}
    texts |= {f"event #{event.id}": str(event.detail) for event in facts.events}
    texts |= {f"notification #{n.id}": f"{n.title} {n.body} {n.facts} {n.error}" for n in facts.notifications}
    for name, text in texts.items():
        yield from (f"{name} holds a secret ({secret[:3]}...)" for secret in facts.secrets if secret and secret in text)


def _known_at(move: Row, events: list[Row]) -> datetime:
    """Return when an order was last written after it came to its state: a leg's id may be learnt once it has ended."""
    return max(event.machine_at for event in events if event is move or (event.id > move.id and event.kind == "facts"))


@invariant
def i15(facts: Facts) -> Violations:
    """Every change of state has its event, written in the same transaction."""
    by_order = defaultdict(list)
    for event in facts.events:
        by_order[event.order_id].append(event)
    for row in facts.orders:
        events = by_order[row.id]
        moves = [event for event in events if event.before != event.after]  # a note may be of one who was late
        state = moves[0].before if moves else row.status
        for move in moves:
            if move.before != state:
                yield f"our #{row.id} went from {state} to {move.before} without an event (before event #{move.id})"
            state = move.after
        if state != row.status:
            yield f"our #{row.id} is {row.status}, its events end with {state}"
        elif moves and not moves[-1].machine_at - TOGETHER <= row.status_at <= _known_at(moves[-1], events) + TOGETHER:
            yield f"our #{row.id} became {row.status} at {row.status_at}, its event is of {moves[-1].machine_at}"
        if row.role != "external" and row.parent_id is None and not events:
            yield f"our #{row.id} has no event at all"


@invariant
def i16(facts: Facts) -> Violations:
    """Queues and tables stay bounded."""
    if facts.queue_peak > QUEUE_BOUND:
        yield f"{facts.queue_peak} messages waited, {QUEUE_BOUND} are the bound"
    for order_id, count in Counter(event.order_id for event in facts.events).items():
        if count > EVENTS_BOUND:
            yield f"our #{order_id} has {count} events"


def _tick(facts: Facts, fill: Row) -> Decimal:
    return next(row.tick_size for row in facts.orders if row.contract_id == fill.contract_id)


def _distance(entry: Row, leg: Row) -> int | None:
    if not entry.filled or leg.stop is None:
        return None
    return int(leg.stop - entry.fill_cost / entry.filled)


def _moved(facts: Facts, row: Row) -> bool:
    return any(event.order_id == row.id and event.kind == "modify asked" for event in facts.events)
