"""Labels of components beside mne-icalabel: speed, memory, differences."""

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import mne
import numpy as np

import meegic
from benchmarks.amica_costs import run_fresh
from benchmarks.amica_data import two_threads
from benchmarks.harness import Case, Comparison, Outcome, Row, compare
from meegic.labels.megnet import draw_magnetometer_maps, plan_windows, run_megnet

OURS, THEIRS = "meegic", "mne-icalabel"
PEER = "mne_icalabel"
FIT_S = 60.0  # of the recording, for its ICA


class Job(NamedTuple):
    """A recording and its ICA, and how many times faster its features shall be."""

    layout: str
    n_channels: int
    n_components: int
    sfreq: float
    duration_s: float
    target: float

    @property
    def name(self) -> str:
        return (
            f"{self.n_components} of {self.n_channels} channels, "
            f"{self.duration_s:g} s x {self.sfreq:g} Hz"
        )


SMALL = (
    Job("eeg32", 30, 15, 128.0, 238.0, 30.0),
    Job("eeg32", 30, 29, 128.0, 238.0, 30.0),
)
LARGE = (
    Job("eeg64", 64, 15, 500.0, 600.0, 15.0),
    Job("eeg64", 64, 32, 500.0, 600.0, 15.0),
    Job("eeg64", 64, 64, 500.0, 600.0, 10.0),
)
QUICK = (Job("eeg19", 19, 6, 128.0, 60.0, 30.0),)
MEG = ("heart beat", "eye blink", "eye movement", "brain")  # one component of each
MEG_S = 180.0
N_FEW, FEW_WARM, MANY_FIRST = 30, 3.0, 8.0  # whole calls: how many times faster
MOST_MEMORY = 1.2  # times the data
LARGEST_DIFFERENCE = 1e-5  # of probabilities, with compat


def run(quick: bool) -> list[Comparison]:
    """Compare features, whole calls, MEGNet's windows, and what comes out."""
    jobs = QUICK if quick else (*SMALL, *LARGE)
    whole = QUICK if quick else (*SMALL, LARGE[-1])
    with two_threads(), mne.use_log_level("error"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of both: what ICLabel was not trained with
        features = [_compare_features(job, quick) for job in jobs]
        calls = [_compare_calls(job, quick) for job in whole]
        differences = _compare_numbers(jobs, quick)
        megnet = [_compare_votes(quick), _compare_windows(quick)]
    rows = _judge(jobs, features, whole, calls, differences)
    title = "Targets: how many times faster than mne-icalabel, or the most allowed"
    if quick:
        title += "; the quick form is too small for them"
    table = Comparison(title, None, tuple(rows), peers=(), skipped=())
    return [*features, *calls, differences, *megnet, table]


@cache
def simulate(job: Job) -> tuple[mne.io.BaseRaw, mne.preprocessing.ICA]:
    """Simulate EEG and decompose its beginning; average reference if rank allows."""
    raw, _ = meegic.simulate_recording(
        job.layout, duration_s=job.duration_s, sfreq=job.sfreq, n_bad_channels=0
    )
    raw.pick("eeg").pick(raw.ch_names[: job.n_channels])
    if job.n_components < job.n_channels:
        raw.set_eeg_reference("average")
    raw.filter(1.0, min(100.0, 0.45 * job.sfreq))
    part = raw.copy().crop(0, min(FIT_S, raw.times[-1]))
    ica = meegic.AmicaICA(job.n_components, random_state=0, verbose=False).fit(part)
    return raw, ica.get_mne_ica()


def _compare_features(job: Job, quick: bool) -> Comparison:
    cases = [
        Case(OURS, partial(meegic.get_iclabel_features, *simulate(job))),
        Case(THEIRS, partial(_their_features, *simulate(job)), peer=PEER),
    ]
    repeats = 1 if quick else 3
    return compare(f"Features, {job.name}", cases, repeats=repeats, baseline=OURS)


def _their_features(*given: Any) -> object:
    from mne_icalabel.iclabel import get_iclabel_features

    return get_iclabel_features(*given)


def _compare_calls(job: Job, quick: bool) -> Comparison:
    """Compare first and warm calls of fresh processes, and what memory they add."""
    raw, ica = simulate(job)
    with tempfile.TemporaryDirectory() as folder:
        stored = [str(Path(folder) / name) for name in ("one_raw.fif", "one-ica.fif")]
        raw.save(stored[0], fmt="double")
        ica.save(stored[1])
        cases = [
            Case(name, partial(_label_fresh, name, *stored), peer=PEER)
            for name in (OURS, THEIRS)
        ]
        title = f"Labels in a fresh process, {job.name}; times are of its first call"
        return compare(title, cases, repeats=0 if quick else 3, baseline=None)


def _label_fresh(*arguments: str) -> Outcome:
    code = "import json; from benchmarks.labels_fresh import measure; "
    outcome = run_fresh(f"{code}print(json.dumps(measure{arguments}))")
    return replace(outcome, seconds=[outcome.values["first call s"]])


def _compare_numbers(jobs: Sequence[Job], quick: bool) -> Comparison:
    cases = [Case(job.name, partial(_subtract, job), peer=PEER) for job in jobs]
    if not quick:
        cases.append(Case("MEGNet", _subtract_votes, peer=PEER))
    title = "Differences of probabilities from mne-icalabel's, same ICA"
    return compare(title, cases, repeats=0, baseline=None)


def _subtract(job: Job) -> Outcome:
    from mne_icalabel.iclabel import iclabel_label_components

    given = simulate(job)
    theirs = iclabel_label_components(*given, inplace=False, backend="onnx")
    default, compat = (
        meegic.iclabel_label_components(*given, inplace=False, compat=compat)
        for compat in (None, THEIRS)
    )
    return _measure_differences(theirs, default, compat)


def _measure_differences(
    theirs: np.ndarray, default: np.ndarray, compat: np.ndarray
) -> Outcome:
    other = default.argmax(axis=1) != theirs.argmax(axis=1)
    return Outcome(
        values={
            "compat, largest": float(np.abs(compat - theirs).max()),
            "default, largest": float(np.abs(default - theirs).max()),
            "default, other labels": float(other.sum()),
        }
    )


def _compare_votes(quick: bool) -> Comparison:
    """Compare how windows are weighed, without the network."""
    n_times = 20_000 if quick else 150_000
    cases = [
        Case(OURS, partial(plan_windows, n_times, compat=THEIRS)),
        Case(THEIRS, partial(_count_votes, n_times), peer=PEER),
    ]
    title = f"MEGNet's votes of one component, {n_times / 250:g} s"
    return compare(title, cases, repeats=0 if quick else 3, baseline=OURS)


class _Silent:
    """In the place of the network, so that only its votes are timed."""

    name = "input"

    def get_inputs(self) -> list["_Silent"]:
        return [self, self]

    def run(self, *_: object) -> list[np.ndarray]:
        return [np.full((1, 4), 0.25)]


def _count_votes(n_times: int) -> object:
    from mne_icalabel.megnet.label_components import _chunk_predicting

    image = np.zeros((1, 120, 120, 3))
    return _chunk_predicting(_Silent(), np.zeros((1, n_times)), image)


@cache
def _simulate_meg(n_components: int, duration_s: float) -> dict[str, np.ndarray]:
    """Take sources as components: time courses, maps and places of sensors."""
    raw, truth = meegic.simulate_recording(
        "ctf151", duration_s=duration_s, n_bad_channels=0
    )
    raw.pick("mag")
    rows = [truth.ch_names.index(one) for one in raw.ch_names]
    taken = [truth.select(kind)[0] for kind in MEG[:n_components]]
    series = truth.sources[taken]
    return {
        "series": series / series.std(axis=1, keepdims=True),
        "mixing": truth.mixing[0][np.ix_(rows, taken)],
        "positions": np.array([one["loc"][:3] for one in raw.info["chs"]]),
    }


def _compare_windows(quick: bool) -> Comparison:
    """Compare windows through the network, some components of a simulated MEG."""
    size = (1, 60.0) if quick else (len(MEG), MEG_S)
    given = _simulate_meg(*size)
    cases = [
        Case("meegic, compat", partial(run_megnet, **given, compat=THEIRS)),
        Case(THEIRS, partial(_ask_theirs, **given), peer=PEER),
        Case("meegic, both signs", partial(run_megnet, **given)),
    ]
    title = f"MEGNet's windows, {size[0]} components, {size[1]:g} s at 250 Hz"
    repeats = 0 if quick else 3
    return compare(title, cases, repeats=repeats, baseline="meegic, compat")


def _ask_theirs(
    series: np.ndarray, mixing: np.ndarray, positions: np.ndarray
) -> np.ndarray:
    import onnxruntime
    from mne_icalabel.megnet.label_components import _MODEL_PATH, _chunk_predicting

    images = draw_magnetometer_maps(mixing, positions, compat=THEIRS)
    session = onnxruntime.InferenceSession(_MODEL_PATH)
    return _chunk_predicting(session, series, images)[:, 0]


def _subtract_votes() -> Outcome:
    given = _simulate_meg(len(MEG), MEG_S)
    theirs = _ask_theirs(**given)
    default, compat = (
        run_megnet(**given, compat=compat).proba for compat in (None, THEIRS)
    )
    return _measure_differences(theirs, default, compat)


def _judge(
    jobs: Sequence[Job],
    features: Sequence[Comparison],
    whole: Sequence[Job],
    calls: Sequence[Comparison],
    differences: Comparison,
) -> list[Row]:
    """Set targets beside what was measured, where the peer was there."""
    rows = []
    for job, one in zip(jobs, features, strict=True):
        found = {row.name: row for row in one.rows}
        if THEIRS in found:
            ratio = found[THEIRS].min_s / found[OURS].min_s
            rows.append(_hold(f"features, {job.name}", found[OURS], ratio, job.target))
    for job, one in zip(whole, calls, strict=True):
        found = {row.name: row for row in one.rows}
        if THEIRS in found:
            rows += _judge_calls(job, found[OURS], found[THEIRS])
    for row in differences.rows:
        largest = row.values["compat, largest"]
        name = f"compat, probabilities, {row.name}"
        rows.append(_hold(name, row, largest, LARGEST_DIFFERENCE, most=True))
    return rows


def _judge_calls(job: Job, ours: Row, theirs: Row) -> list[Row]:
    few = job.n_components <= N_FEW
    target = FEW_WARM if few else MANY_FIRST
    keys = ["warm s"] if few else ["import s", "first call s"]
    name = f"whole, {'warm' if few else 'import and first call'}, {job.name}"
    seconds = [sum(row.values[key] for key in keys) for row in (theirs, ours)]
    added = ours.values["warm adds per data"]
    return [
        _hold(name, ours, seconds[0] / seconds[1], target),
        _hold(f"memory, {job.name}", ours, added, MOST_MEMORY, most=True),
    ]


def _hold(
    name: str, row: Row, measured: float, target: float, *, most: bool = False
) -> Row:
    """Say whether a number is at least its target, or at most."""
    met = measured <= target if most else measured >= target
    values = {"target": target, "measured": measured, "met": float(met)}
    return replace(row, name=name, ratio=None, values=values)
