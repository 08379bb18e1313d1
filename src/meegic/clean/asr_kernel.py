r"""One step of artifact subspace reconstruction: a window, its repair, its block.

A direction of the window that varies more than the threshold allows holds an
artifact. With :math:`V` the directions, :math:`K` those that are kept and
:math:`\Sigma` the covariance of clean data, the data are replaced by their conditional
mean given the kept directions,
:math:`R = \Sigma V K (V^\top \Sigma V)_K^{-1} K V^\top`. All is done in the
components of the calibration, where :math:`\Sigma` and the threshold are diagonal and
empty dimensions are absent.

Offline and streaming processing call this one kernel for one block after the other,
which is why they agree bit for bit.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from meegic.base.arrays import Array
from meegic.math.linalg import eigh_safe, symmetric_power

# What proves that nothing is above threshold must do so by more than its rounding.
_PROVEN = 0.99


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Plan:
    """What stays the same from block to block.

    Attributes
    ----------
    basis : array, shape (n_channels, n_components)
        The components of the calibration that are not empty.
    heights : array, shape (n_components,)
        Largest usual RMS of each component.
    covariance : array, shape (n_components, n_components)
        Of clean components; the reconstruction conditions on it.
    passed : array, shape (n_channels,)
        One for channels that are left as they are, else zero.
    twins : array of int, shape (n_channels,)
        Whose result each channel gets.
    n_window, n_step, n_ahead : int
        Samples in a window, between two of them, and that the output lags behind.
    n_always : int
        How many of the weakest directions are always kept.
    soft : float | None
        Width of the soft cutoff in units of log power; None cuts hard.
    padding : 'odd' | 'even'
        How the end is continued.
    """

    basis: Float[Array, "channels components"]
    heights: Float[Array, " components"]
    covariance: Float[Array, "components components"]
    passed: Float[Array, " channels"]
    twins: Int[Array, " channels"]
    n_window: int = field(metadata={"static": True})
    n_step: int = field(metadata={"static": True})
    n_ahead: int = field(metadata={"static": True})
    n_always: int = field(metadata={"static": True})
    soft: float | None = field(metadata={"static": True})
    padding: str = field(default="odd", metadata={"static": True})


class Past(NamedTuple):
    """What the next block needs of those before it.

    Attributes
    ----------
    sums : array, shape (n_blocks, n_components, n_components)
        Second moments of the last blocks, summed over their samples.
    tails : array, shape (n_blocks, n_components, n_components)
        The same of the last samples of each block that reach into a window.
    repair : array, shape (n_channels, n_channels)
        The reconstruction of the last window, minus the identity.
    """

    sums: Float[Array, "blocks components components"]
    tails: Float[Array, "blocks components components"]
    repair: Float[Array, "channels channels"]


class Step(NamedTuple):
    """What one block gave.

    Attributes
    ----------
    cleaned : array, shape (n_channels, n_step)
        The delayed samples, repaired.
    n_removed : array, shape ()
        How many dimensions the window lost.
    repair : array, shape (n_channels, n_channels)
        Its reconstruction minus the identity; zero where nothing is removed.
    """

    cleaned: Float[Array, "channels times"]
    n_removed: Float[Array, ""]
    repair: Float[Array, "channels channels"]


def begin(plan: Plan) -> Past:
    """Make the past of a recording that starts: silence, and nothing removed.

    Examples
    --------
    >>> ones = np.ones(1)
    >>> plan = Plan(ones[:, None], ones, ones[:, None], 0 * ones, np.zeros(1, int),
    ...             n_window=8, n_step=4, n_ahead=4, n_always=0, soft=None)
    >>> begin(plan).sums.shape
    (2, 1, 1)
    """
    n_channels, n_components = plan.basis.shape
    none = np.zeros((plan.n_window // plan.n_step, n_components, n_components))
    return Past(none, none, np.zeros((n_channels, n_channels)))


@jax.jit
def advance(
    plan: Plan,
    past: Past,
    shaped: Float[Array, "channels step"],
    delayed: Float[Array, "channels step"],
) -> tuple[Past, Step]:
    """Take in one block of shaped samples and repair the delayed ones.

    Parameters
    ----------
    plan : Plan
        What stays the same.
    past : Past
        What the blocks before left.
    shaped : array, shape (n_channels, n_step)
        The next samples, spectrally shaped.
    delayed : array, shape (n_channels, n_step)
        The samples `n_ahead` earlier, as they were recorded.

    Returns
    -------
    past : Past
        For the next block.
    step : Step
        The repaired samples.

    Examples
    --------
    >>> ones = np.ones(1)
    >>> plan = Plan(ones[:, None], ones, ones[:, None], 0 * ones, np.zeros(1, int),
    ...             n_window=8, n_step=4, n_ahead=4, n_always=0, soft=None)
    >>> loud = np.full((1, 4), 100.0)
    >>> print(advance(plan, begin(plan), loud, loud)[1].cleaned.round(1))
    [[85.4 50.  14.6  0. ]]
    """
    components = jnp.asarray(plan.basis).T @ shaped
    tail = components[:, plan.n_step - plan.n_window % plan.n_step :]
    sums = jnp.concatenate([past.sums, (components @ components.T)[None]])[1:]
    tails = jnp.concatenate([past.tails, (tail @ tail.T)[None]])
    window = (sums.sum(axis=0) + tails[0]) / plan.n_window
    repair, n_removed = find_repair(plan, window)
    cleaned = blend(delayed, past.repair, repair)
    return Past(sums, tails[1:], repair), Step(cleaned, n_removed, repair)


@jax.jit
def conclude(
    plan: Plan,
    past: Past,
    recent: Float[Array, "channels window"],
    delayed: Float[Array, "channels times"],
) -> Step:
    """Repair the last samples, fewer than a block, by the very last window.

    Parameters
    ----------
    plan : Plan
        What stays the same.
    past : Past
        What the last whole block left.
    recent : array, shape (n_channels, n_window)
        The last shaped samples.
    delayed : array, shape (n_channels, n_times)
        The samples that are left.

    Returns
    -------
    Step
        The repaired samples.

    Examples
    --------
    >>> ones = np.ones(1)
    >>> plan = Plan(ones[:, None], ones, ones[:, None], 0 * ones, np.zeros(1, int),
    ...             n_window=8, n_step=4, n_ahead=4, n_always=0, soft=None)
    >>> loud = np.full((1, 8), 100.0)
    >>> print(conclude(plan, begin(plan), loud, loud[:, :2]).cleaned.round(1))
    [[50.  0.]]
    """
    components = jnp.asarray(plan.basis).T @ recent
    window = components @ components.T / plan.n_window
    repair, n_removed = find_repair(plan, window)
    return Step(blend(delayed, past.repair, repair), n_removed, repair)


def blend(
    data: Float[Array, "channels times"],
    before: Float[Array, "channels channels"],
    after: Float[Array, "channels channels"],
) -> Float[Array, "channels times"]:
    """Go over from one repair to the next along a raised cosine.

    Examples
    --------
    >>> print(blend(np.ones((1, 4)), np.zeros((1, 1)), -np.ones((1, 1))).round(3))
    [[0.854 0.5   0.146 0.   ]]
    """
    n_times = data.shape[-1]
    rise = (1 - np.cos(np.pi * np.arange(1, n_times + 1) / n_times)) / 2
    return data + (after @ data) * rise[None] + (before @ data) * (1 - rise)[None]


def find_repair(
    plan: Plan, window: Float[Array, "components components"]
) -> tuple[Float[Array, "channels channels"], Float[Array, ""]]:
    """Find the reconstruction of a window, minus the identity.

    Parameters
    ----------
    plan : Plan
        Threshold and covariance.
    window : array, shape (n_components, n_components)
        Second moment of the shaped components.

    Returns
    -------
    repair : array, shape (n_channels, n_channels)
        What to add; exactly zero where nothing is removed.
    n_removed : array, shape ()
        How many dimensions are removed.

    Examples
    --------
    >>> ones = np.ones(2)
    >>> plan = Plan(np.eye(2), ones, np.eye(2), 0 * ones, np.arange(2), n_window=8,
    ...             n_step=4, n_ahead=4, n_always=0, soft=None)
    >>> print(find_repair(plan, np.diag([0.5, 100.0]))[0].round(6) + 0.0)
    [[ 0.  0.]
     [ 0. -1.]]
    """
    if plan.soft is not None:
        return _repair(plan, window)
    n_channels = len(plan.passed)
    nothing = jnp.zeros((n_channels, n_channels)), jnp.zeros(())
    return jax.lax.cond(
        _is_usual(plan, window), lambda: nothing, lambda: _repair(plan, window)
    )


def _is_usual(plan: Plan, window: Array) -> jax.Array:
    """Tell where no direction can be above threshold, without eigenvectors.

    That is where the window, in units of the threshold, has no eigenvalue of one or
    more; the Frobenius norm of its eighth power bounds the eighth power of them all.
    """
    heights = jnp.asarray(plan.heights)
    power = jnp.asarray(window) / heights[:, None] / heights[None, :]
    for _ in range(3):
        power = power @ power
    return (power**2).sum() < _PROVEN


def _repair(plan: Plan, window: Array) -> tuple[jax.Array, jax.Array]:
    powers, directions = map(jnp.asarray, eigh_safe(window))
    usual = ((jnp.asarray(plan.heights)[:, None] * directions) ** 2).sum(axis=0)
    always = np.arange(len(plan.heights)) < plan.n_always
    weights = jnp.where(always, 1.0, _weigh(plan, powers, usual))
    n_removed = (1 - weights).sum()
    if plan.soft is not None:
        return _reconstruct(plan, weights, directions), n_removed
    repair = jax.lax.cond(
        n_removed == 0,
        lambda: jnp.zeros((len(plan.passed),) * 2),
        lambda: _reconstruct(plan, weights, directions),
    )
    return repair, n_removed


def _weigh(plan: Plan, powers: jax.Array, usual: jax.Array) -> jax.Array:
    """Weight of every direction: one is kept, zero removed."""
    if plan.soft is None:
        return jnp.where(powers < usual, 1.0, 0.0)
    # An empty direction has no logarithm; any power far below the usual one is kept.
    least = jnp.finfo(powers.dtype).eps * usual
    ratio = jnp.log(usual) - jnp.log(jnp.maximum(powers, least))
    return jax.nn.sigmoid(ratio / plan.soft)


def _reconstruct(plan: Plan, weights: jax.Array, directions: jax.Array) -> jax.Array:
    basis, covariance = jnp.asarray(plan.basis), jnp.asarray(plan.covariance)
    # The root of zero has no derivative; hard weights are zero or one.
    roots = weights if plan.soft is None else jnp.sqrt(weights)
    kept = directions * roots[None]
    size = jnp.trace(covariance) / len(weights)
    inner = kept.T @ covariance @ kept + jnp.diag((1 - weights) * size)
    # Triangular solves of this size wait for threads, ten times as long as this.
    rebuilt = covariance @ kept @ symmetric_power(inner, -1.0) @ kept.T
    # Outside the components data are kept only where nothing at all is removed.
    outside = (jnp.eye(len(basis)) - basis @ basis.T) * weights.prod()
    full = basis @ rebuilt @ basis.T + outside
    passed = jnp.asarray(plan.passed)[:, None]
    full = full * (1 - passed) + jnp.diag(plan.passed)
    return full[jnp.asarray(plan.twins)] - jnp.eye(len(basis))
