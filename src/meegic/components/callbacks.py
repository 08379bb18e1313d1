"""What a fit tells whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class FitProgress:
    """What a callback is told after every iteration.

    Attributes
    ----------
    iteration, n_evals : int
        Iterations and passes over the data until now.
    log_likelihood, best : float
        Per sample and component, now and at best.
    nd, rate : float
        Size of the gradient or step, and learning rate.
    seconds : float
        Since the fit began.
    n_rejected, n_events : int
        Samples left out, and how often some were.
    rejected : bool
        Whether some were left out in this iteration.
    spent, max_iter : int
        What counts towards the limit, and the limit: passes for quasi-Newton, else
        iterations.
    """

    iteration: int
    n_evals: int
    log_likelihood: float
    best: float
    nd: float
    rate: float
    seconds: float
    n_rejected: int
    n_events: int
    rejected: bool
    spent: int
    max_iter: int


Callback = Callable[[FitProgress], bool | None]


def add_to_likelihood(callback: Callback | None, constant: float) -> Callback | None:
    """Let a callback see likelihoods with a constant that the loop leaves out.

    Parameters
    ----------
    callback : callable | None
        The user's.
    constant : float
        What is added.

    Returns
    -------
    callable | None
        A callback for the loop.

    Examples
    --------
    >>> add_to_likelihood(None, 1.0) is None
    True
    """
    if callback is None:
        return None

    def tell(news: FitProgress) -> bool | None:
        value, best = news.log_likelihood + constant, news.best + constant
        return callback(replace(news, log_likelihood=value, best=best))

    return tell
