"""Take excluded components out of data, by the model that holds at each time."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from meegic.base.arrays import Array
from meegic.base.checks import check_count, check_shape
from meegic.base.errors import ShapeError
from meegic.components.model import AmicaModel

_BLOCK = 2**15


def remove_components(
    model: AmicaModel,
    data: Float[Array, "channels times"],
    excluded: Sequence[Sequence[int]],
    shares: Float[Array, "models times"],
) -> Float[np.ndarray, "channels times"]:
    r"""Subtract what excluded components contribute.

    With the sources :math:`s_h` of model h, its maps :math:`A_h` and its share
    :math:`v_h` of a sample, :math:`x - \sum_h v_h A_h[:, e_h] s_h[e_h]`.

    Parameters
    ----------
    model : AmicaModel
        The fit.
    data : array, shape (n_channels, n_times)
        In the unit of the fit.
    excluded : sequence of sequences of int
        For each model its components that are to go.
    shares : array, shape (n_models, n_times)
        How much of each sample a model explains: its probability, or 0 and 1.

    Returns
    -------
    array, shape (n_channels, n_times)
        A copy; samples of which nothing is subtracted keep their bits.

    Examples
    --------
    >>> from meegic.components.amica import fit_amica
    >>> data = np.random.default_rng(0).laplace(size=(2, 1000))
    >>> model = fit_amica(data)
    >>> gone = remove_components(model, data, [[0]], np.ones((1, 1000)))
    >>> bool(np.linalg.matrix_rank(gone - gone.mean(axis=1, keepdims=True)) == 1)
    True
    """
    cleaned = np.array(data, dtype=float)
    shares = np.asarray(shares)
    check_shape("shares", shares, (model.n_models, cleaned.shape[1]))
    if len(excluded) != model.n_models:
        raise ShapeError(
            f"excluded must have one list for each of the {model.n_models} models, but "
            f"got {len(excluded)}."
        )
    centers = np.einsum("hik,hk->hi", model.parameters.unmix, model.parameters.center)
    for h, gone in enumerate(excluded):
        for one in gone:
            high = model.n_components - 1
            check_count(f"excluded component of model {h}", one, low=0, high=high)
        if not len(gone):
            continue
        which = sorted(set(gone))
        filters, maps = model.filters[h][which], model.maps[h][:, which]
        offset = (filters @ model.whitener.mean + centers[h, which])[:, None]
        places = np.flatnonzero(shares[h] > 0)
        for at in range(0, len(places), _BLOCK):
            part = places[at : at + _BLOCK]
            sources = filters @ np.asarray(data)[:, part] - offset
            cleaned[:, part] -= maps @ (sources * shares[h, part])
    return cleaned


def choose_models(
    posteriors: Float[Array, "models times"],
) -> Float[np.ndarray, "models times"]:
    """Give each sample to its most probable model; to none where nothing is known.

    Examples
    --------
    >>> choose_models(np.array([[0.9, 0.2, np.nan], [0.1, 0.8, np.nan]]))
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """
    posteriors = np.asarray(posteriors)
    known = np.isfinite(posteriors).all(axis=0)
    best = np.where(known, posteriors, 0.0).argmax(axis=0)
    return (np.arange(len(posteriors))[:, None] == best) * known.astype(float)
