import json
import sys
from pathlib import Path

import mne
import pytest

sys.path.append(str(Path(__file__).parents[2]))  # where benchmarks/ is

from benchmarks.harness import Comparison, Row
from benchmarks.labels_bench import OURS, THEIRS, Job

from benchmarks import labels_bench, labels_fresh
from labels.icas import simulate

VALUES = {
    "import s": 1.0, "first call s": 3.0, "warm s": 2.0,
    "first adds per data": 9.0, "warm adds per data": 1.3,
}  # fmt: skip


def row(name, seconds=1.0, **values):
    return Row(name, seconds, seconds, seconds, seconds, None, None, values)


def judge(job, ours, theirs):
    found = labels_bench._judge_calls(
        job, row(OURS, **(VALUES | ours)), row(THEIRS, **(VALUES | theirs))
    )
    return {one.name.split(",")[0]: one.values for one in found}


@pytest.mark.parametrize(
    ("n_components", "ratio", "target"), [(30, 7.0, 3.0), (31, 12.0, 8.0)]
)
def test_few_components_are_judged_warm_and_many_with_the_import(
    n_components, ratio, target
):
    job = Job("eeg64", 64, n_components, 500.0, 600.0, 10.0)
    said = judge(job, {}, {"warm s": 14.0, "first call s": 44.0, "import s": 4.0})
    assert said["whole"] == {"target": target, "measured": ratio, "met": 1.0}
    assert said["memory"] == {"target": 1.2, "measured": 1.3, "met": 0.0}


def test_what_is_slower_or_further_off_is_not_met():
    job = labels_bench.QUICK[0]

    rows = (row(OURS, 1.0), row(THEIRS, job.target - 1))
    features = [Comparison("", OURS, rows, (), ())]
    apart = Comparison("", None, (row("x", **{"compat, largest": 2e-5}),), (), ())
    said = labels_bench._judge([job], features, [], [], apart)
    assert [one.values["met"] for one in said] == [0.0, 0.0]
    close = Comparison("", None, (row("x", **{"compat, largest": 9e-6}),), (), ())
    assert labels_bench._judge([], [], [], [], close)[0].values["met"] == 1.0


def test_stored_recording_is_labelled_and_measured(tmp_path):
    raw, ica = simulate(sfreq=100.0)
    ica.pca_mean_ = 0 * ica.pca_components_[0]
    raw.save(tmp_path / "one_raw.fif", verbose="error")
    ica.save(tmp_path / "one-ica.fif", verbose="error")
    with mne.use_log_level("error"):
        found = labels_fresh.measure(
            OURS, str(tmp_path / "one_raw.fif"), str(tmp_path / "one-ica.fif")
        )
    assert found.keys() == VALUES.keys()
    assert json.dumps(found)
    assert min(found["first call s"], found["warm s"]) > 0
