"""ICLabel from arrays: three features of every component, and what they say."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from meegic.base.alerts import warn_user
from meegic.base.checks import check_option, check_range, check_shape
from meegic.base.errors import DataWarning, InputError, ShapeError
from meegic.labels.networks import run_network
from meegic.labels.spectral import (
    Stretches,
    compute_autocorrelations,
    compute_psds,
)
from meegic.labels.topomap import compute_topographies

COMPAT = (None, "mne-icalabel")
# The network saw features a little below one in its training.
_SCALE = 0.99
_MAX_BATCH = 16  # components per pass: more take memory, and no less time
_BACKENDS = (None, "onnx", "torch", "pytorch")
# Which part of its largest value a component must vary by, above rounding.
_FLAT = 1e-12
_MIN_SFREQ = 100.0  # Hz
_RESAMPLE = "ICLabel needs the lags of 10 ms: resample the recording to 100 Hz or more."


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class IclabelFeatures:
    """What ICLabel looks at, one row per component.

    Attributes
    ----------
    images : array, shape (n_components, 32, 32)
        Topographies, rows from the back to the front, columns from left to right.
    psds : array, shape (n_components, 100)
        Spectra from 1 to 100 Hz, in decibel relative to the largest.
    autocorrs : array, shape (n_components, 100)
        Autocorrelations at lags of 10 ms to 1 s.
    """

    images: Float[np.ndarray, "components 32 32"]
    psds: Float[np.ndarray, "components 100"]
    autocorrs: Float[np.ndarray, "components 100"]

    def to_last_axis(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Put components last, as mne-icalabel has them: (32, 32, 1, n) and so on."""
        images = np.moveaxis(self.images, 0, -1)[:, :, None]
        psds, autocorrs = self.psds.T[None, :, None], self.autocorrs.T[None, :, None]
        return images, psds, autocorrs


def scale_unmixing(
    unmixing: np.ndarray,
    mixing: np.ndarray,
) -> Float[np.ndarray, "components channels"]:
    """Scale an unmixing matrix so that activations are in RMS microvolt.

    Each activation is then as large as its share of the data is on average over
    channels, whatever the scale of the decomposition.

    Parameters
    ----------
    unmixing : array, shape (n_components, n_channels)
        Takes data in volt to activations of any unit.
    mixing : array, shape (n_channels, n_components)
        Takes these activations to volt.

    Returns
    -------
    array, shape (n_components, n_channels)
        Takes data in volt to activations in RMS microvolt.

    Examples
    --------
    >>> unmixing = np.array([[0.5, 0.5]])
    >>> scale_unmixing(unmixing, np.ones((2, 1))) @ np.array([[1e-6], [3e-6]])
    array([[2.]])
    """
    rms = np.sqrt(np.mean(np.square(mixing), axis=0))
    return 1e6 * rms[:, None] * unmixing


def compute_features(
    activations_uv: np.ndarray,
    mixing: np.ndarray,
    positions: np.ndarray,
    sfreq: float,
    *,
    stretches: Stretches | None = None,
    weights: np.ndarray | None = None,
    compat: str | None = None,
) -> IclabelFeatures:
    """Compute what ICLabel looks at.

    Parameters
    ----------
    activations_uv : array, shape (n_components, n_times) or with epochs in between
        Activations in microvolt. The spectra depend on their scale: see
        :func:`scale_unmixing`.
    mixing : array, shape (n_channels, n_components)
        The components' weights on the EEG channels, in any unit.
    positions : array, shape (n_channels, 3)
        Electrodes in head coordinates: x to the right, y to the front, z up.
    sfreq : float
        Sampling frequency in Hz, at least 100.
    stretches : sequence of (int, int) | None
        Which times of a recording are good: of each stretch the first and the one
        after it. ``None`` uses all.
    weights : array, shape (n_times,) or (n_epochs, n_times) | None
        How much every sample counts, for one of several models. ``None`` is the same
        for all.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'`` gives the numbers of that package where they differ: for
        electrodes far below the equator, and for less than 1 s of data.

    Returns
    -------
    IclabelFeatures
        The features in float32, as the network takes them.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> positions, mixing = rng.standard_normal((8, 3)), rng.standard_normal((8, 2))
    >>> activations_uv = rng.standard_normal((2, 1000))
    >>> compute_features(activations_uv, mixing, positions, 128.0).psds.shape
    (2, 100)
    """
    check_option("compat", compat, COMPAT)
    check_range("sfreq", sfreq, low=_MIN_SFREQ, unit="Hz", hint=_RESAMPLE)
    activations_uv = np.asarray(activations_uv)
    images = compute_topographies(mixing, positions, squeeze_again=compat is not None)
    _check_shapes(activations_uv, len(images), stretches, weights)
    if compat is None or stretches is not None:
        _refuse_short(activations_uv.shape[-1], sfreq, stretches)
    _refuse_unusable(activations_uv, stretches)
    psds = compute_psds(activations_uv, sfreq, stretches=stretches, weights=weights)
    autocorrs = compute_autocorrelations(
        activations_uv, sfreq, stretches=stretches, weights=weights
    )
    return IclabelFeatures(_shrink(images), _shrink(psds), _shrink(autocorrs))


def compute_probabilities(
    features: IclabelFeatures, *, model_path: Path | str | None = None
) -> Float[np.ndarray, "components 7"]:
    """Ask ICLabel what components are.

    Every component is shown four times: as it is, negated, mirrored, and both.

    Parameters
    ----------
    features : IclabelFeatures
        What :func:`compute_features` made.
    model_path : path | None
        Other weights for the same network, as an ONNX file.

    Returns
    -------
    array, shape (n_components, 7)
        Probabilities in float32, in the order of ``get_vocabulary("iclabel").classes``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shapes = (3, 32, 32), (3, 100), (3, 100)
    >>> features = IclabelFeatures(*(rng.uniform(-1, 1, one) for one in shapes))
    >>> compute_probabilities(features).shape
    (3, 7)
    """
    results = []
    for start in range(0, len(features.images), _MAX_BATCH):
        some = slice(start, start + _MAX_BATCH)
        images, psds, autocorrs = (
            one[some] for one in (features.images, features.psds, features.autocorrs)
        )
        mirrored = images[:, :, ::-1]
        four = np.concatenate([images, -images, mirrored, -mirrored])
        inputs = {
            "topo": four[:, None],
            "psds": np.tile(psds, (4, 1))[:, None, None],
            "autocorr": np.tile(autocorrs, (4, 1))[:, None, None],
        }
        results.append(run_network("iclabel", inputs, model_path=model_path))
    return np.concatenate(results)


def run_iclabel(
    images: np.ndarray,
    psds: np.ndarray,
    autocorr: np.ndarray,
    backend: str | None = None,
) -> np.ndarray:
    """Run ICLabel on features in the shapes of mne-icalabel.

    Parameters
    ----------
    images : array, shape (32, 32, 1, n_components) or (n_components, 1, 32, 32)
        Topographies.
    psds : array, shape (1, 100, 1, n_components) or (n_components, 1, 1, 100)
        Spectra.
    autocorr : array, shape (1, 100, 1, n_components) or (n_components, 1, 1, 100)
        Autocorrelations. All three have the components at the same end.
    backend : None | 'onnx'
        The runtime is onnxruntime, whatever is asked for; ``'torch'`` and
        ``'pytorch'`` say so in a warning.

    Returns
    -------
    array, shape (n_components, 7)
        Probabilities in float32: brain, muscle artifact, eye blink, heart beat, line
        noise, channel noise, other.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shapes = (32, 32, 1, 5), (1, 100, 1, 5), (1, 100, 1, 5)
    >>> run_iclabel(*(rng.uniform(-1, 1, one) for one in shapes)).shape
    (5, 7)
    """
    check_option("backend", backend, _BACKENDS)
    if backend in ("torch", "pytorch"):
        warn_user(
            f"backend {backend!r} is not used: onnxruntime runs the network and agrees "
            "to 3e-7. Pass backend=None.",
            DataWarning,
        )
    images, psds, autocorr = map(np.asarray, (images, psds, autocorr))
    last = images.shape[2:3] == (1,)
    n = images.shape[-1 if last else 0] if images.ndim == 4 else None
    check_shape("images", images, (32, 32, 1, n) if last else (n, 1, 32, 32))
    for name, one in (("psds", psds), ("autocorr", autocorr)):
        check_shape(name, one, (1, 100, 1, n) if last else (n, 1, 1, 100))
    if last:
        images, psds, autocorr = (
            np.moveaxis(one, -1, 0) for one in (images, psds, autocorr)
        )
    features = (images.reshape(-1, 32, 32), psds.reshape(-1, 100))
    return compute_probabilities(IclabelFeatures(*features, autocorr.reshape(-1, 100)))


def _shrink(values: np.ndarray) -> np.ndarray:
    return np.float32(_SCALE) * values.astype(np.float32)


def _check_shapes(
    activations: np.ndarray,
    n_components: int,
    stretches: Stretches | None,
    weights: np.ndarray | None,
) -> None:
    if activations.ndim not in (2, 3) or len(activations) != n_components:
        raise ShapeError(
            "activations_uv must be components by times, or by epochs by times, one "
            f"for each of the {n_components} columns of mixing, but have shape "
            f"{activations.shape}."
        )
    if stretches is not None:
        n_times = activations.shape[-1]
        inside = all(0 <= start < stop <= n_times for start, stop in stretches)
        if activations.ndim != 2 or not stretches or not inside:
            raise InputError(
                "stretches must be pairs of a first time and the one after the last, "
                f"inside a recording of {n_times} times, but got {stretches!r}."
            )
    if weights is not None:
        check_shape("weights", weights, activations.shape[1:])
        if not (np.isfinite(weights) & (weights >= 0)).all():
            raise InputError("weights must be finite and not negative, but are not.")


def _refuse_short(n_times: int, sfreq: float, stretches: Stretches | None) -> None:
    longest = max(stop - start for start, stop in stretches or [(0, n_times)])
    if longest < int(sfreq):
        raise InputError(
            "ICLabel needs at least 1 s without a gap, but the longest piece has "
            f"{longest} times, {longest / sfreq:g} s.",
            hint="Pass longer epochs, or mark less of the recording as bad.",
        )


def _refuse_unusable(activations: np.ndarray, stretches: Stretches | None) -> None:
    """Name the components that are not finite, or flat, where they are used."""
    axes = tuple(range(1, activations.ndim))
    pieces = [activations[..., slice(*one)] for one in stretches or [(None, None)]]
    low = np.min([one.min(axis=axes) for one in pieces], axis=0)
    high = np.max([one.max(axis=axes) for one in pieces], axis=0)
    bad = np.flatnonzero(~np.isfinite(low) | ~np.isfinite(high))
    if bad.size:
        raise InputError(
            f"Components {bad.tolist()} contain NaN or Inf.",
            hint="Mark those times as bad, or leave out the channels they come from.",
        )
    largest = np.maximum(np.abs(low), np.abs(high))
    flat = np.flatnonzero(high - low <= _FLAT * largest)
    if flat.size:
        raise InputError(
            f"Components {flat.tolist()} are flat: they have no spectrum and no label.",
            hint="Leave them out of the decomposition.",
        )
