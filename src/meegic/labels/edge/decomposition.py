"""What a fitted ICA does to the channels of a recording, as matrices."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mne
import numpy as np
from jaxtyping import Float

from meegic.base.checks import list_words
from meegic.base.errors import InputError, NotFittedError

_PSEUDO_RANK = 1e-14  # as `mne.preprocessing.ICA.apply` has it


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class Decomposition:
    """A fitted ICA as two matrices that act on data in V and T.

    Attributes
    ----------
    unmixing : array, shape (n_components, n_channels)
        Takes channels to sources.
    mixing : array, shape (n_channels, n_components)
        Takes sources to channels.
    offset : array, shape (n_components,)
        What MNE takes off the sources, for it centers the data first.
    info : mne.Info
        Of the channels, in their order.
    """

    unmixing: Float[np.ndarray, "components channels"]
    mixing: Float[np.ndarray, "channels components"]
    offset: Float[np.ndarray, " components"]
    info: mne.Info

    @property
    def names(self) -> list[str]:
        """The channels."""
        return list(self.info["ch_names"])

    def find(self, kind: str) -> np.ndarray:
        """Find the channels of one type."""
        return np.flatnonzero(np.array(self.info.get_channel_types()) == kind)


def list_models(ica: Any) -> Iterator[mne.preprocessing.ICA]:
    """Give the models of a decomposition, or its one, as MNE's objects.

    Examples
    --------
    >>> list(list_models(3))
    Traceback (most recent call last):
    TypeError: ica must be an mne.preprocessing.ICA or an AmicaICA, but got int.
    """
    if isinstance(ica, mne.preprocessing.ICA):
        if not hasattr(ica, "unmixing_matrix_"):
            raise NotFittedError(
                "This ICA is not fitted yet.", hint="Call its fit first."
            )
        yield ica
    elif hasattr(ica, "get_mne_ica") and hasattr(ica, "predict_proba"):
        yield from (ica.get_mne_ica(h) for h in range(ica.n_models))
    else:
        raise TypeError(
            "ica must be an mne.preprocessing.ICA or an AmicaICA, but got "
            f"{type(ica).__name__}."
        )


def decompose(
    ica: mne.preprocessing.ICA, *, compat: str | None = None
) -> Decomposition:
    """Take the matrices of a fitted ICA, with its pre-whitener and projectors.

    Parameters
    ----------
    ica : mne.preprocessing.ICA
        Fitted.
    compat : None | 'mne-icalabel'
        ``'mne-icalabel'`` leaves out the pre-whitener and the projectors.

    Returns
    -------
    Decomposition
        The matrices.

    Examples
    --------
    >>> info = mne.create_info(3, 100.0, "eeg")
    >>> data = np.random.default_rng(0).laplace(size=(3, 500))
    >>> raw = mne.io.RawArray(data, info, verbose="error")
    >>> fast = {"w_change": 1.0}
    >>> ica = mne.preprocessing.ICA(2, method="infomax", fit_params=fast)
    >>> with mne.use_log_level("error"):
    ...     ica = ica.fit(raw.filter(1, None))
    >>> found = decompose(ica)
    >>> np.allclose(found.unmixing @ found.mixing, np.eye(2))
    True
    """
    basis = ica.pca_components_[: ica.n_components_]
    unmixing = ica.unmixing_matrix_ @ basis
    mean = np.zeros(basis.shape[1]) if ica.pca_mean_ is None else ica.pca_mean_
    offset = unmixing @ mean
    if compat is not None:
        return Decomposition(unmixing, np.linalg.pinv(unmixing), offset, ica.info)
    mixing = basis.T @ ica.mixing_matrix_
    if ica.noise_cov is None:
        scale = ica.pre_whitener_
        unmixing = unmixing / scale.T @ _make_projector(ica.info)
        return Decomposition(unmixing, scale * mixing, offset, ica.info)
    whitener = ica.pre_whitener_  # holds the projectors
    back = np.linalg.pinv(whitener, rcond=_PSEUDO_RANK)
    return Decomposition(unmixing @ whitener, back @ mixing, offset, ica.info)


def check_channels(inst: Any, names: list[str]) -> np.ndarray:
    """Find where the channels of an ICA are in a recording, by name.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((2, 9)), info, verbose="error")
    >>> check_channels(raw, ["Cz", "Fz"])
    array([1, 0])
    """
    places = {name: place for place, name in enumerate(inst.ch_names)}
    missing = [one for one in names if one not in places]
    if missing:
        shown = list_words(missing[:10]) + " and others" * (len(missing) > 10)
        raise InputError(
            f"inst must have the {len(names)} channels of the ICA, but it lacks "
            f"{len(missing)}: {shown}.",
            hint="Pass the recording that was decomposed, with all its channels.",
        )
    return np.array([places[one] for one in names])


def _make_projector(info: mne.Info) -> np.ndarray:
    """Make the matrix of the projectors that were active when the ICA was fitted."""
    identity = mne.EvokedArray(np.eye(len(info["ch_names"])), info, verbose="error")
    projectors = identity.info["projs"]  # a copy, as are the bads
    identity.del_proj([k for k, one in enumerate(projectors) if not one["active"]])
    for one in identity.info["projs"]:
        one["active"] = False
    identity.info["bads"] = []  # MNE's ICA projects them, too
    return identity.apply_proj(verbose="error").data
