"""The transformations of one window in plain loops over numbers, from the same draws; slow and independent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray

from sensorloom.training.streaming.draws import normal, uniform

ORDER = ("noise", "scale", "rotate", "negate", "reverse", "permute", "warp", "shuffle")
Window = NDArray[np.float64]
"""[slots, 6 channels, samples]"""


def purpose(name: str) -> int:
    return (0x6175676D << 16) + (ORDER.index(name) << 8)


def uniforms(seed: int, number: int, *shape: int) -> NDArray[np.float64]:
    return uniform(torch.tensor([seed]), number, shape)[0].double().numpy()


def normals(seed: int, number: int, *shape: int) -> NDArray[np.float64]:
    return normal(torch.tensor([seed]), number, shape)[0].double().numpy()


def transformed(window: Window, seed: int, name: str, preset: str) -> Window:
    """Return one window as `name` changes it."""
    steps = {
        "noise": noised,
        "scale": scaled,
        "rotate": rotated,
        "negate": lambda window, _seed, _preset: np.array([-value for value in window.flat]),
        "reverse": reversed_in_time,
        "permute": permuted,
        "warp": warped,
        "shuffle": shuffled,
    }
    return np.asarray(steps[name](window, seed, preset)).reshape(window.shape)


def noised(window: Window, seed: int, preset: str) -> Window:
    slots, channels, samples = window.shape
    draw = normals(seed, purpose("noise"), slots, channels, samples)
    out = window.copy()
    for slot in range(slots):
        for channel in range(channels):
            for time in range(samples):
                first = channel - channel % 3
                if any(window[slot, axis, time] != 0 for axis in range(first, first + 3)):
                    out[slot, channel, time] += {"paper": 0.05, "repo": 0.1}[preset] * draw[
                        slot, channel, time
                    ]
    return out


def scaled(window: Window, seed: int, preset: str) -> Window:
    slots, channels, samples = window.shape
    by_channel = normals(seed, purpose("scale"), slots, channels)
    by_time = normals(seed, purpose("scale"), samples)
    out = window.copy()
    for slot in range(slots):
        for channel in range(channels):
            for time in range(samples):
                step = 0.1 * by_channel[slot, channel] if preset == "paper" else 0.25 * by_time[time]
                out[slot, channel, time] *= 1 + step
    return out


def rotated(window: Window, seed: int, preset: str) -> Window:
    slots, _, samples = window.shape
    size = 3 if preset == "paper" else 6
    out = window.copy()
    for slot in range(slots):
        raw = [2 * value - 1 for value in uniforms(seed, purpose("rotate"), slots, size)[slot]]
        length = math.sqrt(sum(value * value for value in raw))
        axis = [value / length for value in raw[:3]]
        angle = math.pi * (2 * uniforms(seed, purpose("rotate") + 1, slots)[slot] - 1)
        for first in (0, 3):
            for time in range(samples):
                vector = window[slot, first : first + 3, time]
                turn = by_quaternion if preset == "paper" else by_three_of_six
                out[slot, first : first + 3, time] = turn(axis, angle, vector)
    return out


def by_quaternion(axis: Sequence[float], angle: float, vector: Sequence[float]) -> list[float]:
    """q·v·q*, as a true rotation is: no matrix, no formula of Rodrigues."""
    half = (math.cos(angle / 2), *(math.sin(angle / 2) * value for value in axis))
    back = (half[0], -half[1], -half[2], -half[3])
    return list(product(product(half, (0.0, *vector)), back)[1:])


def product(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float, float]:
    return (
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    )


def by_three_of_six(axis: Sequence[float], angle: float, vector: Sequence[float]) -> list[float]:
    """cos·v + sin·(a × v) + (1 - cos)·a·(a·v), with an a that is shorter than 1."""
    (a, b, c), (x, y, z) = axis, vector
    along = a * x + b * y + c * z
    cross = (b * z - c * y, c * x - a * z, a * y - b * x)
    return [
        math.cos(angle) * value + math.sin(angle) * crossed + (1 - math.cos(angle)) * part * along
        for value, crossed, part in zip(vector, cross, axis, strict=True)
    ]


def reversed_in_time(window: Window, _seed: int, _preset: str) -> Window:
    out = window.copy()
    for time in range(window.shape[-1]):
        out[..., time] = window[..., window.shape[-1] - 1 - time]
    return out


def permuted(window: Window, seed: int, preset: str) -> Window:
    samples = window.shape[-1]
    cuts: list[int] = []
    for number, draw in enumerate(uniforms(seed, purpose("permute"), 4)):
        greatest = samples - 1 if preset == "paper" else samples - 4 + number
        pick = 1 + int(draw * greatest)
        cuts.append(greatest if preset == "repo" and pick in cuts else pick)
    edges = [0, *sorted(cuts), samples]
    segments = [list(range(edges[number], edges[number + 1])) for number in range(5)]
    keys = uniforms(seed, purpose("permute") + 1, 5)
    order = sorted(range(5), key=lambda number: keys[number])
    return window[..., [time for number in order for time in segments[number]]]


def warped(window: Window, seed: int, preset: str) -> Window:
    slots, channels, samples = window.shape
    out = window.copy()
    for slot in range(slots):
        for channel in range(channels):
            if preset == "paper":
                draw = normals(seed, purpose("warp"), slots, channels, 6)[slot, channel]
            else:
                choice = int(uniforms(seed, purpose("warp") + 1, slots, channels)[slot, channel] * 150)
                draw = normals(choice, purpose("warp"), 6)
            speed = not_a_knot([1 + 0.2 * value for value in draw], samples)
            passed = [0.0]
            for time in range(1, samples):
                passed.append(passed[-1] + speed[time])
            places = [value * (samples - 1) / passed[-1] for value in passed]
            out[slot, channel] = np.interp(places, np.arange(samples), window[slot, channel])
    return out


def not_a_knot(values: Sequence[float], samples: int) -> list[float]:
    """The cubic spline through evenly spaced values, from the linear system that defines it, at every sample."""
    pieces, width = len(values) - 1, (samples - 1) / (len(values) - 1)
    rows, right = [], []

    def add(result: float, *terms: tuple[int, Sequence[float]]) -> None:
        row = np.zeros(4 * pieces)
        for piece, factors in terms:
            row[4 * piece : 4 * piece + 4] = factors
        rows.append(row)
        right.append(result)

    h = width
    for piece in range(pieces):
        add(values[piece], (piece, (1, 0, 0, 0)))
        add(values[piece + 1], (piece, (1, h, h**2, h**3)))
    for piece in range(pieces - 1):
        add(0.0, (piece, (0, 1, 2 * h, 3 * h**2)), (piece + 1, (0, -1, 0, 0)))
        add(0.0, (piece, (0, 0, 2, 6 * h)), (piece + 1, (0, 0, -2, 0)))
    for piece in (0, pieces - 2):
        add(0.0, (piece, (0, 0, 0, 1)), (piece + 1, (0, 0, 0, -1)))
    factors = np.linalg.solve(np.array(rows), np.array(right)).reshape(pieces, 4)
    found = []
    for time in range(samples):
        piece = min(int(time / width), pieces - 1)
        x = time - piece * width
        found.append(sum(factors[piece, power] * x**power for power in range(4)))
    return found


def shuffled(window: Window, seed: int, _preset: str) -> Window:
    slots = window.shape[0]
    out = window.copy()
    for slot in range(slots):
        there = [
            channel
            for first in (0, 3)
            if np.any(window[slot, first : first + 3] != 0)
            for channel in range(first, first + 3)
        ]
        orders = list(permutations(there))[1:]
        if orders:
            order = orders[int(uniforms(seed, purpose("shuffle"), slots)[slot] * len(orders))]
            for target, source in zip(there, order, strict=True):
                out[slot, target] = window[slot, source]
    return out
