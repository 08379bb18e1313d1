"""Designs agree with SciPy and MNE, and edges can be differentiated."""

import jax
import jax.numpy as jnp
import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import butter, freqz_sos, iirfilter, sosfiltfilt

from meegic.base.errors import OptionError
from meegic.preprocessing.filter import (
    apply_filter,
    butter_sos,
    design_filter,
    design_notch,
)

NAMES = ["hp0p1", "hp1", "bp1_40", "notch50", "lp_ellip"]
SCIPY_NAMES = {"lowpass": "low", "highpass": "high", "bandpass": "band"}


@pytest.fixture
def drift():
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, 700)).cumsum(axis=1)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "clean" / "sosfilt.npz") as file:
        return dict(file)


def respond(sos):
    return freqz_sos(sos, np.geomspace(1e-3, 3.1, 300))[1]


def design_golden(name):
    designs = {
        "hp0p1": lambda: design_filter(1000.0, l_freq=0.1),
        "hp1": lambda: design_filter(1000.0, l_freq=1.0),
        "bp1_40": lambda: design_filter(1000.0, l_freq=1.0, h_freq=40.0),
        "notch50": lambda: design_notch(1000.0, 50.0),
    }
    return designs[name]()


# SciPy rounds the zero-phase filter at 0.1 Hz by 1.1e-9, the others by 1e-11.
@pytest.mark.parametrize("name", NAMES[:-1])
def test_designed_filters_meet_long_double(golden, name):
    design = design_golden(name)
    assert_allclose(design.sos, golden[f"sos_{name}"], rtol=0, atol=1e-12)
    assert design.form.n_padding == golden[f"padlen_{name}"]
    wanted = golden[f"y_{name}"]
    filtered, zf = apply_filter(golden["x"], design, phase="forward", return_zf=True)
    tolerance = {"hp0p1": 2e-8}.get(name, 1e-10)
    assert np.abs(filtered - wanted).max() < 1e-9 * np.abs(wanted).max()
    wanted = golden[f"zf_{name}"]
    assert np.abs(zf - wanted).max() < 1e-9 * np.abs(wanted).max()
    wanted = golden[f"zp_{name}"]
    error = np.abs(apply_filter(golden["x"], design) - wanted).max()
    assert error < tolerance * np.abs(wanted).max()


@pytest.mark.parametrize("name", NAMES[:-1])
def test_designed_filters_meet_long_double_in_single_precision(golden, name):
    single, wanted = jnp.asarray(golden["x"]), golden[f"y_{name}"]
    filtered = apply_filter(single, design_golden(name), phase="forward")
    assert filtered.dtype == jnp.float32
    assert np.abs(filtered - wanted).max() < 5e-6 * np.abs(wanted).max()


@pytest.mark.parametrize("kind", ["butter", "cheby1", "cheby2", "ellip", "bessel"])
@pytest.mark.parametrize(("low", "high"), [(1.0, None), (None, 40.0), (1.0, 40.0)])
def test_every_family_is_that_of_scipy(kind, low, high):
    edge = [one for one in (low, high) if one is not None]
    btype = "band" if len(edge) == 2 else "high" if low else "low"
    wanted = iirfilter(
        3,
        edge if len(edge) == 2 else edge[0],
        rp=1.0,
        rs=50.0,
        btype=btype,
        ftype=kind,
        output="sos",
        fs=250.0,
    )
    found = design_filter(
        250.0,
        l_freq=low,
        h_freq=high,
        order=3,
        kind=kind,
        ripple_db=1.0,
        attenuation_db=50.0,
    )
    assert_allclose(respond(found.sos), respond(wanted), atol=1e-9)
    assert (found.l_freq, found.h_freq, found.kind) == (low, high, kind)


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, None), (None, 40.0), (0.5, 40.0), (30.0, 124.0)]
)
def test_finite_filters_are_those_of_mne(low, high):
    wanted = mne.filter.create_filter(None, 250.0, low, high, verbose="error")
    found = design_filter(250.0, l_freq=low, h_freq=high, kind="fir").form
    assert_allclose(found, wanted, rtol=0, atol=1e-15)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 8])
@pytest.mark.parametrize(
    ("btype", "edge"),
    [
        ("lowpass", 40.0),
        ("highpass", 1.0),
        ("bandpass", [1.0, 40.0]),
        ("bandpass", [8.0, 12.0]),
    ],
)
def test_differentiable_design_is_that_of_scipy(order, btype, edge):
    found = butter_sos(order, edge, btype, 1000.0)
    assert isinstance(found, np.ndarray)
    wanted = butter(order, edge, SCIPY_NAMES[btype], fs=1000.0, output="sos")
    # Poles near one lose digits in both: 1e-15 of 2 are 3e-11 of what they filter.
    assert_allclose(respond(found), respond(wanted), atol=1e-9)
    assert len(found) == len(wanted)
    if order == 2 and btype != "bandpass":
        assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("double", [False, True])
def test_edge_of_jax_gives_a_design_of_jax_in_its_precision(double):
    with jax.enable_x64(double):
        found = butter_sos(4, jnp.array(10.0), "highpass", 250.0)
        slopes = jax.jacrev(lambda edge: butter_sos(4, edge, "highpass", 250.0))(10.0)
    assert isinstance(found, jax.Array)
    assert found.dtype == slopes.dtype == (np.float64 if double else np.float32)
    digits = 1e-12 if double else 1e-5
    assert_allclose(found, butter_sos(4, 10.0, "highpass", 250.0), atol=digits)
    sides = [butter_sos(4, one, "highpass", 250.0) for one in (10.001, 9.999)]
    assert_allclose(slopes, (sides[0] - sides[1]) / 0.002, atol=1e-7)


@pytest.mark.parametrize(
    ("order", "edges"),
    [
        (4, {"l_freq": 1.0}),
        (3, {"l_freq": 1.0}),
        (1, {"h_freq": 40.0}),
        (3, {"l_freq": 1.0, "h_freq": 40.0}),
    ],
)
def test_traced_edges_filter_as_known_ones(drift, order, edges):

    @jax.jit
    def run(edges, data):
        return apply_filter(data, design_filter(250.0, **edges, order=order))

    wanted = apply_filter(drift, design_filter(250.0, **edges, order=order))
    found = run(edges, jnp.asarray(drift))
    assert found.dtype == jnp.float32
    assert np.abs(found - wanted).max() < 2e-6 * np.abs(drift).max()


def compute_energy(edges, data, phase="zero", order=2):
    low, high = edges
    design = design_filter(250.0, l_freq=low, h_freq=high, order=order)
    return (apply_filter(data, design, phase=phase) ** 2).mean()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("edges", "options"),
    [
        ((0.5, None), ("zero", 4)),
        ((8.0, None), ("forward", 3)),
        ((None, 30.0), ("forward", 2)),
        ((1.0, 30.0), ("zero", 2)),
    ],
)
def test_derivatives_in_the_edges_are_central_differences(drift, edges, options):
    found = jax.jit(jax.grad(compute_energy), static_argnums=(2, 3))(
        edges, jnp.asarray(drift), *options
    )
    for index, edge in enumerate(edges):
        if edge is None:
            continue
        step = 1e-4 * edge
        sides = [
            compute_energy((*edges[:index], one, *edges[index + 1 :]), drift, *options)
            for one in (edge + step, edge - step)
        ]
        wanted = (sides[0] - sides[1]) / (2 * step)
        assert_allclose(found[index], wanted, rtol=1e-5)


def test_derivative_in_the_edge_holds_in_single_precision(drift):
    single = jnp.asarray(drift)
    found = jax.jit(jax.grad(lambda edge: compute_energy((edge, None), single)))(1.0)
    sides = [compute_energy((one, None), drift) for one in (1.001, 0.999)]
    assert_allclose(found, (sides[0] - sides[1]) / 0.002, rtol=1e-3)


def test_many_edges_can_be_tried_at_once(drift):
    tried = jnp.array([0.5, 1.0, 2.0])
    found = jax.vmap(lambda edge: compute_energy((edge, None), jnp.asarray(drift)))(
        tried
    )
    wanted = [compute_energy((float(one), None), drift) for one in tried]
    assert_allclose(found, wanted, rtol=1e-4)


def test_traced_edge_out_of_range_gives_nan(drift):
    assert np.isnan(jax.jit(compute_energy)((130.0, None), jnp.asarray(drift)))


def test_notch_has_a_section_for_every_frequency():
    design = design_notch(500.0, [60.0, 50.0, 50.0], quality=20.0)
    assert design.sos.shape == (2, 6)
    several = design_notch(500.0, [50.0, 100.0], harmonics=True)
    assert several.sos.shape == (4, 6)
    for hum in (50.0, 100.0, 150.0, 200.0):
        _, gain = freqz_sos(several.sos, [hum], fs=500.0)
        assert np.abs(gain) < 1e-12


def test_slow_filter_in_double_precision_is_that_of_scipy(drift):
    design = design_filter(2048.0, l_freq=0.01)
    wanted = sosfiltfilt(design.sos, drift)
    found = apply_filter(drift, design)
    assert_allclose(found, wanted, rtol=0, atol=1e-9 * np.abs(drift).max())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"l_freq": 125.0}, "l_freq must be .* below 125 Hz.*rate is 250 Hz"),
        ({"h_freq": 0.0}, "h_freq must be a number above 0 Hz"),
        ({"l_freq": -1.0}, "l_freq must be"),
        ({"h_freq": np.nan}, "h_freq must be"),
        ({"l_freq": 40.0, "h_freq": 1.0}, "l_freq must be below h_freq"),
        ({"l_freq": 1.0, "h_freq": 1.0}, "l_freq must be below h_freq"),
        ({}, "both None"),
        ({"l_freq": 1.0, "order": 0}, "order must be a whole number >= 1"),
        ({"l_freq": 1.0, "kind": "buter"}, "Did you mean 'butter'"),
        ({"l_freq": 1.0, "ripple_db": 0.0}, "ripple_db must be"),
        ({"l_freq": 1e-7}, "inside the unit circle"),
    ],
)
def test_row_37_impossible_designs_are_refused(options, words):
    with pytest.raises(OptionError, match=words):
        design_filter(250.0, **options)


@pytest.mark.parametrize("sfreq", [0.0, -1.0, np.nan, np.inf])
def test_row_37_impossible_rates_are_refused(sfreq):
    with pytest.raises(OptionError, match="sfreq must be"):
        design_filter(sfreq, l_freq=1.0)
    with pytest.raises(OptionError, match="sfreq must be"):
        design_notch(sfreq, 50.0)


@pytest.mark.parametrize(
    ("freqs", "options", "words"),
    [
        (300.0, {}, "freqs must be .* below 250 Hz"),
        ([50.0, np.nan], {}, "freqs must be"),
        ([], {}, "freqs must hold at least one"),
        (50.0, {"quality": 0.0}, "quality must be"),
    ],
)
def test_row_37_impossible_notches_are_refused(freqs, options, words):
    with pytest.raises(OptionError, match=words):
        design_notch(500.0, freqs, **options)


@pytest.mark.parametrize(
    ("order", "edge", "btype", "words"),
    [
        (0, 1.0, "lowpass", "order must be"),
        (2, 1.0, "low", "btype must be"),
        (2, 1.0, "bandpass", r"edge must have shape \(2,\)"),
        (2, [1.0, 2.0], "highpass", r"edge must have shape \(\)"),
        (2, 200.0, "highpass", "below 125 Hz"),
        (2, [2.0, 1.0], "bandpass", "l_freq must be below h_freq"),
    ],
)
def test_row_37_impossible_differentiable_designs_are_refused(
    order, edge, btype, words
):
    with pytest.raises(OptionError, match=words):
        butter_sos(order, edge, btype, 250.0)


def test_traced_edges_of_other_families_are_refused():
    with pytest.raises(OptionError, match="kind must be 'butter' where JAX traces"):
        jax.jit(lambda edge: design_filter(250.0, l_freq=edge, kind="fir").form)(1.0)
