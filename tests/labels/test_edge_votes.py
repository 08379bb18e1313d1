"""Who says what of a component."""

import mne
import numpy as np
import pytest

from labels.icas import make_ica, simulate
from meegic import combine_labels, label_components
from meegic.base.errors import InputError, OptionError
from meegic.labels.edge.votes import LINE_SHARE, measure_line
from meegic.labels.result import ComponentLabels
from meegic.math.spectra import welch_power


@pytest.fixture(scope="module")
def case():
    """Component 0 follows the EOG channel, component 1 is mostly hum."""
    raw, ica = simulate(4, duration_s=20.0)
    sources = ica.get_sources(raw).get_data()
    w = ica.unmixing_matrix_ @ ica.pca_components_
    mixing = np.linalg.pinv(w)
    blinks = np.zeros(len(raw.times))
    blinks[np.arange(150, 2400, 300)[:, None] + np.arange(-20, 20)] = 8 * np.hanning(40)
    hum = 6 * np.sin(2 * np.pi * 50 * raw.times)
    size = sources.std()
    raw._data += size * mixing[:, [0]] * blinks + size * mixing[:, [1]] * hum
    eog = mne.io.RawArray(
        [1e-4 * blinks], mne.create_info(["VEOG"], 128.0, "eog"), verbose="error"
    )
    with eog.info._unlock():
        eog.info.update(highpass=1.0, lowpass=100.0)
        eog.info["custom_ref_applied"] = raw.info["custom_ref_applied"]
    return raw.add_channels([eog], force_update_info=True), ica


def test_everybody_votes_and_the_network_decides(case):
    raw, ica = case
    labels = combine_labels(raw, ica, line_freq=50)
    alone = label_components(raw, ica, "iclabel")
    assert labels.labels == alone.labels
    assert len(labels.votes) == 4
    for k, votes in enumerate(labels.votes):
        assert set(votes) == {"iclabel", "eog", "muscle", "line"}
        assert votes["iclabel"] == (alone.labels[k], alone.y_pred_proba[k])
    assert labels.votes[0]["eog"].label == "eye blink"
    assert [one["eog"].label for one in labels.votes[1:]] == [None] * 3
    assert labels.votes[1]["line"].label == "line noise"
    assert [one["line"].label for one in labels.votes].count("line noise") == 1
    scores = [one["eog"].score for one in labels.votes]
    assert np.argmax(scores) == 0


def test_votes_change_no_ica(case):
    raw, ica = case
    ica.labels_ = {"mine": [1]}
    combine_labels(raw, ica)
    assert ica.labels_ == {"mine": [1]}


def test_rules_without_channel_or_frequency_are_left_out(case):
    raw, ica = case
    found = combine_labels(raw.copy().drop_channels("VEOG"), ica)
    assert set(found.votes[0]) == {"iclabel", "muscle"}
    other = raw.copy().set_channel_types({"VEOG": "misc"}, on_unit_change="ignore")
    named = combine_labels(other, ica, eog_ch="VEOG")
    assert named.votes[0]["eog"].label == "eye blink"
    marked = raw.copy()
    marked.info["line_freq"] = 50.0
    assert "line" in combine_labels(marked, ica).votes[0]


def test_labels_that_are_there_are_used(case):
    raw, ica = case
    given = ComponentLabels("iclabel", np.eye(7)[[5, 5, 5, 0]])
    found = combine_labels(raw, ica, labels=given)
    assert found.votes[0]["iclabel"] == ("channel noise", 1.0)
    with pytest.raises(InputError, match="labels must be for the 4 components"):
        combine_labels(raw, ica, labels=ComponentLabels("iclabel", np.eye(7)[:2]))


def test_impossible_line_is_refused(case):
    raw, ica = case
    with pytest.raises(OptionError, match="line_freq must be a number at least 4 Hz"):
        combine_labels(raw, ica, line_freq=64)


def test_epochs_vote_as_well(case):
    raw, ica = case
    epochs = mne.make_fixed_length_epochs(raw, 2.0, preload=True, verbose="error")
    votes = combine_labels(epochs, ica, line_freq=50).votes
    assert votes[1]["line"].label == "line noise"


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e9])
def test_share_of_the_line_is_that_of_its_power(unit):
    rng = np.random.default_rng(0)
    times = np.arange(20000) / 250
    noise = rng.standard_normal((3, 20000))
    lines = [np.sin(2 * np.pi * one * times) for one in (50, 100, 33)]
    data = noise + np.sqrt(2 * 3) * np.array(lines)  # three quarters of all power
    shares = measure_line(welch_power(unit * data, 250.0, window_s=2.0), 50.0)
    np.testing.assert_allclose(shares[:2], 0.75, atol=0.02)
    assert shares[2] < 0.05
    assert 0 < LINE_SHARE < 0.75


def test_rule_of_mne_on_muscle_is_asked(case):
    raw, ica = case
    found, scores = make_ica(
        ica.info, ica.unmixing_matrix_ @ ica.pca_components_
    ).find_bads_muscle(raw, verbose="error")
    votes = [one["muscle"] for one in combine_labels(raw, ica).votes]
    assert [k for k, one in enumerate(votes) if one.label] == sorted(found)
    np.testing.assert_allclose([one.score for one in votes], scores)
