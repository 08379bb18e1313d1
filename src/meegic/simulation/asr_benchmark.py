"""A recording with known artifacts, for measuring what removes them.

Brain activity of many sources is the truth; blinks, muscle bursts, electrode pops and
movements are added to it, each with its own mask, after a lead that is clean.
"""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import butter, sosfiltfilt
from scipy.signal.windows import hann

from meegic.base.checks import check_range, check_shape
from meegic.base.errors import InputError
from meegic.simulation.sources import Clock, shape_noise

KINDS = ("blink", "muscle", "pop", "move")
"""Kinds of artifacts, in the order of the masks."""

_SHARES = (0.45, 0.25, 0.15, 0.15)
_UNIT_V = 1e-6
_EDGE_S = 1.0


@dataclass(frozen=True)
class ArtifactBenchmark:
    """A recording as the sum of truth and artifact.

    Attributes
    ----------
    truth, artifact : array, shape (n_channels, n_times)
        Brain activity and what was added to it, in V.
    mask, mask_wide : array of bool, shape (n_times,)
        Where there is an artifact, and a quarter of a second around that.
    masks : array of bool, shape (n_kinds, n_times)
        Where there is one of each of `KINDS`.
    positions : array, shape (n_channels, 3)
        Sensors, as unit vectors.
    sfreq : float
        Sampling rate in Hz.
    """

    truth: Float[np.ndarray, "channels times"]
    artifact: Float[np.ndarray, "channels times"]
    mask: Bool[np.ndarray, " times"]
    mask_wide: Bool[np.ndarray, " times"]
    masks: Bool[np.ndarray, "kinds times"]
    positions: Float[np.ndarray, "channels 3"]
    sfreq: float

    @property
    def data(self) -> Float[np.ndarray, "channels times"]:
        """The recording in V."""
        return self.truth + self.artifact


@dataclass(frozen=True)
class ArtifactScores:
    """How near to the truth a cleaned recording is.

    Attributes
    ----------
    snr_db : float
        Power of the truth over that of the error where there are artifacts.
    snr_by_kind_db : dict
        The same for each of `KINDS` that occurs.
    rmse_uv : float
        Root of the mean squared error there, in uV.
    clean_error : float
        RMS of the error over that of the truth, away from artifacts.
    """

    snr_db: float
    snr_by_kind_db: dict[str, float]
    rmse_uv: float
    clean_error: float


def simulate_artifacts(
    positions: Float[np.ndarray, "channels 3"],
    *,
    sfreq: float = 500.0,
    duration_s: float = 300.0,
    lead_s: float = 60.0,
    key: int | jax.Array = 0,
) -> ArtifactBenchmark:
    """Simulate a recording with blinks, muscle, pops and movements.

    Parameters
    ----------
    positions : array, shape (n_channels, 3)
        Sensors around the origin, in any unit; x to the right, y to the front.
    sfreq : float
        Sampling rate in Hz.
    duration_s, lead_s : float
        Length of the recording, and of its beginning without artifacts, in s.
    key : int | jax.Array
        Where the randomness comes from.

    Returns
    -------
    ArtifactBenchmark
        Truth, artifact and masks.

    Examples
    --------
    >>> positions = np.random.default_rng(0).standard_normal((8, 3))
    >>> one = simulate_artifacts(positions, sfreq=100.0, duration_s=20.0, lead_s=5.0)
    >>> one.data.shape
    (8, 2000)
    """
    positions = _as_unit_vectors(positions)
    check_range("sfreq", sfreq, low=50.0, unit="Hz")
    check_range("lead_s", lead_s, low=0.0, unit="s")
    check_range("duration_s", duration_s, low=lead_s + 6.0, unit="s")
    rng = np.random.default_rng(_seed(key))
    clock = Clock(round(duration_s * sfreq), sfreq)
    truth = _simulate_brain(positions, clock, rng)
    artifact, masks = _place_artifacts(positions, clock, lead_s, rng)
    high_pass = butter(4, 1.0, "high", fs=sfreq, output="sos")
    mask = np.asarray(masks.any(axis=0))
    around = np.ones(2 * round(0.25 * sfreq) + 1)
    return ArtifactBenchmark(
        truth=_UNIT_V * sosfiltfilt(high_pass, truth),
        artifact=_UNIT_V * sosfiltfilt(high_pass, artifact),
        mask=mask,
        mask_wide=np.convolve(mask, around, mode="same") > 0.5,
        masks=masks,
        positions=positions,
        sfreq=sfreq,
    )


def score_cleaning(
    benchmark: ArtifactBenchmark, cleaned: Float[np.ndarray, "channels times"]
) -> ArtifactScores:
    """Compare a cleaned recording with the truth, without a second at both ends.

    Parameters
    ----------
    benchmark : ArtifactBenchmark
        What was simulated.
    cleaned : array, shape (n_channels, n_times)
        What was made of its data, in V.

    Returns
    -------
    ArtifactScores
        SNR and errors.

    Examples
    --------
    >>> positions = np.random.default_rng(0).standard_normal((8, 3))
    >>> one = simulate_artifacts(positions, sfreq=100.0, duration_s=20.0, lead_s=5.0)
    >>> score_cleaning(one, one.data).snr_db < 0
    True
    """
    truth = benchmark.truth
    check_shape("cleaned", cleaned, truth.shape)
    error = cleaned - truth
    inner = np.zeros(truth.shape[1], bool)
    edge = round(_EDGE_S * benchmark.sfreq)
    inner[edge:-edge] = True
    kinds = zip(KINDS, benchmark.masks & inner, strict=True)
    clean = inner & ~benchmark.mask_wide
    return ArtifactScores(
        snr_db=_snr_db(truth, error, benchmark.mask & inner),
        snr_by_kind_db={
            kind: _snr_db(truth, error, mask) for kind, mask in kinds if mask.any()
        },
        rmse_uv=float(
            np.sqrt((error[:, benchmark.mask & inner] ** 2).mean()) / _UNIT_V
        ),
        clean_error=float(
            np.linalg.norm(error[:, clean]) / np.linalg.norm(truth[:, clean])
        ),
    )


def _simulate_brain(
    positions: np.ndarray, clock: Clock, rng: np.random.Generator
) -> np.ndarray:
    """Sum 1/f sources, every sixth with an alpha rhythm, in uV."""
    total = np.zeros((len(positions), clock.n_times))
    for index in range(2 * len(positions)):
        center = rng.standard_normal(3)
        center[2] = abs(center[2]) - 0.2
        surround = center + 0.9 * rng.standard_normal(3)
        pattern = _topo(positions, center, 0.25) - 0.7 * _topo(positions, surround, 0.3)
        course = shape_noise(lambda f: np.maximum(f, 0.5) ** -0.6, clock, rng)
        if index % 6 == 0:
            course = course + 1.5 * _simulate_alpha(clock, rng)
        total += pattern[:, None] * course
    return 10 * total / total.std() + rng.standard_normal(total.shape)


def _simulate_alpha(clock: Clock, rng: np.random.Generator) -> np.ndarray:
    band = butter(2, [9.0, 11.0], "band", fs=clock.sfreq, output="sos")
    slow = butter(2, 0.3, "low", fs=clock.sfreq, output="sos")
    rhythm = sosfiltfilt(band, rng.standard_normal(clock.n_times))
    envelope = np.abs(sosfiltfilt(slow, rng.standard_normal(clock.n_times)))
    return rhythm / rhythm.std() * envelope / envelope.mean()


def _place_artifacts(
    positions: np.ndarray, clock: Clock, lead_s: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Add one artifact after the other, in uV, and mark where each kind is."""
    artifact = np.zeros((len(positions), clock.n_times))
    masks = np.zeros((len(KINDS), clock.n_times), bool)
    makers = (_make_blink, _make_muscle, _make_pop, _make_movement)
    time_s = lead_s
    while time_s < clock.duration - 3:
        kind = int(rng.choice(len(KINDS), p=_SHARES))
        piece = makers[kind](positions, clock.sfreq, rng)
        start = round(time_s * clock.sfreq)
        span = slice(start, min(start + piece.shape[1], clock.n_times))
        artifact[:, span] += piece[:, : span.stop - start]
        masks[kind, span] = True
        time_s += rng.uniform(1.5, 4.5)
    return artifact, masks


def _make_blink(
    positions: np.ndarray, sfreq: float, rng: np.random.Generator
) -> np.ndarray:
    course = rng.uniform(100, 250) * hann(round(0.4 * sfreq))
    return _topo(positions, np.array([0.0, 1.0, 0.1]), 0.25)[:, None] * course


def _make_muscle(
    positions: np.ndarray, sfreq: float, rng: np.random.Generator
) -> np.ndarray:
    n_times = round(rng.uniform(0.5, 2.0) * sfreq)
    side = np.array([rng.choice([-1.0, 1.0]), 0.3 * rng.standard_normal(), -0.1])
    edges = [20.0, min(150.0, 0.45 * sfreq)]
    band = butter(4, edges, "band", fs=sfreq, output="sos")
    burst = np.zeros((len(positions), n_times))
    for _ in range(3):
        pattern = _topo(positions, side + 0.3 * rng.standard_normal(3), 0.08)
        noise = sosfiltfilt(band, rng.standard_normal(n_times + 200))[100:-100]
        height = rng.uniform(40, 100)
        burst += pattern[:, None] * (height * noise / noise.std() * hann(n_times))
    return burst


def _make_pop(
    positions: np.ndarray, sfreq: float, rng: np.random.Generator
) -> np.ndarray:
    times = np.arange(round(sfreq)) / sfreq
    jump = np.zeros((len(positions), len(times)))
    channel = rng.integers(len(positions))
    jump[channel] = rng.uniform(200, 600) * np.exp(-times / 0.2)
    return jump


def _make_movement(
    positions: np.ndarray, sfreq: float, rng: np.random.Generator
) -> np.ndarray:
    times = np.arange(round(1.5 * sfreq)) / sfreq
    swing = hann(len(times)) * np.sin(2 * np.pi * 1.5 * times)
    pattern = 0.5 * rng.standard_normal(len(positions))
    pattern += _topo(positions, rng.standard_normal(3), 0.5)
    return rng.uniform(150, 400) * pattern[:, None] * swing


def _topo(positions: np.ndarray, center: np.ndarray, width: float) -> np.ndarray:
    """How strongly a source in that direction is seen at each sensor."""
    return np.exp((positions @ (center / np.linalg.norm(center)) - 1) / width)


def _snr_db(truth: np.ndarray, error: np.ndarray, mask: np.ndarray) -> float:
    power = (truth[:, mask] ** 2).mean() / (error[:, mask] ** 2).mean()
    return float(10 * np.log10(power))


def _as_unit_vectors(positions: np.ndarray) -> np.ndarray:
    positions = np.asarray(positions, np.float64)
    check_shape("positions", positions, (None, 3))
    lengths = np.linalg.norm(positions, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise InputError(
            "positions must be finite and away from the origin, but "
            f"{np.flatnonzero(~(lengths[:, 0] > 0)).tolist()} are not.",
            hint="Leave those channels out, or set a montage.",
        )
    return positions / lengths


def _seed(key: int | jax.Array) -> list[int]:
    words = jax.random.key_data(key) if isinstance(key, jax.Array) else key
    return np.ravel(np.asarray(words)).tolist()
