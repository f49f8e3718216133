"""The health of a view: what is planted is caught by name, and nothing is accused that is sound or cannot be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensorloom.align.rules import RULES, tune
from sensorloom.embed.agreement import MAX_LAG, TakeAgreement, fit_takes
from sensorloom.embed.near_duplicates import find_twins
from sensorloom.embed.shuffles import judge_takes, judge_views
from sensorloom.embed.view_columns import text_means
from sensorloom.embed.view_health import check_view
from tests.embed.generated_view import NS_PER_S, generate, of_take, view


def check(rows, shards, rules=RULES):
    return check_view(view(shards), rows, rules)


def told(health):
    return [(finding.rule, finding.target) for finding in health.findings]


def kinds(health):
    return [(leak.kind, leak.first, leak.second, leak.count) for leak in health.leaks]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tells", [1.0, 0.5, 0.0])
def test_a_sound_view_is_not_accused_whether_its_encoder_tells_or_not(tells, seed):
    rows, shards = generate(tells=tells, seed=seed)
    health = check(rows, shards)
    assert (health.findings, health.leaks) == ((), ())
    (agreement,) = health.agreement
    assert agreement.tells or tells < 1
    assert (agreement.takes, agreement.takes_shuffled, agreement.pairs) == (12, 0, 360)
    assert [measured.column for measured in health.vectors] == ["text", "video/ego"]


def test_an_encoder_that_tells_nothing_accuses_no_shuffle():
    rows, shards = generate()
    rng = np.random.default_rng(0)
    for shard in shards:
        raw = rng.standard_normal(shard["video"].shape)
        shard["video"] = (raw / np.linalg.norm(raw, axis=2, keepdims=True)).astype(np.float16)
    health = check(rows, shards)
    assert (health.findings, health.agreement[0].tells) == ((), False)


@pytest.mark.parametrize("take_id", ["d/t0", "d/t7", "d/t11"])
def test_one_take_with_shuffled_rows_is_named(take_id):
    rows, shards = generate()
    shard, places = of_take(rows, shards, take_id)
    shard["video"][places] = shard["video"][np.random.default_rng(1).permutation(places)]
    health = check(rows, shards)
    assert told(health) == [("text-video-shuffled", take_id)]
    (finding,) = health.findings
    assert "view: text/narration fits its own windows no better than any of the take's 30 windows" in (
        finding.sentence
    )
    assert finding.numbers["effect"] < finding.numbers["usual_effect"] / 2
    assert health.agreement[0].takes_shuffled == 1
    assert told(check(rows, shards, tune({"text-video-shuffled": {"severity": "off"}}))) == []


@pytest.mark.parametrize("shift", [1, -2, 5])
def test_a_take_whose_rows_slipped_is_told_by_how_much(shift):
    rows, shards = generate()
    shard, places = of_take(rows, shards, "d/t4")
    shard["video"][places] = shard["video"][np.roll(places, shift)]
    health = check(rows, shards)
    assert told(health) == [("video-fits-elsewhere", "d/t4")]
    numbers = health.findings[0].numbers
    assert (numbers["shift_windows"], numbers["shift_s"]) == (shift, 5.0 * shift)
    words = f"{5 * abs(shift):.1f} s {'later' if shift > 0 else 'earlier'}, by {abs(shift)} of the take's 30 windows"
    assert words in health.findings[0].sentence
    assert health.agreement[0].takes_shifted == 1


def test_a_shift_below_the_threshold_is_not_told():
    rows, shards = generate()
    shard, places = of_take(rows, shards, "d/t4")
    shard["video"][places] = shard["video"][np.roll(places, 1)]
    assert "video-fits-elsewhere" not in dict(
        told(check(rows, shards, tune({"video-fits-elsewhere": {"threshold": 6.0}})))
    )


def test_the_order_of_the_rows_is_not_that_of_time():
    """Windows stand in the table by id; what is later is told by their starts."""
    rows, shards = generate()
    order = np.random.default_rng(0).permutation(30)
    for first in range(0, len(rows), 30):
        shard, places = of_take(rows, shards, rows[first]["take_id"])
        rows[first : first + 30] = [rows[first + place] for place in order]
        for name in ("imu", "video", "text_rows"):
            shard[name][places] = shard[name][places[order]]
    assert check(rows, shards).findings == ()
    shard, places = of_take(rows, shards, "d/t4")
    in_time = places[np.argsort(order)]
    shard["video"][in_time] = shard["video"][np.roll(in_time, 2)]
    (finding,) = check(rows, shards).findings
    assert finding.numbers["shift_windows"] == 2


def test_two_takes_with_each_other_s_texts_are_named():
    rows, shards = generate(takes=15)
    (one, here), (other, there) = of_take(rows, shards, "d/t1"), of_take(rows, shards, "d/t9")
    for name in ("video",):
        one[name][here], other[name][there] = other[name][there].copy(), one[name][here].copy()
    assert {target for _, target in told(check(rows, shards))} == {"d/t1", "d/t9"}
    assert {rule for rule, _ in told(check(rows, shards))} == {"text-video-shuffled"}


def take_agreement(name, video, text):
    """Return a take too short to tell its own windows' texts apart."""
    effects = np.full(2 * MAX_LAG + 1, np.nan)
    effects[MAX_LAG] = 0.5
    nothing = np.zeros_like(effects)
    return TakeAgreement(name, 10, 8, 0.3, 0.2, effects, nothing, nothing, video, text)


def test_takes_are_fitted_as_their_whole_matrix_tells():
    rng = np.random.default_rng(0)
    video, text = rng.standard_normal((2, 9, 5)).astype(np.float32)
    similar = video.astype(np.float64) @ text.T.astype(np.float64)
    excess = similar - similar.mean(0) - similar.mean(1, keepdims=True) + similar.mean()
    takes = [take_agreement("t", *both) for both in zip(video, text, strict=True)]
    np.testing.assert_allclose(fit_takes(takes), np.diagonal(excess) / np.sqrt((excess**2).mean()), rtol=1e-5)
    assert fit_takes(takes[:1]).tolist() == [0.0]
    assert fit_takes([]).tolist() == []


def test_short_takes_with_each_other_s_texts_are_told_by_where_these_fit_instead():
    places = np.eye(16, dtype=np.float32)[:12]
    sound = [take_agreement(f"t{n}", place, place) for n, place in enumerate(places)]
    agreement, findings = judge_takes("v", "text/narration", "d", sound, RULES)
    assert (findings, agreement.takes_shuffled) == ((), 0)
    mixed = [*sound]
    mixed[2], mixed[5] = (
        take_agreement("t2", places[2], places[5]),
        take_agreement("t5", places[5], places[2]),
    )
    agreement, findings = judge_takes("v", "text/narration", "d", mixed, RULES)
    assert [(finding.rule, finding.target) for finding in findings] == [
        ("text-video-shuffled", "t2"),
        ("text-video-shuffled", "t5"),
    ]
    assert findings[0].sentence == (
        "v: text/narration fits other takes' video better than the take's own, where that of 11 other takes fits theirs"
    )
    assert agreement.takes_shuffled == 2
    assert judge_takes("v", "text/narration", "d", mixed[:9], RULES)[1] == ()


def test_too_few_takes_accuse_none_of_them():
    rows, shards = generate(takes=3)
    shard, places = of_take(rows, shards, "d/t0")
    shard["video"][places] = shard["video"][np.random.default_rng(1).permutation(places)]
    health = check(rows, shards)
    assert (health.findings, health.agreement[0].tells) == ((), False)


def test_a_view_that_tells_nothing_is_accused_by_one_that_tells():
    rows, shards = generate()
    sound = check(rows, shards).agreement
    rng = np.random.default_rng(0)
    for take in range(12):
        shard, places = of_take(rows, shards, f"d/t{take}")
        shard["video"][places] = shard["video"][rng.permutation(places)]
    health = check(rows, shards)
    assert health.findings == ()
    (finding,) = judge_views({"sound": sound, "mixed": health.agreement}, RULES)
    assert (finding.rule, finding.target) == ("text-video-shuffled", "mixed")
    assert "but in view sound it does" in finding.sentence
    assert judge_views({"sound": sound, "again": sound}, RULES) == ()
    assert judge_views({"mixed": health.agreement}, RULES) == ()
    few = [replace(health.agreement[0], pairs=40)]
    assert judge_views({"sound": sound, "mixed": few}, RULES) == ()


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_take_that_is_there_twice_leaks_signals_and_vectors(noise):
    rows, shards = generate()
    rng = np.random.default_rng(3)
    (source, here), (copy, there) = of_take(rows, shards, "d/t3"), of_take(rows, shards, "d/t8")
    copy["imu"][there] = source["imu"][here] + noise * rng.standard_normal(source["imu"][here].shape)
    copy["video"][there] = source["video"][here] + noise / 10 * rng.standard_normal(
        source["video"][here].shape
    )
    health = check(rows, shards)
    assert kinds(health) == [("signal", "test", "train", 60), ("vector", "test", "train", 60)]
    assert health.leaks[0].examples[0] == "d/t8@0 & d/t3@0"
    off = tune({"leak-signal": {"severity": "off"}, "leak-vector": {"severity": "off"}})
    assert kinds(check(rows, shards, off)) == []


def test_other_recordings_of_the_same_place_do_not_leak():
    """Windows of two takes look alike, but no more than windows of one take do."""
    rows, shards = generate()
    rng, place = np.random.default_rng(0), shards[0]["video"][0, 0].astype(np.float32)
    for shard in shards:
        near = place + 0.004 * rng.standard_normal(shard["video"].shape)
        shard["video"] = (near / np.linalg.norm(near, axis=2, keepdims=True)).astype(np.float16)
    video = np.concatenate([shard["video"][:, 0] for shard in shards])
    take = np.repeat(np.arange(12), 30)
    assert len(find_twins(video, np.ones(360, np.bool_), take, 0.045, inside=False).pairs) > 100
    assert kinds(check(rows, shards)) == []


def test_a_black_window_in_two_splits_is_no_leak():
    rows, shards = generate()
    black = shards[0]["video"][0].copy()
    for take_id in ("d/t3", "d/t8"):
        shard, places = of_take(rows, shards, take_id)
        shard["video"][places[:1]] = black
    assert kinds(check(rows, shards)) == []


@pytest.mark.parametrize("dtype", ["float32", "float16", "int16"])
def test_windows_that_are_there_twice_in_one_split_are_counted(dtype):
    rows, shards = generate(takes=3, windows=20)
    (shard,) = shards
    shard["imu"][10:14] = shard["imu"][0:4]
    if dtype == "int16":
        scale = np.abs(shard["imu"]).max(axis=3) / 32767
        shard["imu"] = np.round(shard["imu"] / scale[..., None]).astype(np.int16)
        shard["imu_scale"] = scale
    else:
        shard["imu"] = shard["imu"].astype(dtype)
    (finding,) = check(rows, shards).findings
    assert (finding.rule, finding.target) == ("duplicate-windows", "view")
    assert finding.numbers == {"windows": 4, "share": 0.2}
    assert finding.sentence == (
        "train: 4 windows of 20 (20%) carry the signal of another, as d/t0@50 that of d/t0@0"
    )
    assert check(rows, shards, tune({"duplicate-windows": {"threshold": 0.2}})).findings == ()


def test_still_and_missing_sensors_are_no_twins():
    rows, shards = generate(takes=3, windows=20)
    (shard,) = shards
    shard["imu"][:] = 9.8
    shard["imu"][20:, :, :, 50] += 1.0
    shard["imu"][:20, :, :, 50] += 1e-3  # one count of a converter, in every window
    shard["imu_present"][20:] = False
    health = check(rows, shards)
    assert (health.findings, health.leaks) == ((), ())


def test_stored_integers_count_by_what_they_stand_for():
    rows, shards = generate(takes=3, windows=20)
    (shard,) = shards
    shard["imu"] = np.round(1000 * (shard["imu"] - 9.8)).astype(np.int16)
    shard["imu"][1] = shard["imu"][0]
    shard["imu_scale"] = np.full(shard["imu"].shape[:3], 1e-3, np.float32)
    assert [rule for rule, _ in told(check(rows, shards))] == ["duplicate-windows"]
    shard["imu_scale"][1] *= 2
    assert told(check(rows, shards)) == []


def test_one_slow_turn_is_no_copy_of_another():
    """Both windows hold one straight ramp; they begin elsewhere."""
    rows, shards = generate(takes=3, windows=20)
    (shard,) = shards
    ramp = np.linspace(-1, 1, shard["imu"].shape[3], dtype=np.float32)
    shard["imu"][0], shard["imu"][1] = ramp, ramp + 3
    assert check(rows, shards).findings == ()
    shard["imu"][1] = ramp
    assert [rule for rule, _ in told(check(rows, shards))] == ["duplicate-windows"]


def test_overlapping_windows_of_one_take_in_two_splits_leak_by_overlap_alone():
    rows, shards = generate(takes=3, windows=20)
    (shard,) = shards
    rows[1] |= {"start_ns": rows[0]["start_ns"] + NS_PER_S, "split": "test"}
    shard["imu"][1], shard["video"][1] = shard["imu"][0], shard["video"][0]
    found = {leak.kind for leak in check(rows, shards).leaks}
    assert found == {"overlap", "participant", "capture"}


def test_texts_in_two_splits_are_a_leak_of_text():
    rows, shards = generate(takes=3, windows=20)
    for row in rows[:25]:
        row["texts"] = [{"text_id": "a", "text": "C walks"}]
    assert kinds(check(rows, shards)) == [("text", "train", "val", 1)]


def test_a_view_of_signals_alone_has_no_vectors():
    rows, shards = generate(takes=3, windows=20)
    bare = [{name: shard[name] for name in ("imu", "imu_present")} for shard in shards]
    health = check(rows, bare)
    assert (health.vectors, health.agreement, health.findings) == ((), (), ())


def test_a_shard_without_windows_is_passed_over():
    rows, shards = generate(takes=3, windows=20)
    empty = {name: array[:0] for name, array in shards[0].items()}
    assert check(rows, [empty, *shards, empty]) == check(rows, shards)


def test_several_texts_and_cameras_count_by_their_mean():
    rows, shards = generate()
    for shard in shards:
        count = len(shard["imu"])
        absent = np.full_like(shard["video"], 0.5)
        shard["video"] = np.concatenate([shard["video"], absent], axis=1)
        shard["video_present"] = np.repeat([[True, False]], count, axis=0)
        shard["text_rows"] = np.repeat(shard["text_rows"], 2)
        shard["text_offsets"] = 2 * shard["text_offsets"]
    twice, once = check(rows, shards).agreement[0], check(*generate()).agreement[0]
    assert twice.paired == pytest.approx(once.paired, abs=1e-3)
    assert twice.z == pytest.approx(once.z, abs=0.05)


def test_the_same_texts_in_another_order_are_the_same_text():
    rng = np.random.default_rng(0)
    arrays = {
        "text_vectors": (rng.standard_normal((5, 64)) * 10 ** rng.uniform(-4, 0, (5, 64))).astype(np.float16),
        "text_rows": np.array([4, 0, 2, 2, 4, 0, 1, 3], np.int32),
        "text_offsets": np.array([[0, 3, 3], [3, 6, 7], [7, 7, 8]]),
    }
    first, has_first = text_means(arrays, 0)
    second, has_second = text_means(arrays, 1)
    assert (has_first.tolist(), has_second.tolist()) == ([True, True, False], [False, True, True])
    assert first[0].tobytes() == first[1].tobytes()
    vectors = arrays["text_vectors"].astype(np.float64)
    for found, rows in ((first[0], [0, 2, 4]), (second[1], [1]), (second[2], [3])):
        mean = vectors[rows].sum(axis=0)
        np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-6)
    assert not first[2].any()


def test_tables_that_do_not_fit_are_refused():
    rows, shards = generate(takes=3, windows=20)
    with pytest.raises(ValueError, match="view view: its tensors hold 60 windows, its window table 59"):
        check(rows[:-1], shards)
