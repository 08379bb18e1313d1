"""One model of a fit as MNE's own ICA object."""

from collections.abc import Sequence

import mne
import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import null_space

from meegic.base.arrays import Array
from meegic.base.checks import check_count
from meegic.components.model import AmicaModel
from meegic.components.whiten import Whitener


def make_mne_ica(
    model: AmicaModel,
    info: mne.Info,
    *,
    model_idx: int = 0,
    rest: Float[Array, " others"] | None = None,
    n_samples: int | None = None,
    current_fit: str = "raw",
) -> mne.preprocessing.ICA:
    r"""Make a fitted `mne.preprocessing.ICA` of one model.

    Its sources are those of the model, :math:`W (x - c)`: the centers are part of its
    mean. Directions that the model leaves out follow its own, so that ``apply`` lets
    them pass.

    Parameters
    ----------
    model : AmicaModel
        The fit, in SI units.
    info : mne.Info
        Of the channels of the fit, in their order.
    model_idx : int
        Which model.
    rest : array, shape (n_channels - n_components,) | None
        Variances of the directions that are left out, as `measure_rest` gives them.
    n_samples : int | None
        How many samples were fitted; ``None``: all that were not rejected.
    current_fit : 'raw' | 'epochs'
        What was fitted.

    Returns
    -------
    mne.preprocessing.ICA
        Ready to plot, apply and save.

    Examples
    --------
    >>> from meegic.components.amica import fit_amica
    >>> data = np.random.default_rng(0).laplace(size=(2, 1000))
    >>> info = mne.create_info(2, 100.0, "eeg")
    >>> ica = make_mne_ica(fit_amica(data), info)
    >>> ica.method, ica.n_components_
    ('amica', 2)
    """
    check_count("model_idx", model_idx, low=0, high=model.n_models - 1)
    whitener = model.whitener
    n = model.n_components
    basis = np.hstack([whitener.directions, find_rest(whitener)])
    filters = model.filters[model_idx] / whitener.scale
    center = whitener.mean + whitener.inverse @ model.parameters.center[model_idx]
    left_out = np.zeros(basis.shape[1] - n) if rest is None else np.asarray(rest)

    ica = mne.preprocessing.ICA(n_components=n, method="infomax", verbose="error")
    ica.method = "amica"
    ica.fit_params = {}
    ica.max_iter = max(1, len(model.history.rate))
    ica.current_fit = current_fit
    ica.info = mne.pick_info(info, range(len(info["ch_names"])), copy=True)
    if ica.info["comps"]:
        with ica.info._unlock():
            ica.info["comps"] = []
    ica.ch_names = list(ica.info["ch_names"])
    ica.n_components_ = n
    ica.n_samples_ = int((~model.rejected).sum()) if n_samples is None else n_samples
    ica.n_iter_ = len(model.history.rate)
    ica.reject_ = None
    ica.pre_whitener_ = 1 / whitener.scale[:, None]
    ica.pca_mean_ = whitener.scale * center
    ica.pca_components_ = basis.T.copy()
    ica.pca_explained_variance_ = np.concatenate([whitener.variances, left_out])
    ica.unmixing_matrix_ = filters @ whitener.directions
    ica.mixing_matrix_ = np.linalg.inv(ica.unmixing_matrix_)
    ica._ica_names = [f"ICA{one:03d}" for one in range(n)]
    return ica


def find_rest(whitener: Whitener) -> Float[np.ndarray, "channels others"]:
    """Find directions at right angles to all that a decomposition explains.

    Examples
    --------
    >>> from meegic.components.whiten import fit_whitener
    >>> data = np.random.default_rng(0).normal(size=(3, 100))
    >>> find_rest(fit_whitener(data, n_components=2)).shape
    (3, 1)
    """
    kept = np.asarray(whitener.directions)
    if kept.shape[1] == kept.shape[0]:
        return np.zeros((len(kept), 0))
    return null_space(kept.T, rcond=0.5)  # singular values are 1 and 0


def measure_rest(
    whitener: Whitener,
    data: Float[Array, "channels times"],
    used: Bool[np.ndarray, " times"],
) -> Float[np.ndarray, " others"]:
    """Compute the variance of the directions that a decomposition leaves out.

    Examples
    --------
    >>> from meegic.components.whiten import fit_whitener
    >>> data = np.random.default_rng(0).normal(size=(3, 100))
    >>> measure_rest(fit_whitener(data, n_components=2), data, data[0] > -9).shape
    (1,)
    """
    directions = find_rest(whitener) * whitener.scale[:, None]
    if not directions.shape[1]:
        return np.zeros(0)
    return (directions.T @ data)[:, used].var(axis=1)


def list_excluded(
    icas: Sequence[mne.preprocessing.ICA], n_components: int
) -> list[list[int]]:
    """List the components that each model's object excludes.

    Examples
    --------
    >>> list_excluded([], 3)
    []
    """
    excluded = []
    for h, ica in enumerate(icas):
        name = f"exclude of model {h}"
        if not isinstance(ica.exclude, (list, tuple, np.ndarray)):
            raise TypeError(f"{name} must be a list, but got {ica.exclude!r}.")
        for one in ica.exclude:
            check_count(name, one, low=0, high=n_components - 1)
        excluded.append(sorted({int(one) for one in ica.exclude}))
    return excluded
