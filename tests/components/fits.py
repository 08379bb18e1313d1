"""What the tests of fits share: data with known truth, and passes that fail."""

import numpy as np

from meegic.components.kernels import make_estep
from meegic.components.loop import Problem
from meegic.components.parameters import draw_parameters
from meegic.components.whiten import fit_whitener


def simulate(n=4, n_times=3000, seed=0, *, flat=True):
    """Mix peaked sources, and flat ones for every second; give data and mixing."""
    rng = np.random.default_rng(seed)
    sources = rng.laplace(size=(n, n_times))
    for i in range(1, n if flat else 0, 2):
        sources[i] = np.cbrt(rng.normal(size=n_times))  # flat, without an edge
    mixing = rng.normal(size=(n, n)) + 2 * np.eye(n)
    return mixing @ sources, mixing


class Faulty:
    """An E-step whose likelihood is wrong from call ``first`` on, ``n_times`` times."""

    def __init__(self, estep, first, kind, n_times=1):
        self.estep, self.first, self.kind = estep, first, kind
        self.last = first + n_times - 1
        self.n_calls = 0

    def __call__(self, parameters, weights, scores=None):
        self.n_calls += 1
        sums = self.estep(parameters, weights, scores)
        if not self.first <= self.n_calls <= self.last:
            return sums
        if self.kind == "falls":
            worse = sums.log_likelihood - 0.5 * sums.n_samples
            return sums._replace(log_likelihood=worse)
        nothing = {name: one * np.nan for name, one in sums._asdict().items()}
        return type(sums)(**nothing | {"n_samples": sums.n_samples})


def make_problem(data, options, *, wrap=None, weights=None, **kwargs):
    """Make the loop of a fit, and a start for it."""
    whitener = fit_whitener(data, weights=weights)
    estep = make_estep(whitener(data), jacobian=whitener.log_determinant)
    if wrap is not None:
        estep = wrap(estep)
    weights = np.ones(data.shape[1]) if weights is None else weights
    start = draw_parameters(
        len(whitener.forward), n_models=options.n_models, n_mix=options.n_mix,
        rho=options.rho0, generator=np.random.default_rng(0),
    )  # fmt: skip
    return Problem(estep, weights, options, seed=0, **kwargs), start
