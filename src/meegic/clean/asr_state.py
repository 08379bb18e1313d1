"""What artifact subspace reconstruction knows of clean data."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Float, Int

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import check_known, check_range
from meegic.base.errors import DataWarning
from meegic.base.flat import add_suffix, write_flat
from meegic.base.saved import read_saved

_SCHEMA = 1
_MILD = 10.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ASRState:
    r"""Statistics of clean data, as :func:`calibrate_asr` finds them.

    The mixing matrix of the publications is :math:`M = V \mathrm{diag}(s) V^\top`
    and the threshold matrix :math:`T = \mathrm{diag}(\mu + c\,\sigma) V^\top`.

    Attributes
    ----------
    mixing_matrix : array, shape (n_channels, n_channels)
        V: orthonormal columns, the components, by falling standard deviation. The
        largest entry of a column is positive.
    component_stdevs : array, shape (n_channels,)
        s: standard deviations of the components, in the unit of the data; zero
        beyond the rank.
    cutoff : float
        c: how many sigma above mu a component may rise.
    mu, sigma : array, shape (n_channels,)
        Mean and standard deviation of the components' RMS in clean windows.
    raw_covariance : array, shape (n_channels, n_channels)
        Robust covariance of the clean data as they are, not shaped.
    twins : array of int, shape (n_channels,)
        Its own index for every channel; for a channel that equals an earlier one,
        the index of that one, whose result it gets.
    sos : array, shape (n_sections, 6) | None
        The shaping filter; None where no sampling rate was given.
    filter_state : array, shape (n_sections, n_channels, 2) | None
        The state of the shaping filter after the clean data.
    rank : int
        How many components are not empty.
    sfreq : float | None
        Sampling rate in Hz.
    """

    mixing_matrix: Float[Array, "channels channels"]
    component_stdevs: Float[Array, " channels"]
    cutoff: Any
    mu: Float[Array, " channels"]
    sigma: Float[Array, " channels"]
    raw_covariance: Float[Array, "channels channels"]
    twins: Int[Array, " channels"]
    sos: Float[Array, "sections 6"] | None
    filter_state: Float[Array, "sections channels 2"] | None
    rank: int = field(metadata={"static": True})
    sfreq: float | None = field(metadata={"static": True})

    @property
    def n_channels(self) -> int:
        """How many channels were calibrated."""
        return len(self.component_stdevs)

    @property
    def flat(self) -> Array:
        """Which channels were constant; they are passed through."""
        variances = self.raw_covariance.diagonal()
        return (variances == 0) & (self.twins == np.arange(self.n_channels))

    @property
    def mixing(self) -> Array:
        """The symmetric mixing matrix M."""
        return (self.mixing_matrix * self.component_stdevs) @ self.mixing_matrix.T

    @property
    def threshold(self) -> Array:
        """The threshold matrix T."""
        heights = self.mu + self.cutoff * self.sigma
        return heights[:, None] * self.mixing_matrix.T

    def replace(self, **changes: Any) -> "ASRState":
        """Change fields, mostly the cutoff, without a new calibration.

        Examples
        --------
        >>> from meegic.clean.asr_calibration import calibrate_asr
        >>> data = np.random.default_rng(0).standard_normal((2, 2000))
        >>> calibrate_asr(data, cutoff=20.0).replace(cutoff=30.0).cutoff
        30.0
        """
        check_known("field of ASRState", changes, self.__dataclass_fields__)
        if "cutoff" in changes:
            check_cutoff(changes["cutoff"])
        return replace(self, **changes)

    def save(self, path: Path | str) -> Path:
        """Write the state to an npz file.

        Parameters
        ----------
        path : path-like
            Where; the suffix is added when it is missing.

        Returns
        -------
        Path
            The file.
        """
        path = add_suffix(path)
        write_flat(path, _to_stored(self), version=_SCHEMA)
        return path


class _Stored(NamedTuple):
    """A state whose absent parts are empty."""

    mixing_matrix: Float[np.ndarray, "channels channels"]
    component_stdevs: Float[np.ndarray, " channels"]
    cutoff: float
    mu: Float[np.ndarray, " channels"]
    sigma: Float[np.ndarray, " channels"]
    raw_covariance: Float[np.ndarray, "channels channels"]
    twins: Int[np.ndarray, " channels"]
    sos: Float[np.ndarray, "sections 6"]
    filter_state: Float[np.ndarray, "sections channels 2"]
    rank: int
    sfreq: float


def read_asr_state(path: Path | str) -> ASRState:
    """Read a state that `ASRState.save` wrote.

    Parameters
    ----------
    path : path-like
        The npz file; its suffix may be left out.

    Returns
    -------
    ASRState
        The state, bit for bit as it was saved.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> data = np.random.default_rng(0).standard_normal((2, 2000))
    >>> with TemporaryDirectory() as folder:
    ...     path = calibrate_asr(data, cutoff=20.0).save(f"{folder}/state")
    ...     read_asr_state(path).cutoff
    20.0
    """
    stored = read_saved(add_suffix(path), _Stored, version=_SCHEMA)._asdict()
    if np.isnan(stored["sfreq"]):
        stored |= {"sfreq": None, "sos": None, "filter_state": None}
    return ASRState(**stored)


def check_cutoff(cutoff: Any) -> None:
    """Refuse a cutoff that is no positive number, and warn of one that distorts.

    Examples
    --------
    >>> check_cutoff(20.0)
    """
    if isinstance(cutoff, Tracer):
        return
    cutoff = cutoff.item() if isinstance(cutoff, Array) and not cutoff.ndim else cutoff
    check_range("cutoff", cutoff, low=0.0, open_low=True)
    if cutoff < _MILD:
        warn_user(
            f"cutoff is {cutoff:g}: below {_MILD:g} ASR changes clean data too. Use "
            "20 to 30, unless it is a comparison.",
            DataWarning,
        )


def _to_stored(state: ASRState) -> _Stored:
    return _Stored(
        *(np.asarray(one) for one in (state.mixing_matrix, state.component_stdevs)),
        cutoff=float(state.cutoff),
        mu=np.asarray(state.mu),
        sigma=np.asarray(state.sigma),
        raw_covariance=np.asarray(state.raw_covariance),
        twins=np.asarray(state.twins),
        sos=np.zeros((0, 6)) if state.sos is None else np.asarray(state.sos),
        filter_state=(
            np.zeros((0, state.n_channels, 2))
            if state.filter_state is None
            else np.asarray(state.filter_state)
        ),
        rank=state.rank,
        sfreq=np.nan if state.sfreq is None else float(state.sfreq),
    )
