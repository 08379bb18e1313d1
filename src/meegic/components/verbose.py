"""The lines that `AMICA` prints: the only ones of the package outside its commands."""

from typing import Any

from meegic.components.callbacks import FitProgress
from meegic.components.model import AmicaModel
from meegic.components.options import AmicaOptions
from meegic.components.statistics_cpu import is_compiled


class Reporter:
    """Prints lines as pyAMICA does, and passes news on to the user's callback."""

    def __init__(
        self, given: dict[str, Any], n_samples: int, options: AmicaOptions
    ) -> None:
        self._verbose, self._every = given["verbose"], given["writestep"]
        self._inner, self._n_samples = given["callback"], n_samples
        self._num_reject = options.num_reject

    def __call__(self, news: FitProgress) -> bool | None:
        """Print what is new, and ask whether to stop."""
        if self._verbose:
            if news.rejected:
                print(
                    f"Rejection {news.n_events}/{self._num_reject} at iter "
                    f"{news.iteration}: {news.n_rejected}/{self._n_samples} samples "
                    "excluded total"
                )
            if news.iteration % self._every == 0 or news.iteration == 1:
                print(
                    f"iter {news.iteration:5d}  LL = {news.log_likelihood:.8f}  "
                    f"nd = {news.nd:.3e}  rate = {news.rate:.3g}  "
                    f"{news.seconds:.1f} s"
                )
        return None if self._inner is None else self._inner(news)


def announce_compiling(options: AmicaOptions) -> None:
    """Say that the first fit on a machine takes some seconds longer.

    Examples
    --------
    >>> announce_compiling(AmicaOptions(kernel="jax"))
    """
    if options.kernel != "jax" and options.device == "cpu" and not is_compiled():
        print("Compiling for this processor, once; some seconds ...", flush=True)


def announce_end(model: AmicaModel) -> None:
    """Say how the fit ended, and with how many components when not one a channel.

    Examples
    --------
    >>> import numpy as np
    >>> from meegic.components.amica import fit_amica
    >>> data = np.random.default_rng(0).laplace(size=(2, 2000))
    >>> announce_end(fit_amica(data))
    Done: ...
    """
    n_channels = len(model.whitener.mean)
    fewer = f"{model.n_components} components, {n_channels} channels; "
    print(
        f"Done: {fewer if model.n_components < n_channels else ''}"
        f"{len(model.history.rate)} iterations, {model.stop_reason}, "
        f"LL = {model.log_likelihood:.8f}"
    )
