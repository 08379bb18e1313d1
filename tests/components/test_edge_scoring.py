"""Scores of MNE's ICA objects, checked against MNE's own dipoles."""

from functools import cache

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meegic import simulate_recording
from meegic.base.errors import (
    DataWarning,
    InputError,
    NotFittedError,
    OptionError,
    ShapeError,
)
from meegic.components.edge.scoring import (
    score_dipolarity,
    score_mir,
    score_mutual_information,
    score_pmi,
)

RNG = np.random.default_rng(0)
BRAIN = 6  # sources of the simulation that are patches of cortex


def make_ica(info, maps):
    """Make an ICA of given maps, as a fit would leave it."""
    n_channels, n = maps.shape
    ica = mne.preprocessing.ICA(n)
    basis, triangle = np.linalg.qr(maps, mode="complete")
    ica.info, ica.ch_names = info, list(info["ch_names"])
    ica.n_components_, ica.n_samples_, ica.current_fit = n, 1000, "raw"
    ica.pre_whitener_, ica.pca_mean_ = np.ones((n_channels, 1)), None
    ica.pca_components_, ica.mixing_matrix_ = basis.T, triangle[:n]
    ica.pca_explained_variance_ = np.ones(n_channels)
    ica.unmixing_matrix_ = np.linalg.inv(triangle[:n])
    return ica


@cache
def simulate_maps(layout, kind):
    """Simulate the maps of patches, eyes, muscles, with their sensors and places."""
    raw, truth = simulate_recording(layout, duration_s=5, n_bad_channels=0)
    names = list(truth.ch_names)
    info = mne.pick_info(raw.info, [raw.ch_names.index(one) for one in names])
    picks = [k for k, one in enumerate(info.get_channel_types()) if one == kind]
    chosen = [*range(BRAIN), *range(truth.kinds.index("eye blink"), len(truth.kinds))]
    maps = truth.mixing[0][np.ix_(picks, chosen)]
    maps = maps / np.abs(maps).max(axis=0)
    return maps, mne.pick_info(info, picks), truth.positions[0][chosen]


@pytest.fixture(scope="module")
def eeg():
    return simulate_maps("eeg32", "eeg")


@pytest.fixture(scope="module")
def raw():
    """A minute of EEG."""
    made, _ = simulate_recording(
        "eeg19", duration_s=60, n_bad_channels=0, random_state=3
    )
    made = made.pick("eeg")
    made.info["bads"] = []
    return made.filter(1, None, verbose="error")


@pytest.fixture(scope="module")
def infomax(raw):
    ica = mne.preprocessing.ICA(8, method="infomax", random_state=0, verbose="error")
    return ica.fit(raw, verbose="error")


def fit_by_mne(maps, info, sphere):
    """Fit dipoles by MNE; give residual variance in percent, and positions."""
    plain = mne.create_info(info["ch_names"], 1000.0, info.get_channel_types())
    with plain._unlock():
        plain["chs"], plain["dev_head_t"] = info["chs"], info["dev_head_t"]
    evoked = mne.EvokedArray(maps * 1e-6, plain, verbose="error")
    noise = mne.Covariance(
        np.full(len(maps), 1e-14), info["ch_names"], [], [], nfree=1, verbose="error"
    )
    if "eeg" in evoked:
        evoked.set_eeg_reference(projection=True, verbose="error")
    found, _ = mne.fit_dipole(evoked, noise, sphere, verbose="error")
    return 100 - found.gof, found.pos


@pytest.mark.parametrize(("layout", "kind"), [("eeg32", "eeg"), ("ctf151", "mag")])
def test_dipoles_are_those_of_mne(layout, kind):
    maps, info, _ = simulate_maps(layout, kind)
    sphere = mne.make_sphere_model((0, 0.005, 0.04), 0.09, verbose="error")
    found = score_dipolarity(make_ica(info, maps), info, method="dipole", sphere=sphere)
    rest, positions = fit_by_mne(maps, info, sphere)
    percent = 100 * found.residual_variance
    assert (percent < rest + 0.5).all()
    near = rest < 15  # where there is no dipole, MNE may stop at a worse place
    assert_allclose(percent[near], rest[near], atol=0.5)
    away = np.linalg.norm(found.positions - positions, axis=1)
    assert away[near].max() < 2e-3


def test_simulated_dipoles_are_found(eeg):
    """The sphere is not quite that of the simulation: it is fitted to electrodes."""
    maps, info, truth = eeg
    found = score_dipolarity(make_ica(info, maps), info, method="dipole")
    assert found.residual_variance[:BRAIN].max() < 1e-3
    away = np.linalg.norm(found.positions - truth, axis=1)
    assert away[:BRAIN].max() < 6e-3


def test_reference_does_not_matter(eeg):
    maps, info, _ = eeg
    one, other = (
        score_dipolarity(make_ica(info, some), info, method="dipole")
        for some in (maps, maps - maps[[4]])
    )
    assert_allclose(one.residual_variance, other.residual_variance, atol=1e-6)


def test_maps_of_magnetometers_without_digitization():
    maps, info, _ = simulate_maps("neuromag306", "mag")
    with pytest.warns(
        DataWarning, match=r"not digitized: a sphere of 90 mm .*0, 0, 40"
    ):
        found = score_dipolarity(make_ica(info, maps), info, method="dipole")
    assert found.residual_variance[:BRAIN].max() < 1e-3
    lost = info.copy()
    with lost._unlock():
        lost["dev_head_t"] = None
    with pytest.warns(DataWarning, match="not digitized"):
        found = score_dipolarity(make_ica(info, maps[:, :2]), lost, method="dipole")
    assert np.isfinite(found.positions).all()


def test_projections_that_were_applied_are_no_misfit(eeg):
    maps, info, _ = simulate_maps("ctf151", "mag")
    vector = RNG.normal(size=len(maps))
    vector /= np.linalg.norm(vector)
    payload = {
        "row_names": None, "col_names": info["ch_names"][::-1], "nrow": 1,
        "ncol": len(maps), "data": vector[None, ::-1],
    }  # fmt: skip
    applied = info.copy()
    with applied._unlock():
        applied["projs"] = [mne.Projection(data=payload, active=True)]
    maps = maps - np.outer(vector, vector @ maps)
    sphere = mne.make_sphere_model((0, 0, 0.04), 0.09, verbose="error")
    one, other = (
        score_dipolarity(make_ica(info, maps), some, method="dipole", sphere=sphere)
        for some in (applied, info)
    )
    assert one.residual_variance[:BRAIN].max() < 1e-3
    assert other.residual_variance[:BRAIN].max() > 1e-2


@pytest.mark.parametrize("method", ["linear", "dipole"])
def test_channels_are_matched_by_name(eeg, method):
    maps, info, _ = eeg
    ica = make_ica(info, maps[:, :5])
    order = RNG.permutation(len(info["ch_names"]))
    shuffled = mne.pick_info(info, order)
    one, other = (
        score_dipolarity(ica, some, method=method) for some in (info, shuffled)
    )
    if method == "dipole":
        assert_allclose(one.positions, other.positions, atol=1e-9)
        one, other = one.residual_variance, other.residual_variance
    assert_allclose(one, other, atol=1e-9)


def test_channels_without_a_position_and_missing_ones_are_left_out(eeg):
    maps, info, _ = eeg
    ica = make_ica(info, maps[:, :5])
    part = mne.pick_info(info, range(24))
    holes = info.copy()
    for k in range(24, 28):
        holes["chs"][k]["loc"][:3] = 0
    for k in range(28, 32):
        holes["chs"][k]["loc"][:3] = np.nan
    for method in ("linear", "dipole"):
        one, other = (
            score_dipolarity(ica, some, method=method) for some in (part, holes)
        )
        if method == "dipole":
            one, other = one.residual_variance, other.residual_variance
        assert_allclose(one, other, atol=1e-6)


def test_maps_without_positions_are_refused(eeg):
    maps, info, _ = eeg
    ica = make_ica(info, maps)
    bare = mne.create_info(info["ch_names"], 100.0, "eeg")
    with pytest.raises(InputError, match=r"no channel has a position.*montage"):
        score_dipolarity(ica, bare)
    with pytest.raises(
        InputError, match="must have channels of the ICA, but it has no"
    ):
        score_dipolarity(ica, mne.create_info(["A1", "A2"], 100.0, "eeg"))
    other = mne.create_info(info["ch_names"], 100.0, "misc")
    with pytest.raises(InputError, match="must have channels of type 'eeg', 'mag' or"):
        score_dipolarity(ica, other)


def test_heads_that_are_none_are_refused(eeg):
    maps, info, _ = eeg
    ica = make_ica(info, maps)
    large = info.copy()
    for one in large["chs"]:
        one["loc"][:3] *= 1000
    with pytest.raises(InputError, match=r"sphere of \d+ mm, which no head is"):
        score_dipolarity(ica, large, method="dipole")
    flat = info.copy()
    for one in flat["chs"]:
        one["loc"][2] = 0.05
    with pytest.raises(InputError, match="lie in one plane"):
        score_dipolarity(ica, flat, method="dipole")
    empty = mne.make_sphere_model(head_radius=None, verbose="error")
    with pytest.raises(InputError, match="sphere must have shells for EEG"):
        score_dipolarity(ica, info, method="dipole", sphere=empty)
    with pytest.raises(TypeError, match=r"from mne.make_sphere_model, but got tuple"):
        score_dipolarity(ica, info, method="dipole", sphere=(0, 0, 0, 0.09))
    with pytest.raises(OptionError, match="method must be 'linear' or 'dipole'"):
        score_dipolarity(ica, info, method="dipol")
    with pytest.raises(ShapeError, match="at least 8 channels for dipoles, but got 6"):
        score_dipolarity(ica, mne.pick_info(info, range(6)), method="dipole")


def test_sphere_without_shells_does_for_meg():
    maps, info, _ = simulate_maps("ctf151", "mag")
    sphere = mne.make_sphere_model((0, 0, 0.04), None, verbose="error")
    ica = make_ica(info, maps[:, :3])
    found = score_dipolarity(ica, info, method="dipole", sphere=sphere)
    assert found.residual_variance.max() < 1e-3


def test_infomax_of_mne_is_scored(raw, infomax):
    dipoles = score_dipolarity(infomax, raw, method="dipole")
    assert dipoles.residual_variance.shape == (8,)
    assert score_dipolarity(infomax, raw).shape == (8,)
    before = raw.get_data().copy()
    information = score_mutual_information(infomax, raw)
    sources = infomax.get_sources(raw).get_data()
    joint = np.histogram2d(sources[1], sources[5], bins=30)[0] / sources.shape[1]
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    there = joint > 0
    expected = (joint[there] * np.log(joint[there] / product[there])).sum()
    assert_allclose(information[1, 5], expected, atol=1e-9)
    pairs = score_pmi(infomax, raw)
    assert 0 < pairs.after < pairs.before
    reduction = score_mir(infomax, raw)
    assert reduction.nats > 0
    assert reduction.k == pairs.k == infomax.n_samples_ / 64 == raw.n_times / 64
    assert_array_equal(raw.get_data(), before)


def test_bad_spans_do_not_count(raw, infomax):
    marked = raw.copy()
    marked.set_annotations(mne.Annotations([0], [30], ["BAD_half"]))
    later = raw.copy().crop(30)
    assert_allclose(
        score_mutual_information(infomax, marked),
        score_mutual_information(infomax, later), atol=1e-12,
    )  # fmt: skip
    assert_allclose(score_mir(infomax, marked), score_mir(infomax, later), atol=1e-9)
    marked.set_annotations(mne.Annotations([0], [60], ["BAD"]))
    with pytest.raises(InputError, match="no samples outside of spans"):
        score_mir(infomax, marked)


def test_order_of_channels_in_the_recording_does_not_matter(raw, infomax):
    other = raw.copy().reorder_channels(raw.ch_names[::-1])
    assert_allclose(score_mir(infomax, other), score_mir(infomax, raw), atol=1e-9)


def test_unfitted_ica_is_refused(raw):
    ica = mne.preprocessing.ICA()
    for score in (score_dipolarity, score_mutual_information, score_mir, score_pmi):
        with pytest.raises(NotFittedError, match="This ICA is not fitted yet"):
            score(ica, raw)
