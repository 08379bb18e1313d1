"""EEGLAB's folders and structures: ours open there, and theirs here."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import loadmat, savemat
from scipy.special import gamma

from meegic.base import files
from meegic.base.errors import (
    DataWarning,
    FileFormatError,
    InputError,
    OptionError,
    OutputError,
    ShapeError,
)
from meegic.base.record import make_record
from meegic.components.amicaout import AmicaOutput
from meegic.components.eeglab import OPTIONAL, REQUIRED, read_amicaout, write_amicaout
from meegic.components.eeglab_set import make_set_fields, parse_set_fields
from meegic.components.model import AmicaModel, History, order_parameters
from meegic.components.parameters import draw_parameters
from meegic.components.whiten import fit_whitener

WHOLE = (*REQUIRED, *OPTIONAL)
N_TIMES = 500


def draw_data(n_channels, seed=0):
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(n_channels, n_channels))
    return 3 + mixing @ generator.laplace(size=(n_channels, N_TIMES))


def draw_model(
    *, n_models=2, n_components=5, n_channels=5, n_mix=3, scale=None, rejected=()
):
    """A model that no fit would give, with all parameters different."""
    whitener = fit_whitener(
        draw_data(n_channels), n_components=n_components, scale=scale
    )
    generator = np.random.default_rng(1)
    shape = (n_models, n_mix, n_components)
    parameters = draw_parameters(
        n_components, n_models=n_models, n_mix=n_mix, generator=generator
    )
    alpha = generator.uniform(0.1, 1, shape)
    weight = generator.uniform(0.5, 1, n_models)
    mixed = parameters.unmix + 0.3 * generator.normal(size=parameters.unmix.shape)
    parameters = parameters._replace(
        unmix=mixed,
        weight=weight / weight.sum(),
        center=0.1 * generator.normal(size=(n_models, n_components)),
        alpha=alpha / alpha.sum(axis=1, keepdims=True),
        beta=generator.uniform(0.5, 3, shape),
        rho=generator.uniform(1, 2, shape),
    )
    mask = np.zeros(N_TIMES, dtype=bool)
    mask[list(rejected)] = True
    likelihood = np.array([-3.0, -2.5])
    history = History(likelihood, likelihood, likelihood, likelihood)
    return AmicaModel(
        whitener=whitener,
        parameters=order_parameters(whitener, parameters),
        fitted_posteriors=np.full((n_models, N_TIMES), 1 / n_models),
        rejected=mask,
        history=history,
        log_likelihood=-2.5,
        n_evals=2,
        converged=True,
        stop_reason="min_dll",
        solver="em",
        kernel="numba",
        restarts=np.array([-2.5]),
        record=make_record({}),
    )


def load_as_eeglab(folder):
    """What EEGLAB's loader is said to do, sample by sample, with MATLAB's axes."""
    folder = Path(folder)

    def read(name, *shape):
        return np.fromfile(folder / name, "<f8").reshape(shape, order="F")

    gm = read("gm", -1)
    n_models = len(gm)
    n = int(np.sqrt(read("W", -1).size / n_models))
    n_channels = read("mean", -1).size
    W, S = read("W", n, n, n_models), read("S", n_channels, n_channels)
    listed = np.fromfile(folder / "comp_list", "<i4")[: n * n_models]
    listed = listed.reshape((n, n_models), order="F") - 1
    n_densities = read("A", n, -1).shape[1]
    n_mix = read("alpha", -1).size // n_densities
    terms = {}
    for name in ("alpha", "mu", "sbeta", "rho"):
        stored, full = read(name, n_mix, n_densities), np.zeros((n_mix, n, n_models))
        for h in range(n_models):
            for i in range(n):
                full[:, i, h] = stored[:, listed[i, h]]
        terms[name] = full
    by_weight = np.argsort(-gm, kind="stable")
    mod = {"mod_prob": gm[by_weight], "S": S, "data_mean": read("mean", -1)}
    mod["c"] = read("c", n, n_models)[:, by_weight]
    mod |= {name: np.zeros((n_mix, n, n_models)) for name in terms}
    mod |= {"svar": np.zeros((n, n_models)), "origord": np.zeros((n, n_models), int)}
    mod |= {"W": np.zeros((n, n, n_models)), "A": np.zeros((n_channels, n, n_models))}
    for h, source in enumerate(by_weight):
        A = np.linalg.pinv(W[:, :, source] @ S[:n])
        alpha, mu, sbeta, rho = (terms[name][:, :, source] for name in terms)
        power = mu**2 + gamma(3 / rho) / gamma(1 / rho) / sbeta**2
        svar = (alpha * power).sum(axis=0) * (A**2).sum(axis=0)
        order = np.argsort(-svar, kind="stable")
        length = np.linalg.norm(A, axis=0)[order]
        mod["svar"][:, h], mod["origord"][:, h] = svar[order], order
        mod["A"][:, :, h] = A[:, order] / length
        mod["W"][:, :, h] = W[order][:, :, source] * length[:, None]
        mod["alpha"][:, :, h], mod["rho"][:, :, h] = alpha[:, order], rho[:, order]
        mod["mu"][:, :, h] = mu[:, order] * length
        mod["sbeta"][:, :, h] = sbeta[:, order] / length
    if (folder / "LLt").exists():
        scores = read("LLt", n_models + 1, -1)
        mod["Lht"], mod["Lt"] = scores[:-1][by_weight], scores[-1]
    return mod


def assert_shown_alike(model, mod, signs=None):
    """Compare a model with what EEGLAB's loader gives, up to the signs of maps."""
    signs = np.ones(mod["svar"].shape) if signs is None else signs
    assert_allclose(model.parameters.weight, mod["mod_prob"], rtol=1e-14)
    assert_allclose(model.parameters.center.T, mod["c"], atol=1e-14)
    unmix = model.parameters.unmix.transpose(1, 2, 0)
    assert_allclose(unmix, mod["W"] * signs[:, None], rtol=1e-11, atol=1e-12)
    maps = model.maps.transpose(1, 2, 0)
    assert_allclose(maps, mod["A"] * signs, rtol=1e-11, atol=1e-12)
    assert_allclose(model.variances.T, mod["svar"], rtol=1e-12)
    for name, factor in {"alpha": 1, "mu": signs, "sbeta": 1, "rho": 1}.items():
        array = getattr(model.parameters, "beta" if name == "sbeta" else name)
        assert_allclose(array.transpose(1, 2, 0), mod[name] * factor, rtol=1e-11)


@pytest.fixture
def golden(shared):
    return shared / "golden/amica/amicaout"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with everything that a folder can have."""
    path = tmp_path_factory.mktemp("template") / "out"
    model = draw_model(rejected=[7, 8])
    write_amicaout(model, path, scores=model.score_models(draw_data(5)))
    np.ones(20).tofile(path / "nd")
    return path


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "out")


def test_golden_folder_is_written_back_byte_for_byte(golden, tmp_path):
    write_amicaout(read_amicaout(golden), tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(os.listdir(golden))
    for name in os.listdir(golden):
        assert (tmp_path / name).read_bytes() == (golden / name).read_bytes(), name


def test_golden_model_is_that_of_the_npz_in_the_order_of_eeglab(shared, golden):
    expected = np.load(shared / "golden/amica/fortran_eeg32.npz")
    model = read_amicaout(golden).to_model()
    order = expected["order"]
    assert_allclose(model.variances[0], expected["svar"][order], rtol=1e-12)
    for name in ("alpha", "rho"):
        array = getattr(model.parameters, name)[0].T
        assert_array_equal(array, expected[name][order])
    whitener = model.whitener
    assert_array_equal(whitener.forward, expected["S"])
    assert_allclose(whitener.inverse @ whitener.forward, np.eye(32), atol=1e-12)
    assert_allclose(whitener.variances, expected["eigenvalues"], rtol=1e-11)
    assert_allclose(whitener.log_determinant, expected["sldet"], rtol=1e-12)
    assert_array_equal(whitener.mean, expected["mean"])
    assert_array_equal(model.history.log_likelihood, expected["LL"])
    assert_allclose(np.linalg.norm(model.maps, axis=1), 1, rtol=1e-12)
    assert not model.rejected.any()
    assert model.rejected.shape == (30504,)


def test_golden_model_has_the_likelihood_of_the_saved_parameters(shared, golden):
    expected = np.load(shared / "golden/amica/fortran_eeg32.npz")
    samples = np.fromfile(shared / "data/eeglab_data.fdt", "<f4")
    model = read_amicaout(golden).to_model()
    found = model.score(samples.reshape(30504, 32).T.astype(float))
    assert_allclose(found, expected["LL_saved_parameters"], rtol=0, atol=1e-9)


def test_golden_folder_looks_as_in_eeglab(golden):
    mod = load_as_eeglab(golden)
    peaks = np.abs(mod["A"]).argmax(axis=0)[None]
    signs = np.sign(np.take_along_axis(mod["A"], peaks, axis=0))[0]
    assert (signs < 0).any()  # else nothing is seen of our rule for signs
    assert_shown_alike(read_amicaout(golden).to_model(), mod, signs)


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_models": 1},
        {"n_models": 2},
        {"n_models": 3, "n_components": 4, "n_mix": 2},
        {"n_models": 2, "n_components": 2, "n_channels": 6, "n_mix": 1},
        {"n_models": 1, "n_components": 1, "n_channels": 2},
    ],
    ids=["one", "two", "rank", "one-term", "smallest"],
)
class TestRoundTrip:
    def test_eeglab_shows_what_we_wrote(self, tmp_path, sizes):
        model = draw_model(**sizes)
        data = draw_data(len(model.whitener.mean))
        write_amicaout(model, tmp_path, scores=model.score_models(data))
        mod = load_as_eeglab(tmp_path)
        n = model.n_components
        assert_array_equal(mod["origord"].T, np.tile(np.arange(n), (model.n_models, 1)))
        assert_shown_alike(read_amicaout(tmp_path).to_model(), mod)
        assert_allclose(mod["svar"].T, model.variances, rtol=1e-12)
        directions = model.maps / np.linalg.norm(model.maps, axis=1, keepdims=True)
        assert_allclose(mod["A"].transpose(2, 0, 1), directions, rtol=1e-11, atol=1e-12)
        assert_allclose(mod["Lht"], model.score_models(data), rtol=1e-14)
        assert_allclose(mod["Lt"], model.score_samples(data), rtol=1e-14)

    def test_what_is_read_back_says_the_same_of_data(self, tmp_path, sizes):
        model = draw_model(**sizes)
        data = draw_data(len(model.whitener.mean), seed=5)
        write_amicaout(model, tmp_path)
        again = read_amicaout(tmp_path).to_model()
        scores = model.score_models(data)
        assert_allclose(again.score_models(data), scores, rtol=1e-12, atol=1e-11)
        lengths = np.linalg.norm(model.maps, axis=1)[:, :, None]
        assert_allclose(again.unmix(data), model.unmix(data) * lengths, atol=1e-11)
        assert_allclose(again.whitener.variances, model.whitener.variances, rtol=1e-11)
        directions = [one.whitener.directions for one in (model, again)]
        assert_allclose(*[abs(one) for one in directions], atol=1e-11)
        assert_array_equal(again.history.log_likelihood, [-3.0, -2.5])
        assert again.fitted_posteriors.shape == (model.n_models, 0)

    def test_reading_and_writing_again_changes_nothing(self, tmp_path, sizes):
        write_amicaout(draw_model(**sizes), tmp_path / "a")
        once = read_amicaout(tmp_path / "a").to_model()
        write_amicaout(once, tmp_path / "b")
        twice = read_amicaout(tmp_path / "b").to_model()
        for first, second in zip(once.parameters, twice.parameters, strict=True):
            assert_allclose(second, first, rtol=1e-12, atol=1e-13)
        assert_array_equal(once.whitener.forward, twice.whitener.forward)

    def test_fields_of_a_data_set_keep_the_models(self, tmp_path, sizes):
        model = draw_model(**sizes)
        data = draw_data(len(model.whitener.mean))
        scores = model.score_models(data)
        fields = make_set_fields(model, scores=scores)
        savemat(tmp_path / "a.mat", fields)
        for squeeze in (False, True):
            loaded = loadmat(
                tmp_path / "a.mat", squeeze_me=squeeze, simplify_cells=squeeze
            )
            if not squeeze:  # structures come as arrays with names
                inner = loaded["etc"]["amica"][0, 0]
                amica = {name: inner[name][0, 0] for name in inner.dtype.names}
                loaded = {"etc": {"amica": amica}}
            output = parse_set_fields(loaded)
            again = output.to_model()
            assert_allclose(again.score_models(data), scores, rtol=1e-12, atol=1e-11)
            assert_allclose(output.scores[:-1], scores, rtol=1e-14)
            assert_array_equal(again.history.log_likelihood, [-3.0, -2.5])


def test_rejected_samples_are_zeros_that_come_back(tmp_path):
    model = draw_model(rejected=[3, 400])
    write_amicaout(model, tmp_path, scores=model.score_models(draw_data(5)))
    output = read_amicaout(tmp_path)
    assert_array_equal(output.scores[:, [3, 400]], 0)
    assert (output.scores[:, 4] != 0).all()
    again = output.to_model()
    assert_array_equal(again.rejected, model.rejected)
    expected = model.posteriors(draw_data(5))
    expected[:, model.rejected] = np.nan
    assert_allclose(again.fitted_posteriors, expected, rtol=1e-11)


def test_posteriors_go_with_their_models(folder):
    """The second model gets the larger weight, and comes first."""
    output = read_amicaout(folder)
    swapped = {
        name: getattr(output, name)[::-1]
        for name in ("weight", "unmix", "center", "component_list")
    }
    scores = np.concatenate([output.scores[1::-1], output.scores[2:]])
    model = replace(output, **swapped, scores=scores).to_model()
    expected = output.to_model()
    assert_array_equal(model.fitted_posteriors, expected.fitted_posteriors)
    assert_allclose(model.parameters.mu, expected.parameters.mu, rtol=1e-14)


def test_scaled_data_are_written_in_the_unit_of_the_scaled_data(tmp_path):
    volts = 1e-6 * draw_data(5)
    scale = np.full(5, 1e6)
    model = draw_model(scale=np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    write_amicaout(model, tmp_path / "a")
    output = read_amicaout(tmp_path / "a")
    for factor in (model.whitener.scale, scale):
        again = output.to_model(scale=factor)
        data = draw_data(5) * model.whitener.scale[:, None] / factor[:, None]
        expected = model.score_models(draw_data(5))
        assert_allclose(again.score_models(data), expected, rtol=1e-12, atol=1e-10)
        assert_allclose(again.variances, model.variances, rtol=1e-11)
        order = again.whitener.restore(again.whitener(data))
        assert_allclose(order, data, rtol=1e-9)
    assert volts.max() < 1e-3
    assert_allclose(output.sphere, model.whitener.forward / model.whitener.scale)
    with pytest.raises(ShapeError, match=r"scale must have shape \(5,\)"):
        output.to_model(scale=np.ones(4))


def test_shared_components_are_given_to_every_model(folder):
    listed = np.fromfile(folder / "comp_list", "<i4").reshape(2, 10)
    numbers = listed[0].copy()
    numbers[6] = 2  # the second component of the second model is the first one's, too
    np.concatenate([numbers, listed[1]]).tofile(folder / "comp_list")
    for name in ("nd", "LLt"):
        (folder / name).unlink()
    output = read_amicaout(folder)
    assert output.component_list.tolist() == [[0, 1, 2, 3, 4], [5, 1, 7, 8, 9]]
    model, mod = output.to_model(), load_as_eeglab(folder)
    peaks = np.abs(mod["A"]).argmax(axis=0)[None]
    signs = np.sign(np.take_along_axis(mod["A"], peaks, axis=0))[0]
    assert_shown_alike(model, mod, signs)
    first, second = (set(map(tuple, one.T.round(12))) for one in model.parameters.rho)
    assert len(first & second) == 1


def test_fewer_densities_than_components_are_read_where_models_share(folder):
    numbers = np.array([1, 2, 3, 4, 5, 1, 2, 3, 4, 5], "<i4")
    np.concatenate([numbers, 0 * numbers]).tofile(folder / "comp_list")
    for name, length in {"A": 5, "alpha": 3, "mu": 3, "sbeta": 3, "rho": 3}.items():
        stored = np.fromfile(folder / name)
        stored[: 5 * length].tofile(folder / name)
    np.ones(10).tofile(folder / "nd")
    output = read_amicaout(folder)
    assert output.alpha.shape == (3, 5)
    rho = output.to_model().parameters.rho
    assert_allclose(np.sort(rho[0], axis=1), np.sort(rho[1], axis=1), rtol=1e-14)
    write_amicaout(output, folder.with_name("again"))
    assert (folder.with_name("again") / "rho").stat().st_size == 8 * 15


def test_optional_files_have_their_defaults(tmp_path):
    write_amicaout(draw_model(n_models=1), tmp_path)
    whole = read_amicaout(tmp_path).to_model()
    for name in ("gm", "A", "LL", "comp_list"):
        (tmp_path / name).unlink()
    model = read_amicaout(tmp_path).to_model()
    assert_array_equal(model.parameters.unmix, whole.parameters.unmix)
    assert_array_equal(model.parameters.weight, [1.0])
    assert model.history.log_likelihood.size == 0
    assert np.isnan(model.log_likelihood)
    (tmp_path / "c").unlink()
    assert not read_amicaout(tmp_path).to_model().parameters.center.any()


def test_iterations_that_did_not_take_place_are_cut_from_the_model_only(folder):
    np.array([-3.0, 0.0, -2.0, 0.0, 0.0]).tofile(folder / "LL")
    gradient = np.arange(50.0)  # five iterations of ten columns, column by column
    gradient.tofile(folder / "nd")
    output = read_amicaout(folder)
    history = output.to_model().history
    assert_array_equal(history.log_likelihood, [-3.0, 0.0, -2.0])
    assert output.log_likelihood.size == 5
    sums = [gradient[iteration::5].sum() for iteration in range(3)]
    expected = np.sqrt(np.array(sums) / (5 * 10))
    assert_allclose(history.gradient_norm, expected, rtol=1e-14)
    assert np.isnan(history.rate).all()


def test_terms_and_models_without_weight_are_read(folder):
    """Older programs fill up mixtures with zeros."""
    expected = read_amicaout(folder).to_model()
    n_terms = {name: np.fromfile(folder / name) for name in ("alpha", "mu", "rho")}
    for name in ("alpha", "mu", "sbeta", "rho"):
        stored = np.fromfile(folder / name).reshape(10, 3)
        np.pad(stored, [(0, 0), (0, 1)]).tofile(folder / name)
    model = read_amicaout(folder).to_model()
    assert n_terms["mu"].size == 30
    assert model.parameters.mu.shape == (2, 4, 5)
    data = draw_data(5)
    assert_allclose(model.score_models(data), expected.score_models(data), rtol=1e-13)
    assert_allclose(model.variances, expected.variances, rtol=1e-13)
    np.array([0.0, 1.0]).tofile(folder / "gm")
    scores = read_amicaout(folder).to_model().score_models(data)
    assert np.isfinite(scores).all()


def test_a_list_of_zeros_is_taken_for_the_natural_order(folder):
    expected = read_amicaout(folder)
    np.zeros(20, "<i4").tofile(folder / "comp_list")
    with pytest.warns(DataWarning, match=r"comp_list holds zeros only.*fix_init 1"):
        output = read_amicaout(folder)
    assert_array_equal(output.component_list, expected.component_list)


def test_a_list_without_padding_is_read(folder):
    expected = read_amicaout(folder)
    path = folder / "comp_list"
    path.write_bytes(path.read_bytes()[:40])
    assert_array_equal(read_amicaout(folder).component_list, expected.component_list)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("cut", ["empty", "byte", "number", "longer"])
def test_a_file_of_another_length_is_refused(folder, name, cut):
    path = folder / name
    content = path.read_bytes()
    lengths = {"empty": 0, "byte": len(content) - 1, "number": len(content) - 8}
    path.write_bytes((content + bytes(4))[: lengths.get(cut)])
    if name in ("LL", "comp_list") and cut == "number":
        path.write_bytes(content[:-4])  # any number of iterations is right
    with pytest.raises(FileFormatError, match=r"has \d+ bytes, but .* must have") as at:
        read_amicaout(folder)
    message = at.value.message
    if cut == "number" and name in ("A", "gm", "alpha", "mean"):
        assert message.split()[0] in {str(folder / one) for one in WHOLE}
    else:  # from the other files follows what is wrong with this one
        assert message.startswith(f"{path} has {path.stat().st_size} bytes")
    known = name in ("S", "mu", "sbeta", "rho", "c")
    assert not known or message.endswith(f" {len(content)}.")


@pytest.mark.parametrize("name", sorted(set(WHOLE) - {"comp_list"}))
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_numbers_that_are_not_finite_are_refused(folder, name, value):
    content = np.fromfile(folder / name)
    content[-1] = value
    content.tofile(folder / name)
    with pytest.raises(
        FileFormatError, match=rf"/{name} must hold finite numbers.* 1 of"
    ):
        read_amicaout(folder)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_folder_without_a_needed_file_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileFormatError, match=f"has no file '{name}'"):
        read_amicaout(folder)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("gm", lambda one: one / 2, "'gm' must be weights that sum to 1"),
        ("gm", lambda one: np.array([2.0, -1.0]), "'gm' must be weights"),
        ("alpha", lambda one: 1.001 * one, "'alpha' must be weights that sum to 1"),
        ("sbeta", lambda one: -one, "'sbeta' must be positive"),
        ("rho", lambda one: 0 * one, "'rho' must be positive"),
        ("W", lambda one: 0 * one, "'W' must have independent rows"),
        ("W", lambda one: one.byteswap(), "finite|independent"),
        ("S", lambda one: np.ones(25), "'S' must have 5 independent rows"),
    ],
)
def test_what_no_fit_gives_is_refused(folder, name, change, message):
    change(np.fromfile(folder / name)).tofile(folder / name)
    with pytest.raises(FileFormatError, match=message):
        read_amicaout(folder)


@pytest.mark.parametrize("number", [-1, 11])
def test_a_density_that_is_not_there_is_refused(folder, number):
    numbers = np.fromfile(folder / "comp_list", "<i4")
    numbers[3] = number
    numbers.tofile(folder / "comp_list")
    with pytest.raises(FileFormatError, match="must hold numbers between 1 and 10"):
        read_amicaout(folder)


def test_what_is_no_folder_is_refused(folder, tmp_path):
    with pytest.raises(FileFormatError, match=r"must be a folder.* does not exist"):
        read_amicaout(tmp_path / "nowhere")
    with pytest.raises(
        FileFormatError, match=r"must be a folder.* is a file.*Pass the"
    ):
        read_amicaout(folder / "W")
    shutil.rmtree(folder)
    folder.mkdir()
    os.mkfifo(folder / "W")  # to open it would wait for ever
    with pytest.raises(FileFormatError, match="has no file 'W', 'S', 'mean'"):
        read_amicaout(folder)


def test_a_file_that_is_cut_while_it_is_read_is_refused(folder, monkeypatch):
    real = Path.open

    def cut(path, mode):
        if path.name == "rho":
            os.truncate(path, 8)
        return real(path, mode)

    monkeypatch.setattr(Path, "open", cut)
    with pytest.raises(FileFormatError, match=r"rho has 8 bytes, but .* must have 240"):
        read_amicaout(folder)


def test_scores_must_be_of_the_data_of_the_fit(tmp_path):
    model = draw_model(rejected=[1])
    scores = model.score_models(draw_data(5))
    with pytest.raises(ShapeError, match=r"scores must have shape \(2, 500\)"):
        write_amicaout(model, tmp_path, scores=scores[:, 1:])
    with pytest.raises(InputError, match="scores contains NaN or Inf"):
        write_amicaout(model, tmp_path, scores=np.where(scores < 0, np.nan, scores))
    write_amicaout(model, tmp_path, scores=scores)
    with pytest.raises(OptionError, match="scores can only be given with a model"):
        write_amicaout(read_amicaout(tmp_path), tmp_path, scores=scores)


def test_files_of_an_earlier_model_are_replaced_or_named(folder):
    first = read_amicaout(folder)
    other = draw_model(n_models=1, n_components=4, n_channels=6)
    with pytest.raises(OutputError, match="holds 'nd' and 'LLt' of another model"):
        write_amicaout(other, folder)
    assert_array_equal(read_amicaout(folder).scores, first.scores)
    for name in ("nd", "LLt"):
        (folder / name).unlink()
    write_amicaout(other, folder)
    assert read_amicaout(folder).unmix.shape == (1, 4, 4)


def test_nothing_but_the_files_is_left_in_the_folder(tmp_path):
    write_amicaout(draw_model(), tmp_path)
    assert set(os.listdir(tmp_path)) == set(WHOLE) - {"nd", "LLt"}
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_amicaout(draw_model(), tmp_path / "file")


def test_an_interrupted_write_leaves_the_old_the_new_or_a_refusal(
    tmp_path, monkeypatch
):
    first = draw_model()
    second = draw_model(n_components=4, n_channels=6, n_models=3)

    class FailingOs:
        def __init__(self, n):
            self.left = n

        def __getattr__(self, name):
            real = (lambda _: None) if name == "fsync" else getattr(os, name)
            return self._count(real) if name in ("replace", "unlink") else real

        def _count(self, real):
            def call(*arguments):
                self.left -= 1
                if self.left < 0:
                    raise OSError(28, "No space left on device")
                return real(*arguments)

            return call

    outcomes = []
    write_amicaout(first, tmp_path / "first")
    for n in range(60):
        folder = shutil.copytree(tmp_path / "first", tmp_path / f"{n}")
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", FailingOs(n))
            try:
                write_amicaout(second, folder)
                outcomes.append("written")
            except OutputError:
                if (folder / "W").exists():
                    outcomes.append(read_amicaout(folder).to_model().n_models)
                else:
                    outcomes.append("refused")
        if outcomes[-1] == "written":
            break
    assert outcomes[0] == 2
    assert outcomes[-1] == "written"
    assert outcomes.count("refused") >= 10
    assert 3 not in outcomes[:-1] or outcomes[outcomes.index(3) :].count("refused") == 0


def test_golden_structure_is_that_of_eeglab(golden):
    output = read_amicaout(golden)
    model = output.to_model()
    fields = make_set_fields(model, scores=output.scores[:-1])
    mod = load_as_eeglab(golden)
    peaks = np.abs(mod["A"]).argmax(axis=0)[None]
    signs = np.sign(np.take_along_axis(mod["A"], peaks, axis=0))[0]
    amica = fields["etc"]["amica"]
    for name, flip in {"A": signs, "W": signs[:, None], "mu": signs}.items():
        assert_allclose(amica[name], mod[name] * flip, rtol=1e-11, atol=1e-12)
    for name in ("svar", "alpha", "sbeta", "rho", "S", "Lht"):
        assert_allclose(amica[name], mod[name], rtol=1e-12)
    assert_allclose(amica["Lt"][0], mod["Lt"], rtol=1e-14)
    assert_allclose(fields["icaweights"] @ fields["icasphere"] @ fields["icawinv"],
                    np.eye(32), atol=1e-11)  # fmt: skip
    assert_array_equal(fields["icachansind"], np.arange(1, 33))


def test_fields_show_the_picked_model_and_channels():
    model = draw_model(n_components=3)
    fields = make_set_fields(model, model_idx=1, channels=[0, 2, 4, 6, 9])
    assert_allclose(
        fields["icaweights"] @ fields["icasphere"] @ model.maps[1],
        np.diag(np.linalg.norm(model.maps[1], axis=0)),
        atol=1e-12,
    )
    assert_array_equal(fields["icachansind"], [1, 3, 5, 7, 10])
    with pytest.raises(OptionError, match=r"model_idx must be .* between 0 and 1"):
        make_set_fields(model, model_idx=2)
    for channels in ([0, 1], [0, 0, 1, 2, 3]):
        with pytest.raises(ShapeError, match="channels must name each of the 5"):
            make_set_fields(model, channels=channels)


def test_a_structure_that_does_not_fit_is_refused():
    model = draw_model()
    amica = make_set_fields(model, scores=model.score_models(draw_data(5)))["etc"]
    amica = amica["amica"]
    changes = {
        "etc.amica is missing": None,
        "it has no 'W' and 'rho'": {"W": None, "rho": None},
        r"'W' must be numbers of shape \(4, 4, 2\)": {"W": np.ones(49)},
        "'S' must be numbers of shape": {"S": "text"},
        "of one shape": {"mu": np.ones((2, 5, 2))},
        "of one length": {"Lt": np.ones((1, 3))},
        "'c' must hold finite numbers": {"c": np.full((5, 2), np.nan)},
        "'rho' must be positive": {"rho": -amica["rho"]},
    }
    for message, change in changes.items():
        if change is None:
            fields = {"etc": {}}
        else:
            merged = {**amica, **change}
            kept = {name: one for name, one in merged.items() if one is not None}
            fields = {"etc": {"amica": kept}}
        with pytest.raises(FileFormatError, match=message):
            parse_set_fields(fields)


def test_gradients_of_a_structure_follow_its_components():
    amica = make_set_fields(draw_model())["etc"]["amica"]
    gradient = np.arange(20.0).reshape(2, 5, 2)
    output = parse_set_fields({"etc": {"amica": {**amica, "nd": gradient}}})
    assert isinstance(output, AmicaOutput)
    assert_array_equal(output.gradient[:, 5:], gradient[:, :, 1])
