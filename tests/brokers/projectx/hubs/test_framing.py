from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.projectx.hubs.framing import LONGEST, Records, TooLong

MESSAGES = st.lists(st.binary(min_size=1, max_size=30).filter(lambda body: b"\x1e" not in body), max_size=12)


@given(MESSAGES, st.data())
def test_messages_come_out_as_they_went_in_however_the_frames_are_cut(messages: list[bytes], data: st.DataObject):
    stream = b"".join(message + b"\x1e" for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    frames = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    records = Records()
    assert [record for frame in frames for record in records.feed(frame)] == messages


def test_half_a_message_waits_for_its_end():
    records = Records()
    assert records.feed(b'{"type":6}\x1e{"ty') == [b'{"type":6}']
    assert records.feed(b'pe":1}') == []
    assert [json.loads(one) for one in records.feed(b"\x1e")] == [{"type": 1}]


def test_empty_messages_are_none():
    assert Records().feed(b"\x1e\x1ea\x1e\x1e") == [b"a"]


def test_a_message_without_an_end_is_not_collected_for_ever():
    records = Records()
    records.feed(b"x" * LONGEST)
    with pytest.raises(TooLong):
        records.feed(b"x")
