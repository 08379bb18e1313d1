"""Simulate a recording as an `mne.io.Raw`, with its truth."""

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import mne
import numpy as np

from meegic.base.checks import check_count, check_known, check_option, check_range
from meegic.base.errors import OptionError
from meegic.base.record import draw_seed
from meegic.simulation.artifacts import simulate_pops
from meegic.simulation.edge.head import LAYOUTS, make_head
from meegic.simulation.edge.parts import (
    N_EVOKED,
    Source,
    make_artifacts,
    make_brain,
    make_stream,
)
from meegic.simulation.sources import Clock, shape_noise
from meegic.simulation.truth import RecordingTruth

ARTIFACTS = ("blink", "saccade", "ecg", "muscle", "line", "pop")

MAX_SOURCES = 64
"""More sources than that are not simulated, however many sensors there are."""

MAX_BYTES = 16 * 2**30
"""More memory than that is not asked for."""

# In V, T and T/m: white noise density (per root Hz), height of an electrode pop, RMS
# of a channel that records nothing else.
NOISE_DENSITY = {"eeg": 0.05e-6, "mag": 3e-15, "grad": 0.3e-12}
POP_HEIGHT = {"eeg": 200e-6, "mag": 10e-12, "grad": 100e-12}
BAD_RMS = {"eeg": 40e-6, "mag": 2e-12, "grad": 30e-12}

AUXILIARY = {
    "eye blink": ("VEOG", "eog", 250e-6, 10e-6),
    "eye movement": ("HEOG", "eog", 120e-6, 10e-6),
    "heart beat": ("ECG", "ecg", 1e-3, 30e-6),
}
"""Channel beside the data of a kind of source: name, type, height, noise in V."""


class _AtSensors(NamedTuple):
    """What happens at the sensors only."""

    data: np.ndarray
    bad: tuple[str, ...]
    pop_spans: np.ndarray
    pop_channels: tuple[str, ...]
    noise_std: np.ndarray


def simulate_recording(
    layout: str = "eeg32",
    *,
    duration_s: float = 120.0,
    sfreq: float = 250.0,
    n_models: int = 1,
    artifacts: Sequence[str] = ARTIFACTS,
    n_bad_channels: int = 1,
    line_freq_hz: float = 50.0,
    random_state: int | None = 0,
) -> tuple[mne.io.RawArray, RecordingTruth]:
    """Simulate an EEG or MEG recording whose truth is known.

    Cortical patches with a 1/f background, alpha and beta rhythms and evoked
    responses, and the artifacts that real recordings have, are projected through a
    spherical head model; the sensors add noise, electrode pops and bad channels.

    Parameters
    ----------
    layout : str
        ``'eeg19'``, ``'eeg32'``, ``'eeg64'`` (against linked mastoids),
        ``'neuromag306'``, ``'ctf151'`` or ``'ctf275'``.
    duration_s : float
        Length in s, at least 5.
    sfreq : float
        Sampling rate in Hz, at least 100.
    n_models : int
        How many mixing conditions alternate, each in two blocks; with more than one
        the cortical patches lie elsewhere in each.
    artifacts : sequence of str
        Which of ``'blink'``, ``'saccade'``, ``'ecg'``, ``'muscle'``, ``'line'`` and
        ``'pop'`` to add. The first three bring a channel VEOG, HEOG or ECG.
    n_bad_channels : int
        How many channels record nothing but noise. They are not marked: finding
        them is the task.
    line_freq_hz : float
        Frequency of the mains in Hz.
    random_state : int | None
        The seed; ``None`` draws one. It is in ``truth.seed``.

    Returns
    -------
    raw : mne.io.RawArray
        The recording, with the stimuli as annotations.
    truth : RecordingTruth
        What it is made of.

    Examples
    --------
    >>> raw, truth = simulate_recording("eeg19", duration_s=5, random_state=1)
    >>> len(raw.ch_names), truth.mixing.shape
    (22, (1, 19, 18))
    """
    check_option("layout", layout, LAYOUTS)
    check_range("duration_s", duration_s, low=5, high=1e5, unit="s")
    check_range("sfreq", sfreq, low=100, high=1e5, unit="Hz")
    check_count("n_models", n_models, high=10)
    check_known("artifact", artifacts, ARTIFACTS)
    n_channels = make_head(layout).info["nchan"]
    check_count("n_bad_channels", n_bad_channels, low=0, high=n_channels // 4)
    if "line" in artifacts:
        check_range(
            "line_freq_hz",
            line_freq_hz,
            low=1,
            high=sfreq / 2,
            open_high=True,
            unit="Hz",
            hint=f"sfreq is {sfreq:g} Hz: raise it, or leave out 'line'.",
        )
    seed = draw_seed(random_state)
    clock = Clock(round(duration_s * sfreq), float(sfreq))
    _check_size(n_channels, clock)

    found = make_artifacts(
        layout,
        artifacts,
        n_models=n_models,
        line_freq_hz=line_freq_hz,
        clock=clock,
        seed=seed,
    )
    events = _draw_events(clock, make_stream(seed, "events"))
    brain = make_brain(
        layout,
        min(n_channels - n_bad_channels, MAX_SOURCES) - len(found),
        n_models=n_models,
        events=events,
        clock=clock,
        seed=seed,
    )
    sensors = _draw_sensors(layout, "pop" in artifacts, n_bad_channels, clock, seed)
    truth = _assemble(layout, [*brain, *found], events, sensors, clock, seed)
    return _make_raw(layout, truth, sensors, found), truth


def _check_size(n_channels: int, clock: Clock) -> None:
    """Refuse what no common machine can hold, before anything is computed."""
    n_bytes = 8 * clock.n_times * (3 * n_channels + 2 * min(n_channels, MAX_SOURCES))
    if n_bytes > MAX_BYTES:
        raise OptionError(
            f"{n_channels} channels of {clock.duration:g} s at {clock.sfreq:g} Hz "
            f"need about {n_bytes >> 30} GiB, and {MAX_BYTES >> 30} GiB are allowed.",
            hint="Lower duration_s or sfreq.",
        )


def _draw_events(clock: Clock, rng: np.random.Generator) -> np.ndarray:
    """Stimuli every 1.0 to 1.6 s, the last early enough for its whole response."""
    count = int(clock.duration) + 1
    onsets = 0.5 + np.cumsum(rng.uniform(1.0, 1.6, size=count))
    return np.round(onsets[onsets < clock.duration - 0.8] * clock.sfreq).astype(int)


def _draw_sensors(
    layout: str, with_pops: bool, n_bad: int, clock: Clock, seed: int
) -> _AtSensors:
    info = make_head(layout).info
    names, types = info["ch_names"], info.get_channel_types()
    noise_std = _per_channel(NOISE_DENSITY, types) * np.sqrt(clock.sfreq / 2)
    noise = make_stream(seed, "noise").standard_normal((len(names), clock.n_times))
    data = noise_std[:, None] * noise

    rng = make_stream(seed, "bad")
    bad = np.sort(rng.choice(len(names), size=n_bad, replace=False))
    for index in bad:
        slow = shape_noise(lambda f: 1 / np.maximum(f, 0.2), clock, rng)
        white = rng.standard_normal(clock.n_times)
        data[index] = BAD_RMS[types[index]] * (0.6 * slow + 0.8 * white)

    pop_spans, popped = np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.int64)
    if with_pops:
        good = np.setdiff1d(np.arange(len(names)), bad)
        rng = make_stream(seed, "pop")
        course, pop_spans, channels = simulate_pops(len(good), clock, rng)
        data[good] += _per_channel(POP_HEIGHT, types)[good, None] * course
        popped = good[channels]
    return _AtSensors(
        data,
        tuple(names[index] for index in bad),
        pop_spans,
        tuple(names[index] for index in popped),
        noise_std,
    )


def _assemble(
    layout: str,
    sources: list[Source],
    events: np.ndarray,
    sensors: _AtSensors,
    clock: Clock,
    seed: int,
) -> RecordingTruth:
    courses = np.array([one.course for one in sources])
    rms = np.sqrt(np.mean(courses**2, axis=1))
    fields = np.stack([one.fields for one in sources], axis=2)
    n_models = len(fields)
    n_blocks = 1 if n_models == 1 else 2 * n_models
    spans = [(one.kind, "", span) for one in sources for span in one.spans]
    pops = zip(sensors.pop_channels, sensors.pop_spans, strict=True)
    spans += [("channel noise", channel, span) for channel, span in pops]
    spans.sort(key=lambda one: (one[2][0], one[0], one[1]))
    return RecordingTruth(
        ch_names=tuple(make_head(layout).info["ch_names"]),
        sfreq=clock.sfreq,
        seed=seed,
        kinds=tuple(one.kind for one in sources),
        mixing=fields * rms,
        sources=courses / rms[:, None],
        moments=np.array([one.moment for one in sources]) * rms,
        positions=np.stack([one.positions for one in sources], axis=1),
        orientations=np.stack([one.orientations for one in sources], axis=1),
        evoked=np.arange(N_EVOKED),
        event_samples=events,
        block_starts=np.arange(n_blocks) * clock.n_times // n_blocks,
        block_models=np.arange(n_blocks) % n_models,
        span_kinds=tuple(kind for kind, _, _ in spans),
        span_samples=np.array([span for *_, span in spans], dtype=int).reshape(-1, 2),
        span_channels=tuple(channel for _, channel, _ in spans),
        bad_channels=sensors.bad,
        noise_std=sensors.noise_std,
    )


def _make_raw(
    layout: str, truth: RecordingTruth, sensors: _AtSensors, found: list[Source]
) -> mne.io.RawArray:
    sensor_info = make_head(layout).info
    data = truth.project(*set(truth.kinds)) + sensors.data
    bad = np.isin(truth.ch_names, truth.bad_channels)
    data[bad] = sensors.data[bad]

    auxiliary = [one for one in found if one.kind in AUXILIARY]
    rows, names, types = [], [], []
    for source in auxiliary:
        name, kind, height, noise = AUXILIARY[source.kind]
        rng = make_stream(truth.seed, name)
        rows.append(height * source.course + noise * rng.standard_normal(data.shape[1]))
        names.append(name)
        types.append(kind)
    info = mne.create_info(
        [*truth.ch_names, *names],
        truth.sfreq,
        [*sensor_info.get_channel_types(), *types],
    )
    raw = mne.io.RawArray(np.vstack([data, *rows]), info, verbose="error")
    _place_sensors(raw, sensor_info)
    onsets = truth.event_samples / truth.sfreq
    raw.set_annotations(mne.Annotations(onsets, 0.0, "stimulus"))
    return raw


def _place_sensors(raw: mne.io.RawArray, sensor_info: mne.Info) -> None:
    """Copy what the head model knows of the sensors."""
    for here, there in zip(raw.info["chs"], sensor_info["chs"], strict=False):
        for key in ("loc", "coil_type", "coord_frame", "unit"):
            here[key] = deepcopy(there[key])
    if sensor_info["dig"] is not None:
        raw.info.set_montage(sensor_info.get_montage(), on_missing="ignore")
    raw.info["dev_head_t"] = deepcopy(sensor_info["dev_head_t"])


def _per_channel(table: dict[str, float], types: Sequence[str]) -> np.ndarray:
    return np.array([table[one] for one in types])
