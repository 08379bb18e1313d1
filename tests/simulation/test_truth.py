"""The file of a truth: it comes back, and one that contradicts itself is refused."""

import copy
from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from meegic.base.errors import IntegrityError
from meegic.base.npz import write_arrays
from meegic.simulation.truth import RecordingTruth, read_truth


@pytest.fixture
def truth():
    return RecordingTruth(
        ch_names=("Fz", "Cz", "Pz"),
        sfreq=100.0,
        seed=7,
        kinds=("brain", "line noise"),
        mixing=np.arange(12.0).reshape(2, 3, 2),
        sources=np.ones((2, 10)),
        moments=np.array([1e-8, np.nan]),
        positions=np.zeros((2, 2, 3)),
        orientations=np.ones((2, 2, 3)),
        evoked=np.array([0, 1]),
        event_samples=np.array([0, 9]),
        block_starts=np.array([0, 5]),
        block_models=np.array([0, 1]),
        span_kinds=("channel noise", "eye blink"),
        span_samples=np.array([[0, 3], [8, 10]]),
        span_channels=("Cz", ""),
        bad_channels=("Pz",),
        noise_std=np.ones(3),
    )


@pytest.fixture
def changed(truth, tmp_path):
    """A file whose arrays are changed."""

    def write(version=1, **changes):
        truth.save(tmp_path / "truth.npz")
        with np.load(tmp_path / "truth.npz") as stored:
            arrays = {**stored, **changes}
        write_arrays(tmp_path / "truth.npz", arrays, version=version)
        return tmp_path / "truth.npz"

    return write


def test_a_truth_comes_back(truth, changed):
    found = read_truth(changed())
    for one in fields(truth):
        assert_array_equal(getattr(found, one.name), getattr(truth, one.name))


def test_a_truth_without_events_spans_and_bad_channels_comes_back(changed):
    names = {
        name: np.array([], dtype=np.str_)
        for name in ("span_kinds", "span_channels", "bad_channels")
    }
    numbers = {name: np.array([], dtype=int) for name in ("evoked", "event_samples")}
    path = changed(span_samples=np.zeros((0, 2), dtype=int), **names, **numbers)
    assert read_truth(path).spans("eye blink").shape == (0, 2)


def test_a_truth_equals_itself_only_and_can_be_a_key(truth):
    assert truth == truth
    assert truth != copy.deepcopy(truth)
    assert {truth: 1}[truth] == 1


def test_a_newer_schema_is_named_even_where_it_has_other_arrays(changed):
    path = changed(version=2, new=np.zeros(1))
    with pytest.raises(IntegrityError, match="has schema 2, but this meegic reads 1"):
        read_truth(path)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("mixing", np.zeros((2, 5, 2)), "mixing has 5 channels, and other arrays 3"),
        ("sources", np.zeros((3, 10)), "sources has 3 sources, and other arrays 2"),
        ("moments", np.zeros(1), "moments has 1 sources"),
        ("positions", np.zeros((1, 2, 3)), "positions has 1 models"),
        ("orientations", np.zeros((2, 4, 3)), "orientations has 4 sources"),
        ("block_models", np.array([0]), "block_models has 1 blocks"),
        ("span_samples", np.array([[0, 1]]), "span_samples has 1 spans"),
        ("span_channels", np.array(["Cz"]), "span_channels has 1 spans"),
        ("noise_std", np.zeros(2), "noise_std has 2 channels"),
        ("evoked", np.array([2]), "evoked must be from 0 to 1"),
        ("event_samples", np.array([10]), "event_samples must be from 0 to 9"),
        ("event_samples", np.array([-1]), "event_samples must be from 0 to 9"),
        ("block_starts", np.array([0, 10]), "block_starts must be from 0 to 9"),
        ("block_starts", np.array([1, 5]), "block_starts must begin with 0 and rise"),
        ("block_starts", np.array([0, 0]), "block_starts must begin with 0 and rise"),
        ("block_models", np.array([0, 7]), "block_models must be from 0 to 1"),
        ("span_samples", np.array([[0, 3], [8, 11]]), "samples must be from 0 to 10"),
        ("span_samples", np.array([[0, 3], [8, 7]]), "not end before they begin"),
        ("span_channels", np.array(["Oz", ""]), r"it has no channels \['Oz'\]"),
        ("bad_channels", np.array(["Oz"]), r"it has no channels \['Oz'\]"),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(changed, name, array, words):
    with pytest.raises(IntegrityError, match=rf"truth\.npz cannot be used: .*{words}"):
        read_truth(changed(**{name: array}))


@pytest.mark.parametrize("name", ["positions", "orientations", "span_samples"])
def test_tuples_of_another_length_are_refused(truth, changed, name):
    shorter = getattr(truth, name)[..., :-1]
    with pytest.raises(IntegrityError, match=rf"member '{name}'.*must have shape"):
        read_truth(changed(**{name: shorter}))


def test_a_truth_without_blocks_is_refused(changed):
    none = np.array([], dtype=int)
    with pytest.raises(IntegrityError, match="block_starts must begin with 0"):
        read_truth(changed(block_starts=none, block_models=none))
