"""Realistic data for plots, the same each time."""

from __future__ import annotations

import numpy as np

from widgets.step_history import StepHistory

BINS = 64


def power_histogram(values):
    """Edges and counts of BINS bins 2**k wide that begin at a multiple of it."""
    low, high = float(values.min()), float(values.max())
    exponent = int(np.frexp((high - low) / (BINS - 1))[1])
    first = np.floor(np.ldexp(low, -exponent))
    edges = np.ldexp(first + np.arange(BINS + 1), exponent)
    return edges, np.histogram(values, edges)[0]


def octave_histogram(values):
    """Edges and counts of BINS octaves."""
    top = int(np.frexp(np.abs(values).max())[1])
    sizes = np.ldexp(1.0, np.arange(top - BINS // 2 + 1, top + 1))
    edges = np.concatenate([-sizes[::-1], [0.0], sizes])
    return edges, np.histogram(values, edges)[0]


def history(count=300, *, octaves=False, gap=(120, 160), bound=1024, trouble=True, start=0):
    """Activations that narrow, drift and once explode, with a gap and some NaN."""
    random = np.random.default_rng(5)
    steps = [s for s in range(start, start + count) if not gap[0] <= s < gap[1]]
    columns = []
    for step in steps:
        share = step / max(1, start + count)
        values = random.normal(0.6 * share, 1.6 * np.exp(-2 * share) + 0.05, 2048)
        values[:200] = random.normal(-1.2 + share, 0.05, 200)
        if trouble and 210 <= step < 214:
            values *= 1_000
        columns.append((octave_histogram if octaves else power_histogram)(values))
    made = StepHistory(bound)
    numbers = np.array(steps)
    bad = trouble & (numbers >= 210) & (numbers < 222)
    made.set(
        numbers,
        np.array([edges for edges, _ in columns]),
        np.array([counts for _, counts in columns]),
        np.where(bad, 7, 0),
        np.where(bad & (numbers % 3 == 0), 2, 0),
    )
    return made


def gradients(layers, steps=12):
    """Mean and largest magnitudes (steps, layers) that shrink towards the first layer."""
    random = np.random.default_rng(3)
    depth = np.arange(layers) / layers
    mean = 10 ** (-4.5 + 2.2 * depth + random.normal(0, 0.2, (steps, layers)))
    return mean, mean * 10 ** (1.2 + random.normal(0, 0.15, (steps, layers)))


def losses(count=20_000):
    """A noisy falling loss with some NaN, a sparse one, and one with a gap: steps and values."""
    random = np.random.default_rng(1)
    steps = np.arange(count)
    clean = 2.4 * np.exp(-steps * 4 / count) + 0.3
    noisy = clean + random.normal(0, 0.08, count)
    noisy[count // 3 : count // 3 + count // 100] = np.nan
    sparse = steps[:: count // 25]
    measured = steps[(steps < 0.55 * count) | (steps > 0.65 * count)]
    norms = np.abs(random.normal(0, 0.3, len(measured))) + 0.2
    return [(steps, noisy), (sparse, clean[sparse] + 0.15), (measured, norms)]
