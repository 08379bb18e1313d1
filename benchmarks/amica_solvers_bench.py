"""AMICA's two solvers beside each other: which one is to be the default."""

from functools import partial

import numpy as np

from benchmarks.amica_data import Recording, mix_varied, read_real, two_threads
from benchmarks.amica_fits import N_EM, trace_fit
from benchmarks.harness import Case, Comparison, Outcome, compare


def run(quick: bool) -> list[Comparison]:
    """Race quasi-Newton against EM from several starts of several problems.

    Solvers end in different optima from one start, so medians are compared; the more
    starts, the more two models differ.
    """
    n_em = N_EM // 20 if quick else N_EM
    problems = [(mix_varied(12, 5000, 2, seed=0), 2, 1)] if quick else []
    real = read_real()
    if real is not None and not quick:
        problems += [(real, 1, 10), (real, 2, 10)]
    for seed in () if quick else range(10):
        n_models = 1 + seed % 2
        recording = mix_varied(12 + 2 * seed, 20_000, n_models, seed)
        problems.append((recording, n_models, 3))
    cases = [
        Case(f"{one.size}, M = {m}, {k} starts", partial(_race, one, m, k, n_em))
        for one, m, k in problems
    ]
    title = (
        f"Median log-likelihood after {n_em} iterations of EM, {n_em // 3} passes of "
        "quasi-Newton, and at its own end; starts from which quasi-Newton reaches "
        "the median of EM within those passes, and passes to it"
    )
    with two_threads():
        return [compare(title, cases, repeats=0, baseline=None)]


def _race(recording: Recording, n_models: int, n_starts: int, n_em: int) -> Outcome:
    """Fit by EM, by quasi-Newton with a third of the passes, and as by default."""
    rows, traces, seconds = [], [], []
    for seed in range(n_starts):
        fit = partial(trace_fit, recording, seed, n_models=n_models)
        em = fit(solver="em", max_iter=n_em)
        ours = fit(max_iter=n_em // 3, use_min_dll=False)
        stopped = fit()
        traces.append(ours)
        rows.append((em.values.max(), ours.end, stopped.end, stopped.passes[-1]))
        seconds.append(stopped.total_s)
    em, third, default, spent = np.median(rows, axis=0).tolist()
    at = [one.reach(em) for one in traces]
    passes = [
        float(one.passes[k]) for one, k in zip(traces, at, strict=True) if k is not None
    ]
    values = {
        "EM": em,
        "third": third,
        "default": default,
        "third - EM": third - em,
        "default - EM": default - em,
        "default passes": spent,
        "reached": len(passes),
    }
    if passes:
        values["passes to EM"] = float(np.median(passes))
    return Outcome(seconds, values)
