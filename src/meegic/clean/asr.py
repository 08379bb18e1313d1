r"""Artifact subspace reconstruction of a whole recording.

The result does not depend on how much memory there is, nor on the unit of the data:
windows lie on a grid from the first sample, and each is processed by one kernel that
streaming uses too.

The removed part of clean data :math:`x` is lost. With :math:`R` the reconstruction and
:math:`\Sigma` the covariance of clean data the error is :math:`-(I - R) x`, of
covariance :math:`(I - R) \Sigma (I - R)^\top`: what the report gives.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float, Int

from meegic.base.arrays import Array, keep_kind, precise
from meegic.base.checks import check_count, check_data, check_finite
from meegic.base.errors import InputError, ShapeError
from meegic.clean.asr_kernel import Plan, Step, advance, begin, conclude
from meegic.clean.asr_plan import (
    ASROptions,
    make_plan,
    start_filter,
    warn_of_loss,
)
from meegic.clean.asr_state import ASRState
from meegic.clean.asr_stream import (
    continue_end,
    finish_samples,
    open_position,
    push_samples,
)
from meegic.math.iir import balance_sos, filter_forward

# How much is filtered at once; the result is the same bits for any length.
_PIECE = 2**14


@dataclass(frozen=True)
class ReconstructionReport:
    """What artifact subspace reconstruction did, and what that cost.

    Attributes
    ----------
    samples : array of int, shape (n_updates,)
        At which sample the reconstruction of each window applies in full; between
        two of them it goes over along a raised cosine.
    n_removed : array, shape (n_updates,)
        How many dimensions each window lost; parts of them where the cutoff is soft.
    repairs : array, shape (n_repairs, n_channels, n_channels)
        Reconstruction minus identity of the windows that lost any.
    raw_covariance : array, shape (n_channels, n_channels)
        Of clean data, not shaped.
    """

    samples: Int[np.ndarray, " updates"]
    n_removed: Float[np.ndarray, " updates"]
    repairs: Float[np.ndarray, "repairs channels channels"]
    raw_covariance: Float[np.ndarray, "channels channels"]

    def reconstruction(self, sample: int) -> Float[np.ndarray, "channels channels"]:
        """Compute the matrix by which a sample was multiplied.

        Parameters
        ----------
        sample : int
            Which sample.

        Returns
        -------
        array, shape (n_channels, n_channels)
            The identity where nothing was removed.
        """
        check_count("sample", sample, low=0, high=int(self.samples[-1]))
        after = int(np.searchsorted(self.samples, sample))
        end = self.samples[after]
        begin = self.samples[after - 1] if after else end - self._first_step
        share = (1 - np.cos(np.pi * (sample - begin) / (end - begin))) / 2
        mixed = share * self._repair(after) + (1 - share) * self._repair(after - 1)
        return np.eye(len(self.raw_covariance)) + mixed

    def covariance(self, sample: int) -> Float[np.ndarray, "channels channels"]:
        """Compute the covariance of what is lost at a sample.

        Kept directions count as free of artifacts, and neighbouring samples as
        independent.

        Parameters
        ----------
        sample : int
            Which sample.

        Returns
        -------
        array, shape (n_channels, n_channels)
            In the squared unit of the data; zero where nothing was removed.
        """
        change = self.reconstruction(sample) - np.eye(len(self.raw_covariance))
        lost = change @ self.raw_covariance @ change.T
        return (lost + lost.T) / 2

    @property
    def _first_step(self) -> int:
        gaps = np.diff(self.samples)
        return int(gaps[0]) if len(gaps) else int(self.samples[0]) + 1

    def _repair(self, update: int) -> np.ndarray:
        if update < 0 or self.n_removed[update] == 0:
            return np.zeros_like(self.raw_covariance)
        return self.repairs[(self.n_removed[:update] != 0).sum()]


@keep_kind
def apply_asr(
    data: Array,
    state: ASRState,
    window_size: int = 100,
    step_size: int = 50,
    *,
    max_dims: float = 0.66,
    soft: float | None = None,
    initial: str = "calibration",
) -> Float[Array, "channels times"]:
    """Replace what is unusually large by what the rest of the channels predicts.

    Every sample is given out, without delay. Computed in float64. It can be
    differentiated in the data, and with ``soft`` in the cutoff.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, with the channels, rate and unit of the calibration.
    state : ASRState
        What :func:`calibrate_asr` found.
    window_size, step_size : int
        Samples in a window, and between two of them; half a second and half of that
        are usual. A window shorter than 1.5 times the channels is lengthened.
    max_dims : float
        Largest fraction of dimensions that a window may lose.
    soft : float | None
        Width of a soft cutoff in units of log power; None cuts hard.
    initial : 'calibration' | 'zero'
        Where the shaping filter starts from; 'zero' after a boundary.

    Returns
    -------
    array, shape (n_channels, n_times)
        The cleaned recording, in the kind and precision of the data.

    Examples
    --------
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> data = np.random.default_rng(0).standard_normal((4, 3000))
    >>> state = calibrate_asr(data, cutoff=20.0)
    >>> data[0, 1000:1200] += 500.0
    >>> bool(abs(apply_asr(data, state)).max() < 20)
    True
    """
    options = ASROptions(window_size, step_size, max_dims, soft, initial)
    leaves = jax.tree.leaves((data, state))
    if any(isinstance(one, Tracer) for one in leaves):
        with precise():
            return _clean_traced(data, state, options).astype(data.dtype)
    values, plan = _take(data, state), make_plan(state, options)
    cleaned = np.empty(values.shape, data.dtype)
    done = 0
    for step in _run(plan, state, options, values):
        stop = done + step.cleaned.shape[1]
        cleaned[:, done:stop] = step.cleaned
        done = stop
    return cleaned if isinstance(data, np.ndarray) else jnp.asarray(cleaned)


def apply_reported_asr(
    data: Array, state: ASRState, *, options: ASROptions | None = None
) -> tuple[Float[np.ndarray, "channels times"], ReconstructionReport]:
    """Clean a recording, and say what was removed and what is uncertain.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, with the channels, rate and unit of the calibration.
    state : ASRState
        What :func:`calibrate_asr` found.
    options : ASROptions | None
        Window, step and the like.

    Returns
    -------
    cleaned : array, shape (n_channels, n_times)
        The cleaned recording, in float64.
    report : ReconstructionReport
        Reconstructions and the covariance of what is lost.

    Examples
    --------
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> data = np.random.default_rng(0).standard_normal((4, 3000))
    >>> state = calibrate_asr(data, cutoff=20.0)
    >>> data[0, 1000:1200] += 500.0
    >>> apply_reported_asr(data, state)[1].n_removed.max().item()
    1.0
    """
    options = options or ASROptions()
    values, plan = _take(data, state), make_plan(state, options)
    cleaned, samples, n_removed, repairs = [], [], [], []
    end = -plan.n_ahead - 1
    for step in _run(plan, state, options, values):
        cleaned.append(step.cleaned)
        end = min(end + plan.n_step, values.shape[1] - 1)
        samples.append(end)
        n_removed.append(float(step.n_removed))
        if n_removed[-1]:
            repairs.append(np.asarray(step.repair))
    n_channels = len(values)
    return np.concatenate(cleaned, axis=1), ReconstructionReport(
        samples=np.array(samples),
        n_removed=np.array(n_removed),
        repairs=np.array(repairs).reshape(-1, n_channels, n_channels),
        raw_covariance=np.asarray(state.raw_covariance),
    )


def _run(
    plan: Plan, state: ASRState, options: ASROptions, data: np.ndarray
) -> Iterator[Step]:
    """Stream the recording through, a piece at a time."""
    sos = None if state.sos is None else np.asarray(state.sos)
    here, n_removed = open_position(plan, start_filter(state, options)), []
    for first in range(0, data.shape[1], _PIECE):
        piece = data[:, first : first + _PIECE].astype(np.float64)
        here, steps = push_samples(plan, sos, here, piece)
        yield from steps
        n_removed += [float(one.n_removed) for one in steps]
    steps = finish_samples(plan, sos, here)
    yield from steps
    n_removed += [float(one.n_removed) for one in steps]
    warn_of_loss(np.array(n_removed), plan)


def _take(data: Array, state: ASRState) -> np.ndarray:
    values = check_data("data", data)
    check_finite("data", values)
    _check_channels(values, state)
    return values


def _check_channels(data: Array, state: ASRState) -> None:
    if data.ndim != 2 or len(data) != state.n_channels:
        raise ShapeError(
            f"data must have shape ({state.n_channels}, any), the channels of the "
            f"calibration by times, but got {data.shape}.",
            hint="Pass the channels of the calibration, in its order.",
        )


def _clean_traced(data: Array, state: ASRState, options: ASROptions) -> jax.Array:
    """Run the same blocks in one program, for transformations of JAX."""
    _check_channels(data, state)
    plan = make_plan(state, options)
    ahead, size = plan.n_ahead, plan.n_step
    if data.shape[1] < plan.n_window:
        raise InputError(
            f"data must have at least {plan.n_window} times, one window, but have "
            f"{data.shape[1]}."
        )
    signal = jnp.asarray(data).astype(jnp.float64)
    signal = jnp.concatenate([signal, continue_end(plan, signal)], axis=1)
    shaped = signal
    if state.sos is not None:
        design = balance_sos(_constant(state.sos))
        shaped, _ = filter_forward(design, signal, zi=start_filter(state, options))
    delayed = jnp.pad(signal[:, :-ahead], [(0, 0), (ahead, 0)])
    n_blocks = signal.shape[1] // size
    done = n_blocks * size
    past, steps = jax.lax.scan(
        lambda past, pair: advance(plan, past, *pair),
        jax.tree.map(jnp.asarray, begin(plan)),
        (_cut(shaped[:, :done], n_blocks), _cut(delayed[:, :done], n_blocks)),
    )
    cleaned = [steps.cleaned.swapaxes(0, 1).reshape(len(data), -1)]
    if done < signal.shape[1]:
        recent = jnp.pad(shaped, [(0, 0), (plan.n_window, 0)])[:, -plan.n_window :]
        cleaned.append(conclude(plan, past, recent, delayed[:, done:]).cleaned)
    return jnp.concatenate(cleaned, axis=1)[:, ahead:]


def _cut(signal: Array, n_blocks: int) -> jax.Array:
    return jnp.asarray(signal).reshape(len(signal), n_blocks, -1).swapaxes(0, 1)


def _constant(sos: Array) -> np.ndarray:
    if isinstance(sos, Tracer):
        raise TypeError(
            "The shaping filter of state must be known: close over the state instead "
            "of passing it through jit, or calibrate without sfreq."
        )
    return np.asarray(sos)
