"""Small fits, and whether two of them are the same to the last bit."""

import warnings
from dataclasses import fields, is_dataclass

import numpy as np

from meegic.base.errors import ConvergenceWarning
from meegic.base.record import Record
from meegic.components.amica import fit_amica
from meegic.components.options import AmicaOptions


def draw_data(n=3, n_times=1500, seed=0):
    """Two mixings, one after the other, with some outliers."""
    rng = np.random.default_rng(seed)
    half = n_times // 2
    peaked = rng.normal(size=(n, n)) @ rng.laplace(size=(n, half))
    flat = rng.normal(size=(n, n)) @ rng.uniform(-2, 2, size=(n, half))
    data = np.hstack([peaked, flat])
    data[:, ::200] *= 5
    return data


_ARGUMENTS = ("weights", "scale", "start", "callback", "checkpoints")


def fit(data, *, seed=0, **given):
    """Fit with numba unless told otherwise; to stop at a limit is no matter here."""
    arguments = {name: given.pop(name) for name in _ARGUMENTS if name in given}
    options = AmicaOptions(**{"kernel": "numba", **given})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit_amica(data, options, seed=seed, **arguments)


def list_differences(one, other, name="", *, without=("seconds", "record")):
    """Name what differs by a bit, but for the time that was spent and the options."""
    if isinstance(one, Record) or not (is_dataclass(one) or hasattr(one, "_fields")):
        if isinstance(one, np.ndarray):
            same = (one.dtype, one.shape) == (other.dtype, other.shape)
            return [] if same and one.tobytes() == other.tobytes() else [name]
        return [] if one == other else [name]
    names = [one.name for one in fields(one)] if is_dataclass(one) else one._fields
    return [
        found
        for part in names
        if part not in without
        for found in list_differences(
            getattr(one, part), getattr(other, part), f"{name}.{part}", without=without
        )
    ]
