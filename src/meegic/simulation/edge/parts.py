"""The sources of a simulated recording: brain patches and artifacts in a head."""

import zlib
from collections.abc import Callable, Container
from typing import NamedTuple

import numpy as np

from meegic.simulation.artifacts import (
    Activity,
    simulate_blinks,
    simulate_heart,
    simulate_line,
    simulate_muscle,
    simulate_saccades,
)
from meegic.simulation.edge.head import (
    compute_brain_gain,
    compute_field,
    make_head,
    place,
)
from meegic.simulation.placement import (
    CORTEX,
    Patches,
    choose_patches,
    compute_patch_fields,
    shift_patches,
)
from meegic.simulation.sources import (
    Clock,
    simulate_background,
    simulate_evoked,
    simulate_rhythm,
)

BRAIN_MOMENT = 40e-9
"""RMS dipole moment of a patch's background in A m."""

EVOKED_MOMENT = 100e-9
"""Dipole moment of an evoked response at its largest peak in A m."""

N_EVOKED = 3
"""How many patches answer to the stimuli: the most posterior ones."""

LINE_RMS = {"eeg": 2e-6, "mag": 100e-15, "grad": 1e-12}
"""Mains hum at the sensors in V, T and T/m."""


NO_SPANS = np.empty((0, 2), dtype=np.int64)


class Emitter(NamedTuple):
    """An artifact that is a dipole, or two that act together.

    Attributes
    ----------
    artifact : str
        Its name among the options.
    kind : str
        What it is, in the words of ICLabel.
    draw : callable
        Draws its course.
    places : tuple of triples
        Where it is, in units of the head's radius from its centre.
    direction : triple
        Where it points; the length is a factor of its strength.
    moment : float
        Dipole moment in A m when the course is 1.
    """

    artifact: str
    kind: str
    draw: Callable[[Clock, np.random.Generator], Activity]
    places: tuple[tuple[float, float, float], ...]
    direction: tuple[float, float, float]
    moment: float


_EYES = ((-0.33, 0.72, -0.42), (0.33, 0.72, -0.42))
_LEFT_TEMPLE, _RIGHT_TEMPLE = ((-0.88, 0.25, -0.10),), ((0.88, 0.20, -0.14),)
_CHEST = ((0.3, 0.2, -3.9),)

EMITTERS = (
    Emitter("blink", "eye blink", simulate_blinks, _EYES, (0.0, 0.6, 0.8), 0.3e-6),
    Emitter(
        "saccade", "eye movement", simulate_saccades, _EYES, (-1.0, 0.0, 0.0), 0.12e-6
    ),
    Emitter("ecg", "heart beat", simulate_heart, _CHEST, (0.3, -0.3, -0.9), 50e-6),
    Emitter(
        "muscle",
        "muscle artifact",
        simulate_muscle,
        _LEFT_TEMPLE,
        (0.5, 0.3, 0.8),
        0.08e-6,
    ),
    Emitter(
        "muscle",
        "muscle artifact",
        simulate_muscle,
        _RIGHT_TEMPLE,
        (0.6, -0.4, 0.7),
        0.08e-6,
    ),
)


class Source(NamedTuple):
    """One source; its field times its course is what it adds to the data.

    Attributes
    ----------
    kind : str
        What it is, in the words of ICLabel.
    fields : array, shape (n_models, n_channels)
        Its field where its course is 1.
    course : array, shape (n_times,)
        Its time course.
    moment : float
        Its dipole moment in A m where its course is 1; NaN when it is no dipole.
    positions, orientations : array, shape (n_models, 3)
        Where it is, in m, and its direction.
    spans : array of int, shape (n_spans, 2)
        When it was active; empty for what always is.
    """

    kind: str
    fields: np.ndarray
    course: np.ndarray
    moment: float
    positions: np.ndarray
    orientations: np.ndarray
    spans: np.ndarray


def make_stream(seed: int, name: str) -> np.random.Generator:
    """Open the random stream of one part, which no other part disturbs.

    Examples
    --------
    >>> bool(make_stream(0, "blink").random() == make_stream(0, "blink").random())
    True
    """
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def make_brain(
    layout: str,
    n_patches: int,
    *,
    n_models: int,
    events: np.ndarray,
    clock: Clock,
    seed: int,
) -> list[Source]:
    """Make cortical patches; in another condition they lie elsewhere.

    The first patches answer to the events. The farther back a patch lies, the more
    alpha it has, and the nearer to the central sulcus, the more beta.

    Parameters
    ----------
    layout : str
        The sensors.
    n_patches : int
        How many sources.
    n_models : int
        How many mixing conditions.
    events : array of int, shape (n_events,)
        Samples at which stimuli came.
    clock : Clock
        The samples.
    seed : int
        The recording's seed.

    Returns
    -------
    list of Source
        The patches, from back to front.

    Examples
    --------
    >>> clock = Clock(500, 100.0)
    >>> events = np.array([100])
    >>> patches = make_brain(
    ...     "eeg19", 4, n_models=2, events=events, clock=clock, seed=0
    ... )
    >>> patches[0].fields.shape
    (2, 19)
    """
    head = make_head(layout)
    grid, gain = compute_brain_gain(layout)
    depth = np.linalg.norm(grid - head.center, axis=1) / head.radius
    low = grid[:, 2] < head.center[2] - 0.3 * head.radius
    cortex = grid[(depth > CORTEX[0]) & (depth < CORTEX[1]) & ~low]

    first = choose_patches(
        cortex, n_patches, center=head.center, rng=make_stream(seed, "places")
    )
    order = np.argsort(first.positions[:, 1], kind="stable")
    conditions = [Patches(first.positions[order], first.orientations[order])]
    for model in range(1, n_models):
        rng = make_stream(seed, f"places {model}")
        conditions.append(
            shift_patches(conditions[0], cortex, center=head.center, rng=rng)
        )

    fields = np.stack([compute_patch_fields(one, grid, gain) for one in conditions])
    positions = np.stack([one.positions for one in conditions])
    orientations = np.stack([one.orientations for one in conditions])
    courses = _draw_courses(
        positions[0], layout=layout, events=events, clock=clock, seed=seed
    )
    return [
        Source(
            "brain",
            BRAIN_MOMENT * fields[:, :, index],
            course,
            BRAIN_MOMENT,
            positions[:, index],
            orientations[:, index],
            NO_SPANS,
        )
        for index, course in enumerate(courses)
    ]


def make_artifacts(
    layout: str,
    names: Container[str],
    *,
    n_models: int,
    line_freq_hz: float,
    clock: Clock,
    seed: int,
) -> list[Source]:
    """Make the artifacts that have a source: their field is the same in all models.

    Parameters
    ----------
    layout : str
        The sensors.
    names : container of str
        Which of ``'blink'``, ``'saccade'``, ``'ecg'``, ``'muscle'``, ``'line'``.
    n_models : int
        How many mixing conditions.
    line_freq_hz : float
        Frequency of the mains in Hz.
    clock : Clock
        The samples.
    seed : int
        The recording's seed.

    Returns
    -------
    list of Source
        One per artifact; two for muscle, left and right.

    Examples
    --------
    >>> clock = Clock(500, 100.0)
    >>> found = make_artifacts(
    ...     "eeg19", ["muscle"], n_models=1, line_freq_hz=50, clock=clock, seed=0
    ... )
    >>> [one.kind for one in found]
    ['muscle artifact', 'muscle artifact']
    """
    found = [
        _emit(
            one, layout, n_models, clock, make_stream(seed, f"{one.artifact} {index}")
        )
        for index, one in enumerate(EMITTERS)
        if one.artifact in names
    ]
    if "line" in names:
        rng = make_stream(seed, "line")
        course = simulate_line(line_freq_hz, clock, rng)
        found.append(_hum(layout, n_models, course, rng))
    return found


def _draw_courses(
    positions: np.ndarray,
    *,
    layout: str,
    events: np.ndarray,
    clock: Clock,
    seed: int,
) -> np.ndarray:
    head = make_head(layout)
    behind = (head.center[1] - positions[:, 1]) / head.radius
    alpha = 2.0 / (1 + np.exp(-(behind - 0.2) / 0.12))
    beta = 0.3 * np.exp(-((behind / 0.25) ** 2))
    courses = []
    for index in range(len(positions)):
        rng = make_stream(seed, f"course {index}")
        rhythms = simulate_rhythm(rng.normal(10.0, 0.5), clock, rng) * alpha[index]
        rhythms += simulate_rhythm(rng.normal(20.0, 1.0), clock, rng) * beta[index]
        course = simulate_background(clock, rng) + rhythms
        if index < N_EVOKED:
            course += EVOKED_MOMENT / BRAIN_MOMENT * simulate_evoked(events, clock, rng)
        courses.append(course)
    return np.array(courses)


def _emit(
    emitter: Emitter,
    layout: str,
    n_models: int,
    clock: Clock,
    rng: np.random.Generator,
) -> Source:
    places, direction = np.array(emitter.places), np.array(emitter.direction)
    moments = np.tile(emitter.moment * direction, (len(places), 1))
    field = compute_field(layout, places, moments)
    position = place(make_head(layout), places).mean(axis=0)
    length = float(np.linalg.norm(direction))
    course, spans = emitter.draw(clock, rng)
    return Source(
        emitter.kind,
        np.tile(field, (n_models, 1)),
        course,
        emitter.moment * length,
        np.tile(position, (n_models, 1)),
        np.tile(direction / length, (n_models, 1)),
        spans,
    )


def _hum(
    layout: str, n_models: int, course: np.ndarray, rng: np.random.Generator
) -> Source:
    """Mains hum: every lead is an antenna of its own, a helmet lies in one field."""
    head = make_head(layout)
    sizes = np.array([LINE_RMS[one] for one in head.info.get_channel_types()])
    field = sizes * (0.8 + 0.6 * rng.standard_normal(len(sizes)))
    if head.is_meg:
        axes = np.array([one["loc"][9:12] for one in head.info["chs"]])
        field = sizes * (axes @ [0.5, 0.5, 0.7] + 0.1 * rng.standard_normal(len(sizes)))
    nowhere = np.full((n_models, 3), np.nan)
    return Source(
        "line noise",
        np.tile(field, (n_models, 1)),
        course,
        float("nan"),
        nowhere,
        nowhere,
        NO_SPANS,
    )
