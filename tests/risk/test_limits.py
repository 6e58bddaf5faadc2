"""Until when entries may be sent."""

from datetime import UTC, date, datetime

import pytest

from market.sessions import regular_session, session_until
from risk.limits import entries_until


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (regular_session(date(2026, 11, 18)), datetime(2026, 11, 18, 21, 0, tzinfo=UTC)),  # winter: 15:00 Chicago
        (regular_session(date(2026, 7, 1)), datetime(2026, 7, 1, 20, 0, tzinfo=UTC)),  # summer
        (  # the day after Thanksgiving closes at 12:15 Chicago: flat by 12:00, ours ten minutes before
            session_until(date(2026, 11, 27), datetime(2026, 11, 27, 18, 15, tzinfo=UTC)),
            datetime(2026, 11, 27, 17, 50, tzinfo=UTC),
        ),
    ],
)
def test_entries_end_with_our_flat_time_and_never_after_the_firms_last_entry(session, expected):
    assert entries_until(session) == expected
