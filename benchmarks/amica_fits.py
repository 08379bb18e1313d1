"""How soon a fit is as good as another one, and how good it gets."""

import statistics
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from benchmarks.amica_data import Recording
from benchmarks.amica_peers import fit_pyamica
from benchmarks.harness import Case, Comparison, Outcome, compare
from meegic.components.amica import fit_amica
from meegic.components.em import likelihood, m_step
from meegic.components.kernels import make_estep
from meegic.components.options import AmicaOptions
from meegic.components.parameters import draw_parameters
from meegic.components.threads import one_blas_thread

TARGET = -3.39754  # of 2000 EM and Newton iterations on the real recording
N_EM = 2000
_FLAT = 1e-8  # gain per pass at which densities count as fitted


class Trace(NamedTuple):
    """The course of a fit: time, passes and log-likelihood after every iteration."""

    seconds: np.ndarray
    passes: np.ndarray
    values: np.ndarray
    total_s: float
    end: float

    def reach(self, value: float) -> int | None:
        """Find the first callback at which the value is reached."""
        reached = np.flatnonzero(self.values >= value)
        return int(reached[0]) if len(reached) else None


def trace_fit(recording: Recording, seed: int, **options: Any) -> Trace:
    rows: list[tuple[float, float, float]] = []

    def record(state) -> None:
        now = time.perf_counter() - start
        rows.append((now, state.n_evals, state.log_likelihood))

    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 2000 iterations of EM do not converge
        model = fit_amica(
            recording.data, AmicaOptions(**options), seed=seed, callback=record
        )
    total = time.perf_counter() - start
    seconds, passes, values = np.array(rows).T
    return Trace(seconds, passes, values, total, model.log_likelihood)


def compare_time_to_likelihood(recording: Recording, quick: bool) -> Comparison:
    """Compare the time to the likelihood that EM has after 2000 iterations."""
    fits = cache(
        lambda: [trace_fit(recording, seed) for seed in range(1 if quick else 10)]
    )
    ours = "meegic, default, to the target"
    cases = [
        Case(ours, lambda: _reach(fits())),
        Case("meegic, default, to its own end", lambda: _finish(fits())),
    ]
    if not quick:
        name = f"meegic, EM, {N_EM} iterations"
        cases.append(Case(name, partial(_run_em, recording, range(3))))
    few = 2 if quick else 200  # all of pyAMICA's take equally long
    name = f"pyAMICA, {N_EM} iterations, extrapolated from {few}"
    cases.append(Case(name, partial(_extend, recording, few), peer="pyamica"))
    title = (
        f"Time to a log-likelihood of {TARGET}, {recording.size}; pyAMICA: at least "
        "200; the end: fewer than 500 passes, none below -3.3968"
    )
    return compare(title, cases, repeats=0, baseline=ours)


def compare_single_models(recording: Recording, quick: bool) -> Comparison:
    """Compare default fits of one model, and how probable each makes the data."""
    n_passes = 100 if quick else 1000  # until the densities are fitted
    cases = [
        Case("meegic", partial(_fit_default, recording, count())),
        Case(
            "MNE, extended Infomax",
            partial(_fit_infomax, recording, count(), n_passes),
        ),
        Case(
            "Picard, extended",
            partial(_fit_picard, recording, count(), n_passes, ortho=False),
            peer="picard",
        ),
    ]
    if not quick:
        theirs = partial(_fit_picard, recording, count(), n_passes, ortho=True)
        cases.append(Case("Picard-O, extended", theirs, peer="picard"))
    title = (
        f"Default fit of one model, {recording.size}; log-likelihood of each unmixing "
        "under its best densities"
    )
    return compare(title, cases, repeats=0 if quick else 7, baseline="meegic")


def fit_densities(recording: Recording, unmix: np.ndarray, max_iter: int) -> float:
    """Fit densities by EM to sources whose unmixing stays; give the log-likelihood."""
    x = recording.x
    n, n_times = x.shape
    unmix = unmix / (unmix @ x).std(axis=1, keepdims=True)  # as the terms start
    parameters = draw_parameters(n)._replace(unmix=unmix[None])
    still = np.zeros((1, n, n))
    options = AmicaOptions(doscaling=False)
    step = make_estep(x, jacobian=recording.whitener.log_determinant)
    best = -np.inf
    with one_blas_thread():
        for _ in range(max_iter):
            sums = step(parameters, np.ones(n_times))
            before, best = best, max(best, likelihood(sums))
            if best - before < _FLAT:
                break
            parameters = m_step(
                parameters, sums, still, options, lrate=0.0, rholrate=0.05
            )
    return best


def _reach(traces: Sequence[Trace]) -> Outcome:
    at = [one.reach(TARGET) for one in traces]
    found = [(one, k) for one, k in zip(traces, at, strict=True) if k is not None]
    seconds = [float(one.seconds[k]) for one, k in found]
    passes = [float(one.passes[k]) for one, k in found]
    values = {"starts": len(traces), "reached": len(found)}
    if found:
        values |= {"passes": statistics.median(passes), "most": max(passes)}
    return Outcome(seconds or [one.total_s for one in traces], values)


def _finish(traces: Sequence[Trace]) -> Outcome:
    passes = [float(one.passes[-1]) for one in traces]
    ends = [one.end for one in traces]
    values = {
        "starts": len(traces),
        "passes": statistics.median(passes),
        "most": max(passes),
        "LL": statistics.median(ends),
        "lowest LL": min(ends),
    }
    return Outcome([one.total_s for one in traces], values)


def _run_em(recording: Recording, seeds: Iterable[int]) -> Outcome:
    options = {"solver": "em", "max_iter": N_EM}
    return _finish([trace_fit(recording, seed, **options) for seed in seeds])


def _extend(recording: Recording, n_iter: int) -> Outcome:
    seconds = fit_pyamica(recording, n_iter + 1).iter_times_[1:]
    return Outcome([N_EM * statistics.median(seconds)], {"passes": N_EM})


def _fit_default(recording: Recording, seeds: Iterator[int]) -> Outcome:
    trace = trace_fit(recording, next(seeds))
    return Outcome([trace.total_s], {"LL": trace.end})


def _fit_infomax(recording: Recording, seeds: Iterator[int], n_passes: int) -> Outcome:
    from mne.preprocessing import infomax

    x = recording.x.T
    start = time.perf_counter()
    unmix = infomax(
        x, extended=True, max_iter=500, rng=next(seeds), verbose=False
    )  # 500 is what ICA takes
    seconds = time.perf_counter() - start
    return Outcome([seconds], {"LL": fit_densities(recording, unmix, n_passes)})


def _fit_picard(
    recording: Recording, seeds: Iterator[int], n_passes: int, *, ortho: bool
) -> Outcome:
    from picard import picard

    x, seed = recording.x, next(seeds)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it did not converge
        _, unmix, _ = picard(
            x, ortho=ortho, extended=True, whiten=False, random_state=seed
        )
    seconds = time.perf_counter() - start
    return Outcome([seconds], {"LL": fit_densities(recording, unmix, n_passes)})
