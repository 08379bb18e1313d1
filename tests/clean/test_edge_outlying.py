"""Outlying windows and epochs: the potato on covariances, each type by itself."""

import mne
import numpy as np
import pytest
from mne.utils import object_diff
from numpy.testing import assert_array_equal

from clean.edge_recordings import SFREQ, START, list_spans, make_noise, make_raw, mark
from meegic.base.errors import DataWarning, InputError, OptionError
from meegic.base.spans import find_spans, mark_spans
from meegic.clean.artifacts import detect_artifacts_riemann
from meegic.clean.edge.outlying import annotate_artifacts, find_bad_epochs


@pytest.fixture
def data():
    data = make_noise(4, 4000)
    data[:2, 1200:1300] *= 6
    return data


def detect(data, n_window, n_std=3.0):
    windows = data.reshape(len(data), -1, n_window).swapaxes(0, 1)
    centered = windows - windows.mean(axis=2, keepdims=True)
    return detect_artifacts_riemann(centered @ centered.mT / n_window, n_std)


def make_epochs(data, n_times=100, **options):
    cube = data.reshape(len(data), -1, n_times).swapaxes(0, 1)
    info = mne.create_info(len(data), SFREQ, options.pop("kinds", "eeg"))
    return mne.EpochsArray(cube, info, verbose="error", **options)


def pair(mask, n_window):
    return [[k * n_window, (k + 1) * n_window] for k in np.flatnonzero(mask)]


@pytest.mark.parametrize("meas_date", [None, START])
@pytest.mark.parametrize("first_samp", [0, 77])
def test_windows_are_those_of_the_array_function(data, first_samp, meas_date):
    raw = make_raw(data, first_samp=first_samp, meas_date=meas_date)
    mask = detect(data, 100)
    assert mask[12]
    assert list_spans(annotate_artifacts(raw), "BAD_riemann") == pair(mask, 100)
    mask = detect(data, 100, n_std=50.0)
    found = annotate_artifacts(raw, n_std=50.0)
    assert list_spans(found, "BAD_riemann") == pair(mask, 100)


def test_epochs_are_those_of_the_array_function(data):
    epochs = make_epochs(data, tmin=-0.2)
    assert_array_equal(find_bad_epochs(epochs), np.flatnonzero(detect(data, 100)))
    assert len(epochs.drop(find_bad_epochs(epochs), verbose="error")) < 40


def test_each_type_is_judged_by_itself(data):
    both = np.vstack([data, data[:, ::-1]])
    raw = make_raw(both, ["eeg"] * 4 + ["mag"] * 4)
    expected = detect(data, 100) | detect(data[:, ::-1], 100)
    assert list_spans(annotate_artifacts(raw), "BAD_riemann") == pair(expected, 100)
    epochs = make_epochs(both, kinds=["eeg"] * 4 + ["mag"] * 4)
    assert_array_equal(find_bad_epochs(epochs), np.flatnonzero(expected))
    only = find_bad_epochs(epochs, types=["eeg"])
    assert_array_equal(only, np.flatnonzero(detect(data, 100)))


def test_row_42_windows_lie_between_boundaries_and_marked_spans(data):
    data = np.hstack([data, data[:, :200]])  # 40 windows will be left
    data[:, 2000:2030] *= 100
    data[:2, 3330:3430] *= 6
    raw = make_raw(data, first_samp=11)
    mark(raw, 10.5, 0.0, "BAD boundary")
    mark(raw, 20.0, 0.3, "BAD_mine")
    starts = [*range(0, 1000, 100), *range(1050, 1950, 100), *range(2030, 4130, 100)]
    windows = np.concatenate([data[:, k : k + 100] for k in starts], axis=1)
    outlying = np.array(starts)[detect(windows, 100)]
    wanted = mark_spans(np.stack([outlying, outlying + 100], axis=1), 4200)
    found = annotate_artifacts(raw)
    assert list_spans(found, "BAD_riemann") == find_spans(wanted).tolist()
    assert wanted[1200:1250].any()
    assert wanted[3330:3430].all()


def test_row_26_average_reference_is_compared_in_its_subspace(data):
    referenced = data - data.mean(axis=0)
    mask = detect(np.linalg.qr(referenced @ referenced.T)[0].T[:3] @ referenced, 100)
    found = annotate_artifacts(make_raw(referenced))
    assert list_spans(found, "BAD_riemann") == pair(mask, 100)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_row_21_row_22_nonfinite_samples(data, value):
    data = np.hstack([data, data[:, :100]])  # 40 windows will be left
    data[1, 510:520] = value
    raw, epochs = make_raw(data), make_epochs(data)
    with pytest.raises(InputError, match=r"channel 'eeg1': 10 samples.* 5\.100 s"):
        annotate_artifacts(raw)
    annotated = annotate_artifacts(raw, on_nonfinite="annotate")
    assert list_spans(annotated, "BAD_nan") == [[510, 520]]
    with pytest.raises(InputError, match=r"channel '1': 10 samples.*in epoch 5"):
        find_bad_epochs(epochs)
    rest = np.delete(data.reshape(4, 41, 100), 5, axis=1).reshape(4, -1)
    expected = np.insert(detect(rest, 100), 5, True)
    found = find_bad_epochs(epochs, on_nonfinite="annotate")
    assert_array_equal(found, np.flatnonzero(expected))


def test_epochs_of_which_none_is_finite_are_refused(data):
    data[0, ::100] = np.nan
    with pytest.raises(InputError, match="no sample is left"):
        find_bad_epochs(make_epochs(data), on_nonfinite="annotate")


def test_row_23_flat_and_bad_channels_are_left_out(data):
    more = np.vstack([data, np.ones(4000), 1e6 * make_noise(1, 4000)])
    raw, epochs = make_raw(more), make_epochs(more)
    raw.info["bads"], epochs.info["bads"] = ["eeg5"], ["5"]
    with pytest.warns(DataWarning, match=r"\['eeg4'\] do not vary"):
        found = annotate_artifacts(raw)
    assert list_spans(found, "BAD_riemann") == pair(detect(data, 100), 100)
    with pytest.warns(DataWarning, match=r"\['4'\] do not vary"):
        found = find_bad_epochs(epochs)
    assert_array_equal(found, np.flatnonzero(detect(data, 100)))


def test_row_36_windows_that_are_too_short_are_refused(data):
    raw = make_raw(data)
    with pytest.raises(InputError, match=r"longer than 0\.04 s for 4 .* have 0\.04 s"):
        annotate_artifacts(raw, window_s=0.04)
    annotate_artifacts(raw.copy().crop(0, 1.59), window_s=0.04, shrinkage=0.1)
    with pytest.raises(InputError, match=r"a stretch of 50 s, .* longest has 40 s"):
        annotate_artifacts(raw, window_s=50.0)
    with pytest.raises(OptionError, match="shrinkage must be"):
        annotate_artifacts(raw, shrinkage=-0.1)


@pytest.mark.parametrize("unit", [1e-13, 1e6])
def test_row_28_unit_does_not_matter(data, unit):
    expected = find_bad_epochs(make_epochs(data))
    assert_array_equal(find_bad_epochs(make_epochs(unit * data)), expected)


def test_recordings_stay(data):
    raw, epochs = make_raw(data.copy()), make_epochs(data.copy())
    for inst, run in ((raw, annotate_artifacts), (epochs, find_bad_epochs)):
        values, info = inst.get_data().copy(), inst.info.copy()
        run(inst)
        assert_array_equal(inst.get_data(), values)
        assert object_diff(inst.info, info) == ""
    assert not len(raw.annotations)


def test_epochs_need_not_be_loaded(data):
    raw = make_raw(data)
    events = mne.make_fixed_length_events(raw, duration=1.0)
    limits = {"tmin": 0.0, "tmax": 0.99, "baseline": None, "reject": {"eeg": 1e9}}
    lazy = mne.Epochs(raw, events, **limits, verbose="error")
    assert_array_equal(find_bad_epochs(lazy), find_bad_epochs(make_epochs(data)))
    assert not lazy.preload


def test_each_takes_its_own_kind_of_object(data):
    with pytest.raises(TypeError, match="must be an mne Raw, but got EpochsArray"):
        annotate_artifacts(make_epochs(data))
    with pytest.raises(
        TypeError, match=r"got RawArray\. annotate_artifacts takes a Raw"
    ):
        find_bad_epochs(make_raw(data))
