"""Options of artifact subspace reconstruction, and the plan that they make."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import check_count, check_option, check_range
from meegic.base.errors import DataWarning, OptionError
from meegic.clean.asr_kernel import Plan
from meegic.clean.asr_state import ASRState
from meegic.clean.windows import round_half_up

_MUCH = 0.5  # of the data


@dataclass(frozen=True)
class ASROptions:
    """How data are reconstructed.

    Attributes
    ----------
    window_size, step_size : int
        Samples in a window, and between two of them.
    max_dims : float
        Largest fraction of dimensions that a window may lose.
    soft : float | None
        Width of a soft cutoff in units of log power, 0.1 for instance, which makes
        the result differentiable in the cutoff. None cuts hard.
    initial : 'calibration' | 'zero'
        Where the shaping filter starts from.
    reconstruct_with : 'shaped' | 'raw'
        Which covariance of clean data the reconstruction conditions on. 'raw' has the
        smaller error; 'shaped' is what the publications do.
    padding : 'odd' | 'even'
        How the end is continued: reflected in the end point, as the publications do,
        or in the end time. The point reflection steps where the data do not end at
        zero, and that step may look like an artifact.
    """

    window_size: int = 100
    step_size: int = 50
    max_dims: float = 0.66
    soft: float | None = None
    initial: str = "calibration"
    reconstruct_with: str = "shaped"
    padding: str = "odd"


def make_plan(state: ASRState, options: ASROptions) -> Plan:
    """Join a calibration and options, after checking them.

    Parameters
    ----------
    state : ASRState
        What :func:`calibrate_asr` found.
    options : ASROptions
        Window, step and the like.

    Returns
    -------
    Plan
        What the kernel needs.

    Examples
    --------
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> data = np.random.default_rng(0).standard_normal((8, 2000))
    >>> make_plan(calibrate_asr(data, cutoff=20.0), ASROptions()).n_always
    2
    """
    _check_options(options)
    state = jax.tree.map(_lengthen_digits, state)
    rank = state.rank
    window = _lengthen_window(options.window_size, state.n_channels)
    basis = state.mixing_matrix[:, :rank]
    if options.reconstruct_with == "shaped":
        covariance = np.eye(rank) * state.component_stdevs[None, :rank] ** 2
    else:
        covariance = basis.T @ state.raw_covariance @ basis
    return Plan(
        basis=basis,
        heights=(state.mu + state.cutoff * state.sigma)[:rank],
        covariance=covariance,
        passed=state.flat.astype(float),
        twins=state.twins,
        n_window=window,
        n_step=options.step_size,
        n_ahead=round_half_up(window / 2),
        n_always=rank - round_half_up(options.max_dims * rank) - 1,
        soft=None if options.soft is None else float(options.soft),
        padding=options.padding,
    )


def start_filter(
    state: ASRState, options: ASROptions
) -> Float[Array, "sections channels 2"] | None:
    """Choose the state from which the shaping filter starts.

    Examples
    --------
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> data = np.random.default_rng(0).standard_normal((2, 9000))
    >>> start_filter(calibrate_asr(data, 20.0, sfreq=250.0), ASROptions()).shape
    (4, 2, 2)
    """
    if state.filter_state is None:
        return None
    return state.filter_state * (1.0 if options.initial == "calibration" else 0.0)


def warn_of_loss(
    n_removed: Float[np.ndarray, " windows"], plan: Plan, kind: str = ""
) -> None:
    """Warn where most of the data lost as many dimensions as they may.

    Examples
    --------
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> data = np.random.default_rng(0).standard_normal((8, 2000))
    >>> plan = make_plan(calibrate_asr(data, cutoff=20.0), ASROptions())
    >>> warn_of_loss(np.array([0.0, 0.0, 6.0]), plan)
    """
    most = plan.basis.shape[1] - max(plan.n_always, 0)
    share = np.mean(n_removed >= most)
    if share > _MUCH:
        warn_user(
            f"ASR removed as many dimensions as it may, {most}, from {share:.0%} of "
            f"the {kind}data. They need the unit and high-pass of the calibration.",
            DataWarning,
        )


def _check_options(options: ASROptions) -> None:
    check_count("window_size", options.window_size, low=2)
    check_count("step_size", options.step_size)
    if options.step_size > options.window_size:
        raise OptionError(
            f"step_size must be at most window_size, {options.window_size}, but got "
            f"{options.step_size}.",
            hint="Half a window is usual.",
        )
    check_range("max_dims", options.max_dims, low=0.0, high=1.0)
    if options.soft is not None:
        check_range("soft", options.soft, low=0.0, open_low=True)
    check_option("initial", options.initial, ["calibration", "zero"])
    check_option("reconstruct_with", options.reconstruct_with, ["shaped", "raw"])
    check_option("padding", options.padding, ["odd", "even"])


def _lengthen_window(window: int, n_channels: int) -> int:
    """Make a window long enough for the covariance of so many channels."""
    least = round_half_up(1.5 * n_channels)
    if window >= least:
        return window
    warn_user(
        f"window_size is {window} samples, which is too short for {n_channels} "
        f"channels: {least} are used.",
        DataWarning,
    )
    return least


def _lengthen_digits(leaf: Any) -> Any:
    """Make traced floats of the state as precise as the computation."""
    if isinstance(leaf, jax.Array) and leaf.dtype.kind == "f":
        return leaf.astype(np.float64)
    return leaf
