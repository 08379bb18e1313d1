"""Where a fit begins: at random, or at what is known already."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from meegic.base.checks import check_known, check_option, check_shape
from meegic.base.errors import InputError, OptionError
from meegic.components.em import floor_weights
from meegic.components.kernels import make_estep
from meegic.components.loop import Problem
from meegic.components.model import AmicaModel
from meegic.components.options import AmicaOptions
from meegic.components.parameters import AmicaParameters, draw_parameters
from meegic.components.whiten import Whitener

Start = str | Path | AmicaModel | Mapping[str, Any] | np.ndarray | None

_WORDS = ("fix", "fastica", "one-term")
_ONE_TERM_PASSES = 60
_ARRAYS = {
    "W": ("unmix", 3), "A": ("unmix", 3), "c": ("center", 2), "gm": ("weight", 1),
    "alpha": ("alpha", 3), "mu": ("mu", 3), "sbeta": ("beta", 3), "rho": ("rho", 3),
}  # fmt: skip
"""Public names of arrays, what they are here, and how many axes they have."""


def make_start(
    start: Start,
    x: Float[np.ndarray, "components times"],
    weights: Float[np.ndarray, " times"],
    whitener: Whitener,
    options: AmicaOptions,
    *,
    seed: int | list[int],
) -> AmicaParameters:
    """Make the parameters that a fit begins with.

    Parameters
    ----------
    start : None | 'fix' | 'fastica' | 'one-term' | AmicaModel | mapping | path
        What the caller knows.
    x : array, shape (n_components, n_times)
        Sphered data.
    weights : array, shape (n_times,)
        What its samples count.
    whitener : Whitener
        How they were sphered.
    options : AmicaOptions
        The sizes, and the bounds of the parameters.
    seed : int | list of int
        Of the random part.

    Returns
    -------
    AmicaParameters
        The start, in the space of this whitener.

    Examples
    --------
    >>> from meegic.components.parameters import draw_parameters
    >>> from meegic.components.whiten import fit_whitener
    >>> whitener = fit_whitener(np.random.default_rng(0).normal(size=(2, 100)))
    >>> x, ones, options = np.zeros((2, 100)), np.ones(100), AmicaOptions()
    >>> make_start("fix", x, ones, whitener, options, seed=0).unmix[0, 0]
    array([1., 0.])
    """
    n = len(x)
    if isinstance(start, np.ndarray):
        start = {"W": start}
    fixed = options.fix_init or (isinstance(start, str) and start == "fix")
    if fixed and options.n_models > 1:
        replace(options, fix_init=True)  # refuses, and says why
    drawn = draw_parameters(
        n,
        n_models=options.n_models,
        n_mix=options.n_mix,
        rho=options.rho0,
        generator=None if fixed else np.random.default_rng(seed),
    )
    if start is None or (isinstance(start, str) and start == "fix"):
        return drawn
    if isinstance(start, AmicaModel):
        return _carry_over(start, whitener, options)
    if isinstance(start, Mapping):
        return _bound(take_arrays(start, drawn), options)
    if not isinstance(start, (str, Path)):
        raise TypeError(
            "start must be None, a word, a path, an AmicaModel or arrays, but got "
            f"{type(start).__name__}."
        )
    if isinstance(start, Path) or start not in _WORDS:
        return _carry_over(_read_folder(start), whitener, options)
    if start == "fastica":
        return _at(drawn, _unmix_by_fastica(x[:, weights > 0], seed))
    return _at(drawn, _unmix_by_one_term(x, weights, options, seed))


def take_arrays(given: Mapping[str, Any], drawn: AmicaParameters) -> AmicaParameters:
    """Put arrays by their public names, with the terms last, in place of drawn ones.

    Parameters
    ----------
    given : mapping of str to array
        Any of W or A (n_models, n, n), c (n_models, n), gm (n_models,) and alpha, mu,
        sbeta, rho (n_models, n, n_mix).
    drawn : AmicaParameters
        What the rest is taken from.

    Returns
    -------
    AmicaParameters
        The start.

    Examples
    --------
    >>> take_arrays({"W": 2 * np.eye(2)}, draw_parameters(2)).unmix[0, 0]
    array([2., 0.])
    """
    check_known("start array", list(given), _ARRAYS)
    if {"W", "A"} <= set(given):
        raise OptionError("start must have W or A, its inverse, but not both.")
    new: dict[str, np.ndarray] = {}
    for public, (name, n_axes) in _ARRAYS.items():
        if public not in given:
            continue
        array = np.asarray(given[public], dtype=float)
        if not np.isfinite(array).all():
            raise InputError(f"start array {public} contains NaN or Inf.")
        array = array[None] if array.ndim == n_axes - 1 else array  # of one model
        if name in ("alpha", "mu", "beta", "rho") and array.ndim == n_axes:
            array = array.swapaxes(1, 2)
        check_shape(f"start array {public}", array, getattr(drawn, name).shape)
        _check_values(public, array)
        new[name] = np.linalg.inv(array) if public == "A" else array
    start = drawn._replace(**new)
    return start._replace(
        weight=floor_weights(start.weight, axis=0),
        alpha=floor_weights(start.alpha, axis=1),
    )


def _check_values(public: str, array: np.ndarray) -> None:
    if public in ("gm", "alpha", "sbeta", "rho") and not (array > 0).all():
        raise InputError(f"start array {public} must be positive.")
    singular = 1 / np.finfo(float).eps
    if public in ("W", "A") and not (np.linalg.cond(array) < singular).all():
        raise InputError(f"start array {public} must be invertible.")


def _carry_over(
    model: AmicaModel, whitener: Whitener, options: AmicaOptions
) -> AmicaParameters:
    """Express a model, fitted to other sphered data, in the space of these."""
    old, p = model.whitener, model.parameters
    if (len(old.mean), p.mu.shape) != (
        len(whitener.mean),
        (options.n_models, options.n_mix, len(whitener.forward)),
    ):
        raise OptionError(
            "start must be a model with the channels, models, terms and components of "
            f"this fit, but it has {len(old.mean)} channels and terms of shape "
            f"{p.mu.shape}."
        )
    change = old.forward @ whitener.inverse
    shift = old.forward @ (whitener.mean - old.mean)
    unmix = p.unmix @ change
    # Sources are W (x_old - c), and x_old = change x_new + shift.
    center = np.linalg.solve(change, (p.center - shift).T).T
    return _bound(p._replace(unmix=unmix, center=center), options)


def _bound(parameters: AmicaParameters, options: AmicaOptions) -> AmicaParameters:
    return parameters._replace(
        beta=np.clip(parameters.beta, options.invsigmin, options.invsigmax),
        rho=np.clip(parameters.rho, options.minrho, options.maxrho),
    )


def _at(drawn: AmicaParameters, unmix: np.ndarray) -> AmicaParameters:
    """Begin every model near one unmixing; models differ by the random part."""
    scaled = unmix / np.sqrt(2)  # sources of variance 1/2, as the drawn terms expect
    return drawn._replace(unmix=drawn.unmix @ scaled)


def _unmix_by_fastica(x: np.ndarray, seed: int | list[int]) -> np.ndarray:
    from meegic.components.fastica import fit_fastica

    model = fit_fastica(x, seed=_first(seed))
    return model.filters


def _unmix_by_one_term(
    x: np.ndarray, weights: np.ndarray, options: AmicaOptions, seed: int | list[int]
) -> np.ndarray:
    """Fit densities of a single term, which is quick, and take their unmixing."""
    simple = AmicaOptions(
        n_mix=1,
        max_iter=_ONE_TERM_PASSES,
        kernel=options.kernel,
        device=options.device,
    )
    estep = make_estep(x, kernel=options.kernel, device=options.device)
    problem = Problem(estep, weights, simple, seed=0)
    drawn = draw_parameters(len(x), n_mix=1, generator=np.random.default_rng(seed))
    state = problem.run(problem.start(drawn), limit=_ONE_TERM_PASSES)
    return problem.solver.finish(state.solver).unmix[0]


def _read_folder(start: str | Path) -> AmicaModel:
    from meegic.components.eeglab import read_amicaout

    if not Path(start).is_dir():
        check_option("start", str(start), [None, *_WORDS, "a folder with W and S"])
    return read_amicaout(start).to_model()


def _first(seed: int | list[int]) -> int:
    return seed if isinstance(seed, int) else sum(seed) % 2**32
