"""The face of AMICA: scikit-learn's rules, pyAMICA's names, what scripts pass."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

import meegic
from meegic import AMICA, NotFittedError, OptionError
from meegic.base.errors import ShapeError
from meegic.components.options import AmicaOptions

# Every check of scikit-learn that cannot pass, and why.
EXCEPTIONS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "it fits 30 channels to 27 samples, which is refused as transposed data"
    ),
}

PYAMICA = {
    "n_components": None, "n_models": 1, "n_mix": 3, "max_iter": 2000, "lrate": 0.1,
    "lrate0": 0.1, "lratefact": 0.5, "rho0": 1.5, "minrho": 1.0, "maxrho": 2.0,
    "rholrate": 0.05, "rholratefact": 0.5, "do_sphere": True, "do_newton": True,
    "newt_start": 50, "newtrate": 1.0, "newt_ramp": 10, "doscaling": True,
    "min_dll": 1e-9, "min_nd": 1e-6, "use_grad_norm": True, "use_min_dll": True,
    "maxdecs": 3, "maxincs": 5, "minlrate": 1e-8, "invsigmax": 100.0,
    "invsigmin": 1e-8, "writestep": 100, "verbose": True, "dtype": "float64",
    "device": "cpu", "chunk_t": None, "compile": False, "time_iters": False,
    "checkpoint_every": 0, "checkpoint_path": None, "fix_init": False,
    "do_reject": False, "reject_sigma": 3.0, "num_reject": 5, "reject_start": 1,
    "reject_int": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.laplace(size=(3000, 4)) @ rng.normal(size=(4, 4)) + 3.0


@pytest.fixture(scope="module")
def fitted(data: np.ndarray) -> AMICA:
    return AMICA(random_state=3, verbose=False, n_models=2, max_iter=40).fit(data)


pytestmark = pytest.mark.filterwarnings("ignore::meegic.ConvergenceWarning")


@pytest.mark.filterwarnings("ignore::meegic.DataWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_accepts_the_estimator():
    results = check_estimator(
        AMICA(max_iter=20, random_state=0, verbose=False),
        expected_failed_checks=EXCEPTIONS,
        on_skip=None,
    )
    failed = {one["check_name"] for one in results if one["status"] == "xfail"}
    assert failed == set(EXCEPTIONS)


def test_positional_parameters_and_defaults_are_those_of_pyamica():
    parameters = inspect.signature(AMICA).parameters.values()
    positional = {
        one.name: one.default for one in parameters if one.kind != one.KEYWORD_ONLY
    }
    assert list(positional.items()) == list(PYAMICA.items())


def test_defaults_agree_with_the_options():
    options = AMICA()._make_options(AMICA().get_params(deep=False))
    assert options == AmicaOptions()


def test_every_option_can_be_set_at_the_face():
    missing = set(AmicaOptions.__dataclass_fields__) - set(AMICA().get_params())
    assert missing == {"polish"}


def test_transform_is_the_affine_map_of_the_attributes(fitted, data):
    x = (data - fitted.mean_) @ fitted.sphere_
    centered = x[:, None, None, :] - fitted.c_[None, :, None]
    expected = (centered * fitted.W_[None]).sum(axis=-1)
    assert_allclose(fitted.transform(data), expected, atol=1e-10)
    assert_array_equal(fitted.transform(data, model=1), fitted.transform(data)[:, 1])


def test_inverse_transform_gives_the_data_back(fitted, data):
    for model in range(2):
        sources = fitted.transform(data, model)
        assert_allclose(fitted.inverse_transform(sources, model), data, atol=1e-9)


def test_mixing_is_the_inverse_of_unmixing(fitted):
    assert_allclose(fitted.A_ @ fitted.W_, np.tile(np.eye(4), (2, 1, 1)), atol=1e-10)
    assert_array_equal(fitted.mixing_matrices, fitted.A_)
    assert_array_equal(fitted.unmixing_matrices, fitted.W_)
    product = fitted.sensor_unmixing_matrices @ fitted.sensor_mixing_matrices
    assert_allclose(product, np.tile(np.eye(4), (2, 1, 1)), atol=1e-10)


def test_probabilities_of_new_data_are_those_of_the_fit(fitted, data):
    assert_allclose(fitted.predict_proba(data), fitted.posteriors_.T, atol=1e-12)
    assert_allclose(fitted.predict_proba(data[:7]), fitted.posteriors_.T[:7])
    assert_array_equal(fitted.predict(data), fitted.posteriors_.argmax(axis=0))
    assert_allclose(fitted.posteriors_.sum(axis=0), 1, atol=1e-12)
    assert_allclose(fitted.posteriors_.mean(axis=1), fitted.gm_, atol=0.05)


def test_score_is_the_final_likelihood(fitted, data):
    assert_allclose(fitted.score(data), fitted.ll_final_, atol=1e-12)
    mean = fitted.score_samples(data).mean() / 4
    assert_allclose(mean, fitted.ll_final_, atol=1e-12)


def test_likelihood_is_that_of_the_public_attributes(fitted, data):
    """The formula of the documentation, written out with nothing but attributes."""
    from scipy.special import gammaln, logsumexp

    b = fitted.transform(data)[..., None]  # samples, models, components, terms
    y = np.abs(fitted.sbeta_ * (b - fitted.mu_))
    norm = np.log(fitted.alpha_ * fitted.sbeta_ / 2) - gammaln(1 + 1 / fitted.rho_)
    densities = logsumexp(norm - y**fitted.rho_, axis=-1).sum(axis=-1)
    volume = np.linalg.slogdet(fitted.W_)[1] + fitted.sldet_
    total = logsumexp(np.log(fitted.gm_) + volume + densities, axis=1)
    assert_allclose(fitted.score_samples(data), total, rtol=1e-11)


def test_histories_are_padded_and_cut(fitted):
    assert fitted.LL_.shape == fitted.nd_.shape == (40,)
    assert len(fitted.ll_history()) == len(fitted.nd_history()) == fitted.n_iter_
    assert_array_equal(fitted.LL_[: fitted.n_iter_], fitted.ll_history())
    assert not fitted.LL_[fitted.n_iter_ :].any()
    assert fitted.ll_history()[-1] > fitted.ll_history()[0]


def test_components_come_by_variance_and_models_by_weight(fitted):
    assert (np.diff(fitted.gm_) <= 0).all()
    assert (np.diff(fitted.svar_, axis=1) <= 0).all()
    maps = fitted.sensor_mixing_matrices
    peaks = np.take_along_axis(maps, np.abs(maps).argmax(1)[:, None], axis=1)
    assert (peaks > 0).all()


def test_attributes_answer_as_tensors_do(fitted):
    assert_array_equal(fitted.gm_.detach().cpu().numpy(), np.asarray(fitted.gm_))
    assert type(fitted.gm_.numpy()) is np.ndarray


def test_sources_of_one_model_are_taken_as_from_a_tensor(data):
    model = AMICA(random_state=0, verbose=False, max_iter=5).fit(data)
    sources = model.transform(data).squeeze(1).numpy()
    assert type(sources) is np.ndarray
    assert_array_equal(sources, model.transform(data, model=0))


def test_saved_and_loaded_model_is_the_same(fitted, data, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = AMICA.load(tmp_path / "model.npz")
    assert_array_equal(loaded.transform(data), fitted.transform(data))
    assert_array_equal(loaded.ll_history(), fitted.ll_history())
    assert_array_equal(loaded.posteriors_, fitted.posteriors_)
    assert loaded.random_state_ == fitted.random_state_ == 3
    assert loaded.get_params()["n_models"] == 2
    assert loaded.score(data) == fitted.score(data)


def test_warm_start_goes_on_from_the_last_fit(data):
    model = AMICA(random_state=0, verbose=False, max_iter=15, warm_start=True)
    first = model.fit(data).ll_final_
    second = model.fit(data)
    assert second.ll_history()[0] == pytest.approx(first, abs=1e-10)
    assert second.ll_final_ > first


def test_what_is_done_to_public_arrays_changes_nothing(data):
    model = AMICA(random_state=0, verbose=False, max_iter=5, do_reject=True).fit(data)
    sources, maps = model.transform(data), np.array(model.sensor_mixing_matrices)
    names = [one for one, it in vars(model).items() if isinstance(it, np.ndarray)]
    assert {"W_", "sphere_", "mean_", "mu_", "posteriors_", "rejected_"} < set(names)
    for name in names:
        getattr(model, name)[:] = 0
    for array in (model.ll_history(), model.unmixing_matrices, model.mixing_matrices):
        array[:] = 0
    model.sensor_mixing_matrices[:] = 0
    assert_array_equal(model.transform(data), sources)
    assert_array_equal(model.sensor_mixing_matrices, maps)
    assert model.ll_history().all()


def test_clone_is_not_fitted_and_keeps_parameters(fitted):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        copy.transform(np.zeros((3, 4)))


def test_seed_that_was_drawn_repeats_the_fit(data):
    first = AMICA(verbose=False, max_iter=20).fit(data)
    again = AMICA(verbose=False, max_iter=20, random_state=first.random_state_)
    assert_array_equal(again.fit(data).W_, first.W_)


@pytest.mark.parametrize(
    "random_state", [np.random.default_rng(1), np.random.RandomState(1)]
)
def test_generators_are_taken_as_random_state(data, random_state):
    model = AMICA(verbose=False, max_iter=5, random_state=random_state).fit(data)
    assert isinstance(model.random_state_, int)


def test_masked_samples_have_no_weight(data):
    broken = np.ma.masked_array(data.copy(), mask=np.zeros_like(data, dtype=bool))
    broken[100:120, 2] = 1e6
    broken.mask[100:120, 2] = True
    weights = np.ones(len(data))
    weights[100:120] = 0
    options = {"random_state": 0, "verbose": False, "max_iter": 20}
    masked = AMICA(**options).fit(broken)
    clean = AMICA(**options).fit(data, sample_weight=weights)
    assert_array_equal(masked.W_, clean.W_)


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32")])
def test_precision_is_taken_in_all_forms(data, dtype):
    model = AMICA(dtype=dtype, verbose=False, max_iter=20, random_state=0).fit(data)
    assert model.model_.record.options["dtype"] == "float32"
    assert model.W_.dtype == np.float64


def test_types_of_torch_are_taken_by_their_name(data):
    class Fake:
        def __repr__(self) -> str:
            return "torch.float64"

    model = AMICA(dtype=Fake(), verbose=False, max_iter=5, random_state=0).fit(data)
    assert model.model_.record.options["dtype"] == "float64"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "dtype must be 'float64' or 'float32'"),
        ({"device": "mps"}, "device must be 'cpu', 'gpu' or 'cuda'"),
        ({"device": "cuda:x"}, "device must be"),
        ({"n_models": 0}, "n_models must be a whole number >= 1"),
        ({"n_mix": 0}, "n_mix must be a whole number >= 1"),
        ({"lrate": 0.0}, "lrate must be"),
        ({"minrho": 0.5}, "minrho must be a number at least 1 "),
        ({"minrho": 1.9, "maxrho": 1.5}, "maxrho must be a number at least 1.9"),
        ({"maxrho": 2.5}, "maxrho must be"),
        ({"reject_sigma": -1.0}, "reject_sigma must be"),
        ({"solver": "newton"}, "solver must be"),
        ({"compat": "matlab"}, "compat must be"),
        ({"fix_init": True, "n_models": 2}, "fix_init must be False"),
        ({"writestep": 0}, "writestep must be"),
        ({"n_components": -1}, "n_components must be"),
        ({"n_components": 1.5}, "n_components must be"),
        ({"n_components": "a"}, "n_components must be"),
        ({"n_components": 5}, "n_components must be"),
        ({"random_state": -1}, "random_state must be"),
    ],
)
def test_impossible_options_are_refused(data, options, message):
    with pytest.raises(OptionError, match=message):
        AMICA(verbose=False, **options).fit(data)


def test_unknown_option_is_refused():
    with pytest.raises(TypeError, match="n_model"):
        AMICA(n_model=2)


def test_model_out_of_range_is_refused(fitted, data):
    with pytest.raises(OptionError, match="model must be a whole number between 0 and"):
        fitted.transform(data, model=2)


def test_transposed_data_are_refused_in_the_words_of_the_face(data):
    words = (
        r"^X has more channels \(30\) than samples \(4\); is it transposed\?.*data\.T"
    )
    with pytest.raises(ShapeError, match=words):
        AMICA(verbose=False).fit(data[:30].T)


@pytest.mark.parametrize("shape", [(7, 3), (4, 7), (7, 2, 4), (4,)])
def test_sources_of_another_shape_are_refused(fitted, shape):
    with pytest.raises(ShapeError, match=r"^S must have shape \(any, 4\), but got \("):
        fitted.inverse_transform(np.zeros(shape))


def test_numbers_of_numpy_are_numbers(data, tmp_path):
    given = {"n_models": 2, "max_iter": 5, "writestep": 2, "n_components": 3}
    plain = AMICA(random_state=3, rho0=1.25, verbose=False, **given).fit(data)
    given = {name: np.int64(value) for name, value in given.items()}
    model = AMICA(
        random_state=np.uint32(3), rho0=np.float32(1.25), do_sphere=np.True_,
        verbose=False, **given,
    ).fit(data)  # fmt: skip
    assert model.model_.record == plain.model_.record
    assert_array_equal(model.W_, plain.W_)
    model.save(tmp_path / "model")
    assert AMICA.load(tmp_path / "model").get_params()["n_models"] == 2


def test_nan_is_named(data):
    broken = data.copy()
    broken[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN or Inf: 1 values.*\(7, 1\)"):
        AMICA(verbose=False).fit(broken)


@pytest.mark.filterwarnings("ignore:.*times larger than usual")
def test_lines_are_printed_at_the_face_and_nowhere_else(data, capsys):
    loud = data.copy()
    loud[50] *= 300
    AMICA(max_iter=45, writestep=10, do_reject=True, random_state=0).fit(loud)
    lines = capsys.readouterr().out.splitlines()
    rejections = [one for one in lines if one.startswith("Rejection")]
    assert len(rejections) == 5
    assert rejections[0].startswith("Rejection 1/5 at iter 1: ")
    assert rejections[0].endswith("/3000 samples excluded total")
    shown = [int(one.split()[1]) for one in lines if one.startswith("iter ")]
    assert shown[:3] == [1, 10, 20]
    AMICA(max_iter=5, verbose=False, random_state=0).fit(data)
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore:.*times larger than usual")
def test_rejection_mask_is_kept_samples_or_nothing(data):
    loud = data.copy()
    loud[[50, 60]] *= 500
    options = {"max_iter": 40, "verbose": False, "random_state": 0}
    model = AMICA(do_reject=True, **options).fit(loud)
    assert model.rejected_[[50, 60]].all()
    assert_array_equal(model._rej_mask_, ~model.rejected_)
    assert model.posteriors_.shape == (1, 3000)
    assert AMICA(**options).fit(data)._rej_mask_ is None


def test_callback_ends_the_fit(data):
    seen = []

    def stop(news) -> bool:
        seen.append(news.iteration)
        return news.iteration == 4

    model = AMICA(verbose=False, callback=stop, random_state=0).fit(data)
    assert seen == [1, 2, 3, 4]
    assert model.stop_reason_ == "callback"
    assert not model.converged_


def test_fit_goes_on_from_its_checkpoint(data, tmp_path):
    path = tmp_path / "state.npz"
    options = {"random_state": 0, "verbose": False, "solver": "em"}
    whole = AMICA(max_iter=20, **options).fit(data)
    AMICA(max_iter=10, checkpoint_path=path, **options).fit(data)
    resumed = AMICA(max_iter=20, checkpoint_path=path, **options).fit(data)
    assert_array_equal(resumed.W_, whole.W_)
    assert resumed.n_iter_ == 20


def test_fit_with_a_drawn_seed_goes_on_too(data, tmp_path):
    kept = {"checkpoint_path": tmp_path / "state", "verbose": False}
    part = AMICA(max_iter=10, **kept).fit(data)
    resumed = AMICA(max_iter=20, **kept).fit(data)
    assert resumed.random_state_ == part.random_state_
    assert_array_equal(resumed.ll_history()[: part.n_iter_], part.ll_history())
    whole = AMICA(max_iter=20, verbose=False, random_state=part.random_state_)
    assert_array_equal(resumed.W_, whole.fit(data).W_)


def test_checkpoints_need_a_name(data):
    with pytest.raises(OptionError, match=r"must name a file .*, but got ''"):
        AMICA(checkpoint_path="", verbose=False).fit(data)


def test_resumed_fit_tells_of_new_rejections_only(data, tmp_path, capsys):
    def fit(max_iter, **options):
        AMICA(
            max_iter=max_iter, random_state=0, solver="em", do_reject=True,
            num_reject=4, reject_sigma=2.0, reject_int=5, **options,
        ).fit(data)  # fmt: skip
        lines = capsys.readouterr().out.splitlines()
        return [one for one in lines if one.startswith("Rejection")]

    whole = fit(20)
    assert [one.split()[1] for one in whole] == ["1/4", "2/4", "3/4", "4/4"]
    path = tmp_path / "state"
    assert fit(8, checkpoint_path=path) == whole[:2]
    assert fit(20, checkpoint_path=path) == whole[2:]
    path = tmp_path / "before"  # the first iteration that follows rejects
    assert fit(5, checkpoint_path=path) == whole[:1]
    assert fit(20, checkpoint_path=path) == whole[1:]


@pytest.mark.parametrize(
    ("n_copies", "words"), [(0, "Done: "), (2, "Done: 4 components, 6 channels; ")]
)
def test_last_line_says_how_the_fit_ended(data, capsys, n_copies, words):
    X = np.hstack([data, data[:, :n_copies]])
    model = AMICA(max_iter=12, random_state=0, solver="em").fit(X)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"{words}12 iterations, max_iter, LL = {model.ll_final_:.8f}"


def test_schedule_option_takes_the_reference_solver(data):
    model = AMICA(minlrate=0.5, verbose=False, random_state=0, max_iter=900).fit(data)
    assert model.solver_ == "em"
    assert model.n_iter_ < 900
    assert model.stop_reason_ == "minlrate"
    assert AMICA(verbose=False, max_iter=5).fit(data).solver_ == "quasi-newton"


def test_times_are_kept_on_request(data):
    model = AMICA(time_iters=True, verbose=False, max_iter=8, random_state=0).fit(data)
    assert len(model.iter_times_) == model.n_iter_
    assert all(one > 0 for one in model.iter_times_)


def test_sampled_data_have_the_covariance_of_the_data(data):
    model = AMICA(verbose=False, max_iter=60, random_state=0).fit(data)
    drawn = model.sample(40_000, random_state=1)
    scale = np.sqrt(np.diag(np.cov(data.T)))
    error = (np.cov(drawn.T) - np.cov(data.T)) / np.outer(scale, scale)
    assert np.abs(error).max() < 0.06
    assert_array_equal(drawn, model.sample(40_000, random_state=1))


def test_top_level_name_is_the_class():
    assert meegic.AMICA is AMICA
