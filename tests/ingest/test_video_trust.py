"""The verdict on frames, on streams made up by hand: places in stored order, letters as in I B P."""

from __future__ import annotations

from sensorloom.ingest.video_trust import Trust

# Stored order with B-frames between: stamps of I P B B P B B, then a key frame and more.
STORED = (0, 3, 1, 2, 6, 4, 5, 7, 10, 8, 9)
KEYS = (0, 7)


def verdicts(corrupt=(), refused=(), delay=2):
    """Send all, show each in order of stamps `delay` packets later; return stamp → soundness."""
    trust, found, waiting = Trust(), {}, []
    for stamp in STORED:
        trust.sent(stamp, is_key=stamp in KEYS)
        if stamp in refused:
            trust.failed()
        else:
            waiting = sorted([*waiting, stamp])
        if len(waiting) > delay:
            show(trust, waiting.pop(0), corrupt)
        found |= dict(trust.release())
    for stamp in waiting:
        show(trust, stamp, corrupt)
    trust.ended()
    return found | dict(trust.release())


def show(trust, stamp, corrupt):
    trust.shown(stamp, stamp, is_corrupt=stamp in corrupt, is_key=stamp in KEYS)


def test_a_sound_film_is_sound():
    assert verdicts() == dict.fromkeys(sorted(STORED), True)


def test_a_damaged_picture_spoils_what_is_stored_after_it_up_to_the_key_frame():
    assert [stamp for stamp, is_sound in verdicts(corrupt={6}).items() if not is_sound] == [4, 5, 6]
    assert [stamp for stamp, is_sound in verdicts(corrupt={2}).items() if not is_sound] == [2, 4, 5, 6]


def test_a_picture_shown_before_the_damage_it_is_built_on_is_held_until_that_is_known():
    assert [stamp for stamp, is_sound in verdicts(corrupt={3}).items() if not is_sound] == [1, 2, 3, 4, 5, 6]


def test_a_refused_packet_is_damage_at_its_place():
    found = verdicts(refused={6})
    assert 6 not in found
    assert [stamp for stamp, is_sound in found.items() if not is_sound] == [4, 5]


def test_a_damaged_key_frame_heals_nothing():
    found = verdicts(corrupt={3, 7})
    assert [stamp for stamp, is_sound in found.items() if is_sound] == [0]


def test_what_precedes_a_key_frame_but_is_stored_after_it_is_not_healed():
    """Open groups of pictures: leading frames are built on what lies before the key frame."""
    trust = Trust()
    for stamp in (0, 1, 4, 3, 5):
        trust.sent(stamp, is_key=stamp in (0, 4))
    for stamp in (0, 1, 3, 4, 5):
        trust.shown(stamp, stamp, is_corrupt=stamp == 1, is_key=stamp in (0, 4))
    trust.ended()
    assert dict(trust.release()) == {0: True, 1: False, 3: False, 4: True, 5: True}


def test_a_packet_without_a_frame_is_counted_but_not_before_the_first():
    trust = Trust()
    for stamp in (0, 1, 2, 3):
        trust.sent(stamp, is_key=stamp == 1)
    trust.shown(1, 1, is_corrupt=False, is_key=True)
    assert trust.lost == 0
    trust.shown(3, 3, is_corrupt=False, is_key=False)
    assert trust.lost == 1


def test_a_wild_stamp_does_not_hold_frames_for_ever():
    trust, released = Trust(), 0
    trust.sent(10**12, is_key=True)
    for stamp in range(1000):
        trust.sent(stamp, is_key=False)
        trust.shown(stamp, stamp, is_corrupt=stamp % 2 == 0, is_key=False)
        released += len(list(trust.release()))
        assert stamp - released < 20
    assert len(trust._damage) <= 257
