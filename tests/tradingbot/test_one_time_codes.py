"""Codes of an authenticator app: the numbers of the RFC, and that a code is taken once."""

from datetime import UTC, datetime, timedelta

import pytest

from tradingbot import one_time_codes as codes

KEY = b"12345678901234567890"
TEXT = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
NOW = datetime(2026, 11, 18, 14, 30, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)  # RFC 6238, appendix B; the last six of its eight digits
def test_codes_of_the_rfc(seconds, expected):
    assert codes.code(KEY, seconds // codes.STEP) == expected


def test_a_key_is_read_as_apps_write_it():
    spaced = " ".join(TEXT[at : at + 4] for at in range(0, len(TEXT), 4))
    assert [codes.secret(text) for text in (TEXT, TEXT.lower(), spaced)] == [KEY] * 3


@pytest.mark.parametrize(("text", "why"), [("not base32!", "not base32"), ("GEZDGNBV", "40 bits"), ("", "0 bits")])
def test_a_key_that_cannot_be_used_says_why(text, why):
    with pytest.raises(ValueError, match=why):
        codes.secret(text)


def test_a_code_holds_for_its_step_and_the_ones_beside_it():
    typed = codes.code(KEY, codes.step_of(NOW))
    taken = [codes.is_right(KEY, typed, at=NOW + timedelta(seconds=30 * steps)) for steps in (-2, -1, 0, 1, 2)]
    assert taken == [False, True, True, True, False]
    assert codes.is_right(KEY, f" {typed} ", at=NOW)
    assert not any(codes.is_right(KEY, wrong, at=NOW) for wrong in ("", "000000", typed[:5], typed + "0", "١٢٣٤٥٦"))


def test_a_code_is_taken_once():
    for early in (-1, 0, 1):  # whichever of them was typed
        typed = codes.code(KEY, codes.step_of(NOW) + early)
        later = [NOW + timedelta(seconds=seconds) for seconds in range(0, 91, 5)]
        assert codes.is_right(KEY, typed, at=NOW)
        assert not any(codes.is_right(KEY, typed, at=at, after=NOW) for at in later)
    fresh = NOW + timedelta(seconds=60)
    assert codes.is_right(KEY, codes.code(KEY, codes.step_of(fresh)), at=fresh, after=NOW)
