"""The overnight range: high and low from the session's open to 09:30 New York, with proof that no minute is missing."""

from __future__ import annotations

from datetime import datetime

from market.sessions import Session, capture_at
from tradingbot.faults import point
from tradingbot.models import Contract, OvernightRange
from tradingbot.operations import notifications
from tradingbot.operations.bars.storing import MINUTE, days, load


class NotCovered(Exception):
    """The bars until the capture are not all there."""


def capture_range(contract: Contract, session: Session, *, now: datetime) -> OvernightRange:
    """Return the record of the session's range, written when every minute before the capture is known.

    Repeatable: a record that is there stays; if the bars say something else today, the trader is told.
    Raises NotCovered as long as a minute is missing, or if none of them has a bar.
    """
    capture = capture_at(session)
    day = next(iter(days(contract, session.trade_date, session.trade_date)), None)
    if day is None or day.covered_until < capture:
        known = day.covered_until if day else session.opens_at
        raise NotCovered(f"{contract}: bars are known until {known:%H:%M} UTC, the range needs them to {capture:%H:%M}")
    bars = load([day])[0].between(session.opens_at, capture)
    if not len(bars):
        raise NotCovered(
            f"{contract}: no minute of the session {session.trade_date} has a bar before {capture:%H:%M} UTC"
        )
    high, low = contract.spec.price(int(bars.high.max())), contract.spec.price(int(bars.low.min()))
    point("capture.before_commit")
    row, _ = OvernightRange.objects.get_or_create(
        contract=contract,
        session_date=session.trade_date,
        defaults={
            "high": high,
            "low": low,
            "bars": len(bars),
            "expected_bars": (capture - session.opens_at) // MINUTE,
            "complete": True,
            "captured_at": now,
        },
    )
    point("capture.after_commit")
    if (row.high, row.low) != (high, low):
        notifications.notify(
            "risk",
            f"The overnight range of {contract} changed after its capture",
            body=f"Captured {contract.text(row.low)} – {contract.text(row.high)}, the bars now say "
            f"{contract.text(low)} – {contract.text(high)}. Entries that stand on it are denied.",
            level="alert",
            key=f"range-{row.pk}-{low.normalize():f}-{high.normalize():f}",
            now=now,
        )
    return row
