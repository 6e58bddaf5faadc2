"""SignalR's text framing: every message ends with byte 0x1E, wherever the frames of the socket begin and end."""

from __future__ import annotations

SEPARATOR = b"\x1e"
LONGEST = 1_000_000
"""Bytes of one message; the longest seen at the venue has a few hundred."""


class TooLong(Exception):
    """A message does not end."""


class Records:
    """Puts messages together from the frames of one connection."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, frame: bytes) -> list[bytes]:
        """Return the messages that `frame` completes, without their separator. Raises TooLong."""
        if self._rest:
            frame = self._rest + frame
        *whole, self._rest = frame.split(SEPARATOR)
        if len(self._rest) > LONGEST:
            raise TooLong(f"a message is longer than {LONGEST} bytes")
        return [record for record in whole if record]
