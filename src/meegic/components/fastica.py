"""FastICA: the orthogonal turn of whitened data towards independent components."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import check_count, check_option, check_range
from meegic.base.errors import ConvergenceWarning, InputError, ShapeError
from meegic.base.record import Record, make_record
from meegic.components.inspection import check_recording_array
from meegic.components.threads import one_blas_thread, run_on_threads
from meegic.components.whiten import Whitener, fit_whitener

_BLOCK_VALUES = 2**14  # a block and its image stay in the cache of one processor
_PANELS = 32  # sums that are added at the end; more than processors, less than memory

Algorithm = Literal["symmetric", "deflation"]


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class FastIcaModel:
    """Independent components of unit variance, and the map to them.

    Components come by descending variance at the sensors; the largest entry of each
    sensor map is positive.

    Attributes
    ----------
    whitener : Whitener
        From channels to principal components of unit variance.
    rotation : array, shape (n_components, n_components)
        From those to the independent components; orthogonal.
    changes : array, shape (n_iter,)
        How far the directions moved in every pass, ``1 - |cos|`` of the one that
        moved most. Deflation: the passes of one component after those of another.
    converged : bool
        Whether the last change was below the tolerance, for every component.
    record : Record
        Versions, options and seed.
    """

    whitener: Whitener
    rotation: Float[np.ndarray, "components components"]
    changes: Float[np.ndarray, " passes"]
    converged: bool
    record: Record

    @property
    def n_iter(self) -> int:
        """How many passes over the data were made."""
        return len(self.changes)

    @property
    def filters(self) -> Float[np.ndarray, "components channels"]:
        """From centered channels to components, the inverse of `maps`."""
        return self.rotation @ self.whitener.forward

    @property
    def maps(self) -> Float[np.ndarray, "channels components"]:
        """How every component looks at the sensors, in the unit of the data."""
        return self.whitener.inverse @ self.rotation.T

    def unmix(
        self, data: Float[Array, "channels times"]
    ) -> Float[np.ndarray, "components times"]:
        """Compute the components of data, block by block."""
        data = check_recording_array("data", data)
        if len(data) != len(self.whitener.mean):
            raise ShapeError(
                f"data must have the {len(self.whitener.mean)} channels of the fit, "
                f"but got {len(data)}."
            )
        return replace(self.whitener, forward=self.filters)(data)

    def restore(
        self, components: Float[Array, "components times"]
    ) -> Float[np.ndarray, "channels times"]:
        """Take components back to channels."""
        return replace(self.whitener, inverse=self.maps).restore(components)


def fit_fastica(
    data: Array,
    *,
    n_components: int | None = None,
    algorithm: Algorithm = "symmetric",
    max_iter: int = 200,
    tol: float = 1e-4,
    seed: int = 0,
    chunk_t: int | None = None,
) -> FastIcaModel:
    r"""Fit independent components by the fixed-point iteration of FastICA.

    The data are whitened to unit variance, :math:`z`. One pass turns every direction
    :math:`w` to :math:`E[\tanh(w^\top z) z] - E[1 - \tanh^2(w^\top z)] w`, and then
    makes all directions orthogonal, with no preference among them (symmetric) or one
    after the other (deflation).

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording, in any unit.
    n_components : int | None
        How many principal components to turn. ``None`` takes the numerical rank.
    algorithm : 'symmetric' | 'deflation'
        All components together, or one after the other. The first is faster, and
        passes no error on from one component to the next.
    max_iter : int
        The largest number of passes; deflation: for each component.
    tol : float
        The fit ends when no direction changed by more, in ``1 - |cos|``.
    seed : int
        Where the directions start.
    chunk_t : int | None
        Samples in a block; no result depends on it beyond rounding.

    Returns
    -------
    FastIcaModel
        The fitted model, whether it converged or not.

    Warns
    -----
    ConvergenceWarning
        When the passes ran out, or nothing in the data differs from Gaussian noise.

    Examples
    --------
    >>> sources = np.random.default_rng(0).laplace(size=(2, 5000))
    >>> model = fit_fastica(np.array([[2.0, 1.0], [1.0, 1.0]]) @ sources)
    >>> (model.maps / model.maps.max(axis=0)).round(1)
    array([[1. , 1. ],
           [0.5, 1. ]])
    """
    check_option("algorithm", algorithm, ["symmetric", "deflation"])
    check_count("max_iter", max_iter)
    check_range("tol", tol, low=0.0, open_low=True, high=1.0, open_high=True)
    check_count("seed", seed, low=0)
    if chunk_t is not None:
        check_count("chunk_t", chunk_t)
    data = check_recording_array("data", data)
    _refuse_flat(data)
    with one_blas_thread():
        whitener = fit_whitener(data, n_components=n_components, sphering="pca")
        n, n_times = len(whitener.forward), data.shape[1]
        _check_length(n_times, n)
        blocks = _whiten(whitener, data, chunk_t or max(64, _BLOCK_VALUES // n))
        groups = _draw_start(whitener, seed)[:, None]
        if algorithm == "symmetric":
            groups = groups.swapaxes(0, 1)
        rotation, fates = np.empty((0, n)), []
        for rows in groups:
            fates.append(_turn(blocks, rows, rotation, max_iter=max_iter, tol=tol))
            rotation = np.vstack([rotation, fates[-1].rows])
    _warn(fates, tol, n, n_times)
    return FastIcaModel(
        whitener=whitener,
        rotation=_order(whitener, rotation),
        changes=np.concatenate([fate.changes for fate in fates]),
        converged=all(fate.changes[-1] < tol for fate in fates),
        record=make_record(
            {
                "n_components": n,
                "algorithm": algorithm,
                "max_iter": int(max_iter),
                "tol": float(tol),
            },
            seed=int(seed),
        ),
    )


@dataclass(frozen=True)
class _Fate:
    """Where a group of directions ended, how, and how far from Gaussian."""

    rows: Float[np.ndarray, "rows components"]
    changes: Float[np.ndarray, " passes"]
    departure: Float[np.ndarray, " rows"]


def _turn(
    blocks: Sequence[np.ndarray],
    rows: np.ndarray,
    found: np.ndarray,
    *,
    max_iter: int,
    tol: float,
) -> _Fate:
    """Turn directions to their fixed point, orthogonal to those that were found."""
    changes = []
    # Deflation: starting in what is left saves a tenth of the passes.
    rows = _orthogonalize(rows - rows @ found.T @ found)
    while True:
        products, slopes = _average(blocks, rows)
        # By Stein's lemma E[g'(y)] - E[g(y) y] vanishes where y is Gaussian.
        departure = slopes - (products * rows).sum(axis=1)
        fresh = products - slopes[:, None] * rows
        fresh = _orthogonalize(fresh - fresh @ found.T @ found)
        changes.append(float(np.abs(np.abs((fresh * rows).sum(axis=1)) - 1).max()))
        rows = fresh
        if changes[-1] < tol or len(changes) == max_iter:
            return _Fate(rows, np.array(changes), departure)


def _whiten(whitener: Whitener, data: np.ndarray, chunk_t: int) -> list[np.ndarray]:
    """Whiten the data into blocks, each in one piece of memory, on all threads."""
    starts = range(0, data.shape[1], chunk_t)
    blocks: list[np.ndarray] = [np.empty(0)] * len(starts)
    numbered = enumerate(starts)  # shared: whoever is free takes the next

    def work() -> None:
        for index, start in numbered:
            blocks[index] = whitener(data[:, start : start + chunk_t])

    run_on_threads(work)
    return blocks


def _average(
    blocks: Sequence[np.ndarray], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Average tanh(y) z' and 1 - tanh(y)^2 over time, y = rows @ z, on all threads."""
    n_panels = min(_PANELS, len(blocks))
    products = np.zeros((n_panels, *rows.shape))
    squares = np.zeros((n_panels, len(rows)))
    panels = iter(range(n_panels))

    def work() -> None:
        for panel in panels:
            for block in blocks[panel::n_panels]:
                y = rows @ block
                np.tanh(y, out=y)
                products[panel] += y @ block.T
                squares[panel] += np.einsum("it,it->i", y, y)

    run_on_threads(work)
    n_times = sum(block.shape[1] for block in blocks)
    return products.sum(axis=0) / n_times, 1 - squares.sum(axis=0) / n_times


def _orthogonalize(rows: np.ndarray) -> np.ndarray:
    """Find the orthonormal rows that are nearest, (W W')^(-1/2) W."""
    left, _, right = np.linalg.svd(rows, full_matrices=False)
    return left @ right


def _draw_start(whitener: Whitener, seed: int) -> np.ndarray:
    """Draw directions in the space of channels, where no eigenvector's sign counts."""
    shape = whitener.directions.shape[::-1]
    drawn = np.random.default_rng(seed).standard_normal(shape)
    return _orthogonalize(drawn @ whitener.directions)


def _order(whitener: Whitener, rotation: np.ndarray) -> np.ndarray:
    """Order components by variance at the sensors, and fix their signs."""
    maps = (whitener.inverse * whitener.scale[:, None]) @ rotation.T
    variances = (maps**2).sum(axis=0)
    peaks = np.take_along_axis(maps, np.abs(maps).argmax(axis=0)[None], axis=0)[0]
    order = np.argsort(-variances, kind="stable")
    return (rotation * np.sign(peaks)[:, None])[order]


def _refuse_flat(data: np.ndarray) -> None:
    flat = np.flatnonzero(data.max(axis=1) == data.min(axis=1))
    if len(flat):
        raise InputError(
            f"{len(flat)} of {len(data)} channels are flat, the first at index "
            f"{flat[0]}: they have no component.",
            hint="Leave out flat channels first.",
        )


def _check_length(n_times: int, n_components: int) -> None:
    if n_times < 2 * n_components:
        raise InputError(
            f"{n_components} components need at least {2 * n_components} times, but "
            f"got {n_times}.",
            hint="Take a longer recording, or lower n_components.",
        )


def _warn(fates: Sequence[_Fate], tol: float, n: int, n_times: int) -> None:
    """Say what is in doubt, to the caller of `fit_fastica`."""
    departure = max(float(np.abs(fate.departure).max()) for fate in fates)
    # On Gaussian noise the best directions reach up to 0.75 of this, whatever n, T.
    if n > 1 and departure < np.sqrt(n / n_times):
        warn_user(
            f"FastICA found no component that {n_times} times can tell from Gaussian "
            "noise: the components are arbitrary. Take a longer recording, or lower "
            "n_components.",
            ConvergenceWarning,
        )
        return
    late = [fate for fate in fates if not fate.changes[-1] < tol]
    if late:
        worst = max(fate.changes[-1] for fate in late)
        passes = max(len(fate.changes) for fate in late)
        warn_user(
            f"FastICA has not converged within {passes} passes: directions still "
            f"change by {worst:.2g}, and tol is {tol:g}. Raise max_iter or tol, or "
            "lower n_components: Gaussian components never settle.",
            ConvergenceWarning,
        )
