"""How long one iteration of each system takes, measured alike for all.

Every system gets the same data in the same precision and makes its own start. An
iteration counts from the second on, so that compiling and first touches do not.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from unittest.mock import patch

import numpy as np

from benchmarks.amica_data import N_THREADS, Recording
from benchmarks.harness import Outcome
from meegic.components.amica import fit_amica
from meegic.components.kernels import make_estep
from meegic.components.options import AmicaOptions
from meegic.components.parameters import draw_parameters
from meegic.components.threads import one_blas_thread


def time_pass(
    recording: Recording, n_models: int, dtype: str, *, n_passes: int, n_mix: int = 3
) -> Callable[[], Outcome]:
    """Prepare to time our passes over the data, which are made from its start."""
    n, n_times = recording.x.shape
    start = draw_parameters(
        n, n_models=n_models, n_mix=n_mix, generator=np.random.default_rng(0)
    )
    step = make_estep(recording.x, dtype=dtype)
    weights = np.ones(n_times)

    def run() -> Outcome:
        marks = [time.perf_counter()]
        with one_blas_thread():
            for _ in range(n_passes + 1):
                step(start, weights)
                marks.append(time.perf_counter())
        return _count_from_second(np.diff(marks))

    return run


def time_em(recording: Recording, n_models: int, dtype: str, n_iter: int) -> Outcome:
    options = AmicaOptions(
        n_models=n_models, dtype=dtype, solver="em", max_iter=n_iter + 1, polish=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it did not converge
        model = fit_amica(recording.data, options)
    return _count_from_second(model.history.seconds)


def fit_pyamica(recording: Recording, n_iter: int, dtype: str = "float64", **options):
    """Fit by pyAMICA, which otherwise would choose its threads itself."""
    import torch
    from pyamica import AMICA, _core

    data = torch.from_numpy(recording.data.T.astype(dtype))
    model = AMICA(
        max_iter=n_iter,
        dtype=getattr(torch, dtype),
        verbose=False,
        time_iters=True,
        **options,
    )
    torch.manual_seed(0)
    with patch.object(_core, "_physical_core_count", lambda: N_THREADS):
        return model.fit(data)


def time_pyamica(
    recording: Recording, n_models: int, dtype: str, n_iter: int
) -> Outcome:
    model = fit_pyamica(recording, n_iter + 1, dtype, n_models=n_models)
    return _count_from_second(model.iter_times_)


def time_jamica(
    recording: Recording, n_models: int, dtype: str, n_iter: int
) -> Outcome:
    from jamica import Amica, AmicaConfig

    config = AmicaConfig(num_models=n_models, dtype=dtype, max_iter=n_iter + 1)
    result = Amica(config, random_state=0).fit(recording.data)
    return _count_from_second(result.iteration_times)


def time_amica_python(recording: Recording, n_iter: int) -> Outcome:
    """Time from one start of an iteration to the next; one model in float64 is all."""
    import torch

    from amica import AMICA, core

    marks: list[float] = []

    def mark(*, step=core.em_step, **arguments):
        marks.append(time.perf_counter())
        return step(**arguments)

    torch.set_num_threads(N_THREADS)
    model = AMICA(max_iter=n_iter + 2, random_state=0, verbose=0)
    with warnings.catch_warnings(), patch.object(core, "em_step", mark):
        warnings.simplefilter("ignore")  # it did not converge
        model.fit(recording.data.T)
    return _count_from_second(np.diff(marks))


def _count_from_second(seconds: Sequence[float] | np.ndarray) -> Outcome:
    return Outcome(seconds=[float(one) for one in seconds[1:]])
