"""Where the IMU of an Ego4D video and its metadata contradict each other, and what lies between components. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from sensorloom.ingest.take import NS_PER_MS, Finding, Interval, counted

__all__ = ["component_findings", "presence_findings", "seam_findings"]


def presence_findings(take_id: str, has_imu: bool | None, folders: Collection[str]) -> Iterator[Finding]:
    """Compare `has_imu` of the metadata with the folders that have a file of the take."""
    target = f"{take_id}#head"
    if has_imu and "imu" not in folders:
        yield Finding(
            target, "imu-absent", "warning", "has_imu is true and there is no IMU file; download it"
        )
    if has_imu is False and "imu" in folders:
        sentence = "has_imu is false and there is an IMU file; it was read"
        yield Finding(target, "imu-unannounced", "warning", sentence)
    if not set(folders) - {"imu"}:
        sentence = "no rendition of the video was downloaded; the take has no pictures"
        yield Finding(f"{take_id}#ego", "video-absent", "note", sentence)


def component_findings(
    listed_s: Mapping[int, float | None], found: tuple[int, ...], take_id: str
) -> Iterator[Finding]:
    """Compare the components of the video, seconds by index where known, with those `found` in the IMU file."""
    target = f"{take_id}#head"
    without = [index for index in listed_s if index not in found]
    if without:
        seconds = sum(listed_s[index] or 0.0 for index in without)
        sentence = (
            f"{len(without)} of the {counted(len(listed_s), 'component')} of the video"
            f" ({_listed(without)}; {seconds:g} s) have no IMU"
        )
        numbers = {"count": len(without), "components": len(listed_s), "total_s": seconds}
        yield Finding(target, "imu-components-missing", "warning", sentence, numbers)
    unknown = [index for index in found if listed_s and index not in listed_s]
    if unknown:
        count = counted(len(unknown), "component")
        sentence = f"the IMU file has {count} that the metadata does not list: {_listed(unknown)}"
        yield Finding(target, "imu-component-unknown", "warning", sentence, {"count": len(unknown)})


def seam_findings(breaks: tuple[Interval, ...], take_id: str) -> Iterator[Finding]:
    """Tell of the seams between the components of the IMU, across which nothing is bridged."""
    if not breaks:
        return
    lengths_ms = [gap.length_ns / NS_PER_MS for gap in breaks]
    sentence = (
        f"{counted(len(breaks), 'seam')} between components, {sum(lengths_ms) / 1e3:.3f} s without IMU in all,"
        f" the longest {max(lengths_ms):.3f} ms; nothing is bridged"
    )
    numbers = {"count": len(breaks), "total_s": sum(lengths_ms) / 1e3, "longest_gap_ms": max(lengths_ms)}
    yield Finding(f"{take_id}#head", "component-gap", "note", sentence, numbers)


def _listed(indices: list[int]) -> str:
    return ", ".join(map(str, indices))
