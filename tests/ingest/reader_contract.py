"""The law every reader keeps; a reader's tests inherit it and say where its raw tree comes from."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sensorloom.ingest.errors import LayoutError
from sensorloom.ingest.reader import READERS, Reader
from sensorloom.ingest.source import TakeSource
from sensorloom.ingest.take import Take


class ReaderContract:
    @pytest.fixture
    def reader(self) -> Reader:
        raise NotImplementedError

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """A sound raw tree with at least two takes."""
        raise NotImplementedError

    @pytest.fixture
    def sources(self, reader: Reader, root: Path) -> list[TakeSource]:
        return reader.index(root)

    @pytest.fixture
    def takes(self, reader: Reader, root: Path, sources: list[TakeSource]) -> list[Take]:
        return [reader.read(root, source) for source in sources]

    def test_it_is_registered_under_its_name(self, reader: Reader) -> None:
        assert READERS[reader.dataset] == reader
        assert reader.code_version >= 1

    def test_ids_are_sorted_and_unique(self, reader: Reader, sources: list[TakeSource]) -> None:
        ids = [source.take_id for source in sources]
        assert len(ids) >= 2
        assert ids == sorted(set(ids))
        assert all(take_id.startswith(f"{reader.dataset}/") for take_id in ids)

    def test_sizes_are_those_of_the_text(self, root: Path, sources: list[TakeSource]) -> None:
        for source in sources:
            assert source.files
            for file in source.files:
                assert file.num_bytes > 0
                on_disk = root / file.uri.partition("!")[0]
                assert on_disk.is_file()
                if "!" not in file.uri:
                    assert file.num_bytes == on_disk.stat().st_size

    def test_an_index_is_repeatable(self, reader: Reader, root: Path, sources: list[TakeSource]) -> None:
        assert reader.index(root) == sources

    def test_streams_keep_the_invariants(self, takes: list[Take]) -> None:
        for take in takes:
            names = [stream.name for stream in take.streams]
            assert len(set(names)) == len(names) > 0
            for stream in take.streams:
                assert stream.times_ns.dtype == np.int64
                assert stream.values.dtype == np.float32
                assert not np.isinf(stream.values).any()
                assert (
                    stream.unit
                    == {"accelerometer": "m/s²", "gyroscope": "rad/s", "heart_rate": "bpm"}[stream.kind]
                )
                assert stream.nominal_rate_hz > 0
                assert stream.clock
                if stream.kind != "heart_rate":
                    assert stream.channels == ("x", "y", "z")

    def test_sensors_of_one_position_share_its_clock(self, takes: list[Take]) -> None:
        for take in takes:
            clocks = {(stream.position, stream.clock) for stream in take.streams}
            assert len(clocks) == len({stream.position for stream in take.streams})

    def test_labels_and_breaks_lie_inside_the_recording(self, takes: list[Take]) -> None:
        for take in takes:
            start_ns = min(int(stream.times_ns[0]) for stream in take.streams)
            last_ns = max(int(stream.times_ns[-1]) for stream in take.streams)
            step_ns = max(round(1e9 / stream.nominal_rate_hz) for stream in take.streams)
            for stretch in (*take.labels, *take.breaks):
                assert start_ns <= stretch.start_ns < stretch.stop_ns <= last_ns + step_ns
            assert all(label.text for label in take.labels)

    def test_labels_and_breaks_do_not_overlap(self, takes: list[Take]) -> None:
        for take in takes:
            stretches = sorted((part.start_ns, part.stop_ns) for part in (*take.labels, *take.breaks))
            assert all(stop <= start for (_, stop), (start, _) in pairwise(stretches))

    def test_findings_are_about_the_take(self, takes: list[Take]) -> None:
        for take in takes:
            for finding in take.findings:
                assert finding.target.partition("#")[0] == take.take_id
                assert finding.sentence
                assert {type(value) for value in finding.numbers.values()} <= {int, float}

    def test_sound_data_raises_no_alarm(self, takes: list[Take]) -> None:
        for take in takes:
            assert [finding for finding in take.findings if finding.severity == "error"] == []
            assert len([finding for finding in take.findings if finding.severity == "warning"]) <= 1

    def test_a_take_carries_what_its_source_says(self, takes: list[Take], sources: list[TakeSource]) -> None:
        for take, source in zip(takes, sources, strict=True):
            assert (take.take_id, take.dataset, take.files) == (source.take_id, source.dataset, source.files)
            assert take.take_id.startswith(take.capture_id)
            assert take.participant_id.startswith(f"{take.dataset}/")
            assert all(isinstance(value, str) for value in take.facts.values())

    def test_reading_twice_gives_the_same(
        self, reader: Reader, root: Path, sources: list[TakeSource], takes: list[Take]
    ) -> None:
        for take, source in zip(takes, sources, strict=True):
            again = reader.read(root, source)
            assert again.findings == take.findings
            assert (again.labels, again.breaks) == (take.labels, take.breaks)
            for one, other in zip(take.streams, again.streams, strict=True):
                np.testing.assert_array_equal(one.times_ns, other.times_ns)
                np.testing.assert_array_equal(one.values, other.values)

    def test_an_empty_root_is_refused(self, reader: Reader, tmp_path: Path) -> None:
        (tmp_path / "nothing").mkdir()
        with pytest.raises(LayoutError, match=r"nothing: no .* point to"):
            reader.index(tmp_path / "nothing")

    def test_a_missing_root_is_refused(self, reader: Reader, tmp_path: Path) -> None:
        with pytest.raises(LayoutError, match=r"absent: is neither a folder nor a \.zip file"):
            reader.index(tmp_path / "absent")
