"""Generated motion of a body and what sensors with clocks of their own make of it. Nothing here was recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from sensorloom.align.sync.signal import MotionSignal

# Kinds of pairs: step of the second in ms, its noise, whether both are reduced to one magnitude.
PAIRS = {
    "imu": (5, 0.2, False),
    "camera": (100, 0.4, False),
    "other-position": (5, 4.0, False),
    "magnitudes": (5, 0.3, True),
    "slow-magnitude": (100, 0.3, True),
}
RATE_HZ = 100.0
MARGIN_S = 20.0


class GeneratedMotion:
    """Rotation rates of bodies as functions of true time in s, and signals that show them late."""

    def wander(self, rng, seconds, channels=3):
        """Band-limited random rotation, most of it below 2 Hz, in bursts of some seconds with pauses between."""
        count = int((seconds + 2 * MARGIN_S) * RATE_HZ)
        freqs = np.fft.rfftfreq(count, 1 / RATE_HZ)
        shape = (freqs / (freqs + 0.2)) / (1 + (freqs / 1.5) ** 2) ** 0.75 * np.exp(-((freqs / 6) ** 4))
        noise = rng.normal(size=(2, len(freqs), channels))
        values = np.fft.irfft(shape[:, None] * (noise[0] + 1j * noise[1]), count, axis=0)
        return self._curve(values / values.std() * self._bursts(rng, count)[:, None])

    def walk(self, rng, seconds, unevenness, channels=3):
        """Steps at 1.8 Hz with their harmonics; strictly periodic where `unevenness` is 0."""
        count = int((seconds + 2 * MARGIN_S) * RATE_HZ)

        def slow(width):
            return np.convolve(rng.normal(size=count), np.hanning(width) / np.sqrt(0.375 * width), "same")

        phase = 2 * np.pi * np.cumsum(1.8 * (1 + 0.5 * unevenness * slow(200))) / RATE_HZ
        values = np.zeros((count, channels))
        for harmonic in (0.5, 1, 1.5, 2, 3):
            size = rng.normal(size=channels) / harmonic * (1 + unevenness * slow(150)[:, None])
            values += size * np.sin(harmonic * phase[:, None] + rng.uniform(0, 2 * np.pi, channels))
        return self._curve(values / values.std())

    def gated(self, rng, body, seconds, share):
        """What `body` does for a `share` of the time, in bouts of its own, with rests of ten seconds on average."""
        count, at = int((seconds + 2 * MARGIN_S) * RATE_HZ), 0
        active = np.zeros(count)
        while at < count:
            at += int(RATE_HZ * rng.exponential(10))
            bout = int(RATE_HZ * (0.5 + rng.exponential(10 * share / (1 - share))))
            active[at : at + bout] = 1
            at += bout
        gate = self._curve(np.convolve(active, np.hanning(51) / np.hanning(51).sum(), "same")[:, None])
        return lambda time_s: body(time_s) * gate(time_s)

    def still(self, time_s):
        return np.zeros((len(time_s), 3))

    def rotation(self, rng):
        axes, upper = np.linalg.qr(rng.normal(size=(3, 3)))
        return axes * np.sign(np.diag(upper))

    def sense(
        self, body, rng, seconds, step_ms, *, name="signal", start_s=0.0, shown=None, mix=None, noise=0.1
    ):
        """What a sensor stamps from `start_s` to `seconds`: at stamp s the motion of true time `shown(s)`.

        A sensor of 100 ms averages over its step, as a camera's rotation from frame to frame does.
        """
        stamps = start_s + np.arange(round((seconds - start_s) * 1e3 / step_ms)) * step_ms / 1e3
        true = stamps if shown is None else shown(stamps)
        parts = (np.arange(10) - 4.5) / 10 * step_ms / 1e3 if step_ms >= 50 else (0.0,)
        values = np.mean([body(true + part) for part in parts], axis=0)
        values = values if mix is None else values @ mix
        values = (values + noise * rng.normal(size=values.shape)).astype(np.float32)
        start, step = round(start_s * 1e9), round(step_ms * 1e6)
        return MotionSignal(name, start, step, values, np.ones(len(values), np.bool_))

    def pair(self, rng, seconds, kind="imu", *, body=None, other=None, shown=None, noise=None):
        """A 200 Hz signal, and one of `kind` in another mounting that shows `other` (or the same) body, late."""
        step_ms, usual_noise, magnitude = PAIRS[kind]
        body = self.wander(rng, seconds) if body is None else body
        noises = (0.1, usual_noise) if noise is None else (noise, noise)
        first = self.sense(body, rng, seconds, 5, name="head", mix=self.rotation(rng), noise=noises[0])
        mix = None if magnitude else self.rotation(rng)
        second = self.sense(
            other or body,
            rng,
            seconds,
            step_ms,
            name="other",
            start_s=0.0123,
            shown=shown,
            mix=mix,
            noise=noises[1],
        )
        return tuple(map(self.magnitude, (first, second))) if magnitude else (first, second)

    def late(self, offset_ms, drift_ppm=0.0, at_s=0.0):
        """Stamps that are late by `offset_ms` at stamp `at_s`, growing by `drift_ppm`, seen from the true clock."""
        drift = drift_ppm * 1e-6
        return lambda stamp_s: at_s + (stamp_s - offset_ms / 1e3 - at_s) / (1 + drift)

    def magnitude(self, signal):
        return replace(signal, values=np.linalg.norm(signal.values, axis=1, keepdims=True).astype(np.float32))

    def _bursts(self, rng, count):
        loudness, at = np.zeros(count), 0
        while at < count:
            busy, rest = 20 + int(RATE_HZ * rng.gamma(2, 2)), 10 + int(RATE_HZ * rng.gamma(1.5, 1.5))
            loudness[at : at + busy] = rng.uniform(0.4, 1.6)
            loudness[at + busy : at + busy + rest] = rng.uniform(0.02, 0.15)
            at += busy + rest
        return np.convolve(loudness, np.hanning(41) / np.hanning(41).sum(), "same")

    def _curve(self, values):
        return CubicSpline(np.arange(len(values)) / RATE_HZ - MARGIN_S, values)


@pytest.fixture(scope="session")
def generated():
    return GeneratedMotion()
