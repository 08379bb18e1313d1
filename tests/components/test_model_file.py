import pickle
import zipfile
from dataclasses import fields

import numpy as np
import pytest
from tests.components.same_fits import draw_data, fit, list_differences

from meegic.base.errors import InputError, IntegrityError
from meegic.base.flat import write_flat
from meegic.components.model import SCHEMA
from meegic.components.model_file import read_model

DATA = draw_data()


@pytest.fixture(scope="module")
def model():
    return fit(DATA, n_models=2, max_iter=30, do_reject=True, n_restarts=2, seed=3)


def test_a_model_comes_back_bit_for_bit(tmp_path, model):
    path = model.save(tmp_path / "model.npz")
    again = read_model(path)
    assert list_differences(model, again, without=()) == []
    assert again.record == model.record
    assert {type(getattr(again, one.name)) for one in fields(again)} == {
        type(getattr(model, one.name)) for one in fields(model)
    }


def test_equal_models_give_equal_files(tmp_path, model):
    one, two = (model.save(tmp_path / name).read_bytes() for name in ("a", "b"))
    assert one == two


def test_the_suffix_is_added_once(tmp_path, model):
    paths = [model.save(tmp_path / name).name for name in ("a", "b.npz", "c.amica")]
    assert paths == ["a.npz", "b.npz", "c.amica.npz"]
    for name in ("a", "a.npz", "b", "c.amica", "c.amica.npz"):
        assert read_model(tmp_path / name).n_models == 2
    renamed = (tmp_path / "a.npz").rename(tmp_path / "a.bin")
    assert read_model(renamed).n_models == 2


def test_a_loaded_model_can_do_everything(tmp_path, model):
    again = read_model(model.save(tmp_path / "model"))
    other = draw_data(seed=1)
    for name in ("unmix", "posteriors", "score_models", "score_samples"):
        expected = getattr(model, name)(other)
        assert getattr(again, name)(other).tobytes() == expected.tobytes()
    assert again.score(other) == model.score(other)
    assert again.sample(20, seed=5).tobytes() == model.sample(20, seed=5).tobytes()
    assert again.maps.tobytes() == model.maps.tobytes()
    one, two = (
        fit(DATA, start=start, n_models=2, max_iter=5) for start in (model, again)
    )
    assert list_differences(one, two) == []
    assert one.history.log_likelihood[0] > fit(DATA, max_iter=1).log_likelihood


class Evil:
    """What would leave a trace if it were read."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (str(self.trace), "w"))


def write_pickle(path, evil):
    path.write_bytes(pickle.dumps(evil))


def write_archive(path, evil):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(evil))


def write_objects(path, evil):
    with path.open("wb") as stream:
        np.savez(stream, W=np.array([evil], dtype=object))


@pytest.mark.parametrize("write", [write_pickle, write_archive, write_objects])
def test_pickles_are_refused_unread(tmp_path, write):
    path = tmp_path / "model.npz"
    write(path, Evil(tmp_path / "trace"))
    with pytest.raises(IntegrityError, match=r"npz is a pickle, which would run code"):
        read_model(path)
    assert not (tmp_path / "trace").exists()


def test_a_newer_file_is_refused_with_the_reason(tmp_path, model):
    write_flat(tmp_path / "a.npz", model, version=SCHEMA + 1)
    match = rf"has schema {SCHEMA + 1}, but this meegic reads {SCHEMA}\. Read it with"
    with pytest.raises(IntegrityError, match=match):
        read_model(tmp_path / "a.npz")


def test_what_is_no_model_is_refused(tmp_path, model):
    with pytest.raises(InputError, match=r"no such file: .*a\.npz\. Save it there"):
        read_model(tmp_path / "a")
    path = tmp_path / "b.npz"
    np.savez(path, W=np.eye(3))
    with pytest.raises(IntegrityError, match="it does not state its schema"):
        read_model(path)
    path = model.save(tmp_path / "c")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(IntegrityError, match="does not end as an npz file does"):
        read_model(path)
