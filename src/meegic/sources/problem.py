"""What is solved: data, what sources do to them, and how variances are searched."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from meegic.base.alerts import warn_user
from meegic.base.checks import check_count, check_option, check_range
from meegic.base.errors import DataWarning, InputError, OptionError, ShapeError
from meegic.math.linalg import numerical_rank
from meegic.sources.acceleration import UPDATES
from meegic.sources.evidence import Problem
from meegic.sources.leadfield import flatten_leadfield, take_reals, take_sensors

_FLOOR_MEASURED = 0.05  # of the noise that was measured
_FLOOR_DATA = 1e-3  # of the mean power of the data, where nothing was measured


@dataclass(frozen=True)
class SolverOptions:
    """How variances are searched.

    Attributes
    ----------
    max_iter : int
        How often the evidence is evaluated at most.
    tol : float
        By how much the cost may still be lowered in the end, relative to it.
    update : 'mackay' | 'convex' | 'em'
        The update that is accelerated.
    learn_noise : bool
        Whether the noise is learned; then what is passed is what was measured.
    noise_pull : float
        How strongly learned noise is drawn to what was measured, in channels.

    Examples
    --------
    >>> SolverOptions(tol=1e-9).update
    'mackay'
    """

    max_iter: int = 1000
    tol: float = 1e-6
    update: str = "mackay"
    learn_noise: bool = False
    noise_pull: float = 0.05

    def __post_init__(self) -> None:
        check_count("max_iter", self.max_iter)
        check_range("tol", self.tol, low=0.0, open_high=True)
        check_option("update", self.update, list(UPDATES))
        check_option("learn_noise", self.learn_noise, [False, True])
        check_range("noise_pull", self.noise_pull, low=0.0, open_high=True)


@dataclass(frozen=True, eq=False)
class SourceProblem:
    """Data, and what sources do to them; whitened where channels have a covariance.

    Attributes
    ----------
    leadfield : array, shape (n_channels, n_sources * n_orient)
        What sources do to channels; the orientations of a source are neighbours. An
        array with an axis for them tells `n_orient` itself.
    data : array, shape (n_channels, n_times)
        What was measured.
    noise : float | array, shape (n_kinds,) | None
        Variance of each kind of noise; None where it is not known.
    n_orient : 1 | 2 | 3
        Orientations of a source.
    kinds : array of int, shape (n_channels,) | None
        Of which kind each channel's noise is; None where all are of one.
    basis : sparse array, shape (n_sources * n_orient, n_coefficients) | None
        Patches that sources are made of; None for the sources themselves.

    Examples
    --------
    >>> SourceProblem(np.eye(2), np.ones((2, 5)), noise=0.1).n_orient
    1
    """

    leadfield: np.ndarray
    data: np.ndarray
    noise: float | np.ndarray | None = None
    n_orient: int = 1
    kinds: np.ndarray | None = None
    basis: sparse.csr_array | None = None


class Task(NamedTuple):
    """A problem that was checked, and what the search needs of it.

    Attributes
    ----------
    problem : SourceProblem
        In float64, with kinds, and with the noise at which a search begins.
    gain : array, shape (n_channels, n_coefficients)
        What coefficients do to channels.
    seen : array of bool, shape (n_groups,)
        Which groups of coefficients reach a channel.
    core : Problem
        What the evidence depends on.
    options : SolverOptions
        How variances are searched.
    """

    problem: SourceProblem
    gain: Float[np.ndarray, "channels coefficients"]
    seen: Bool[np.ndarray, " groups"]
    core: Problem
    options: SolverOptions

    @property
    def noise(self) -> Float[np.ndarray, " kinds"]:
        """The noise at which a search begins."""
        return np.asarray(self.problem.noise)


def take_task(problem: SourceProblem, options: SolverOptions | None) -> Task:
    """Check a problem, and compute what the search needs of it.

    Parameters
    ----------
    problem : SourceProblem
        As it was passed.
    options : SolverOptions | None
        How variances are searched.

    Returns
    -------
    Task
        The problem in float64, and more.

    Examples
    --------
    >>> task = take_task(SourceProblem(np.eye(2), np.ones((2, 5)), noise=0.1), None)
    >>> task.noise, task.seen
    (array([0.1]), array([ True,  True]))
    """
    options = options or SolverOptions()
    leadfield, n_orient = flatten_leadfield(
        problem.leadfield, n_orient=problem.n_orient, name="leadfield"
    )
    data = take_sensors(problem.data, len(leadfield), name="data")
    kinds = _take_kinds(problem.kinds, len(data))
    gain = leadfield
    if problem.basis is not None:
        _check_basis(problem.basis, leadfield.shape[1], n_orient)
        gain = leadfield @ problem.basis
    counts = np.bincount(kinds)
    power = np.bincount(kinds, (data**2).mean(axis=1)) / counts
    measured = _take_noise(problem.noise, len(counts))
    _check_noise_known(measured, data, power, options)
    if measured is None:
        noise, pull, floor = power, 0.0, _FLOOR_DATA * power
    else:
        noise, pull, floor = measured, options.noise_pull, _FLOOR_MEASURED * measured
    rows, root = gain, _find_root(data)
    if options.learn_noise:
        rows, root, kinds_left = _drop_empty(gain, root, kinds, data.shape[1])
        counts = np.bincount(kinds_left)
    else:
        pull, floor, kinds_left = 0.0, np.zeros(len(counts)), kinds
    return Task(
        replace(
            problem, leadfield=leadfield, data=data, noise=noise,
            n_orient=n_orient, kinds=kinds,
        ),
        gain,
        np.asarray(gain.reshape(len(gain), -1, n_orient).any(axis=(0, 2))),
        Problem(rows, root, kinds_left, pull * counts, measured=noise, floor=floor),
        options,
    )  # fmt: skip


def _take_kinds(kinds: np.ndarray | None, n_channels: int) -> np.ndarray:
    if kinds is None:
        return np.zeros(n_channels, int)
    array = np.asarray(kinds)
    whole = array.dtype.kind in "iu" and array.shape == (n_channels,)
    if not whole or set(array.tolist()) != set(range(int(array.max()) + 1)):
        raise OptionError(
            f"kinds must be a whole number for each of {n_channels} channels, from 0 "
            f"on and without gaps, but got {kinds!r}."
        )
    return array


def _take_noise(noise: float | np.ndarray | None, n_kinds: int) -> np.ndarray | None:
    if noise is None:
        return None
    array = take_reals("noise", noise)
    if array.shape not in ((), (n_kinds,)) or not (array > 0).all():
        raise OptionError(
            f"noise must be a variance above 0 for each of {n_kinds} kinds, but got "
            f"{noise!r}.",
            hint="Whiten data and leadfield where channels have a covariance.",
        )
    return np.broadcast_to(array, (n_kinds,)).copy()


def _check_basis(basis: sparse.csr_array, n_rows: int, n_orient: int) -> None:
    if basis.shape[0] != n_rows or basis.shape[1] % n_orient:
        raise ShapeError(
            f"basis must have shape ({n_rows}, a multiple of {n_orient}), but got "
            f"{basis.shape}."
        )


def _check_noise_known(
    measured: np.ndarray | None,
    data: np.ndarray,
    power: np.ndarray,
    options: SolverOptions,
) -> None:
    """Refuse to go without noise, or to learn it from what cannot tell it."""
    if not options.learn_noise:
        if measured is None:
            raise OptionError(
                "noise must be given where it is not learned, but got None.",
                hint="Take it from a baseline, or set learn_noise.",
            )
        return
    if not power.all():
        raise InputError(
            "data are zero at all channels of a kind: no noise can be learned.",
            hint="Leave these channels out, or do not learn their noise.",
        )
    if data.shape[1] == 1 and measured is None:
        raise InputError(
            "data have one sample: noise cannot be learned from it.",
            hint="Pass the noise, measured elsewhere.",
        )


def _find_root(data: np.ndarray) -> np.ndarray:
    """Find a root of the covariance with as few columns as it can have."""
    root = data / np.sqrt(data.shape[1])
    if data.shape[1] <= len(data):
        return root
    return np.asarray(np.linalg.qr(root.T, mode="r")).T


def _drop_empty(
    gain: np.ndarray, root: np.ndarray, kinds: np.ndarray, n_times: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leave out directions that neither data nor sources have, as after a reference.

    They would count as noise of variance zero. Fewer samples than channels cannot
    tell which those are.
    """
    if n_times < len(gain):
        return gain, root, kinds
    parts = []
    for kind in range(kinds.max() + 1):
        rows = kinds == kind
        both = [one[rows] / (np.linalg.norm(one[rows]) or 1) for one in (gain, root)]
        values, vectors = np.linalg.eigh(sum(one @ one.T for one in both))
        rank = numerical_rank(values)
        parts.append(vectors[:, len(values) - rank :].T @ np.eye(len(kinds))[rows])
    turn = np.concatenate(parts)
    if len(turn) == len(kinds):
        return gain, root, kinds
    warn_user(
        f"data and leadfield have rank {len(turn)} of {len(kinds)} channels: noise is "
        "learned from as many directions.",
        DataWarning,
    )
    kept = np.repeat(np.arange(len(parts)), [len(one) for one in parts])
    return turn @ gain, turn @ root, kept
