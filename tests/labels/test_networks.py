"""The published networks: found, verified, opened once, and run."""

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from meegic.base.errors import (
    DataWarning,
    FileFormatError,
    InputError,
    IntegrityError,
    MissingDependencyError,
)
from meegic.labels import networks
from meegic.labels.networks import WEIGHTS, find_weights, load_network, run_network


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    shapes = {"topo": (1, 32, 32), "psds": (1, 1, 100), "autocorr": (1, 1, 100)}
    return {name: rng.uniform(-1, 1, (8, *one)) for name, one in shapes.items()}


@pytest.fixture
def nothing_open():
    """A process that has not opened a network yet, as it seems."""
    networks._load.cache_clear()
    yield
    networks._load.cache_clear()


def test_probabilities_sum_to_one(inputs):
    found = run_network("iclabel", inputs)
    assert (found.shape, found.dtype) == ((2, 7), np.float32)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_network_is_opened_once_per_process(monkeypatch):
    first = load_network("iclabel")
    assert load_network("iclabel") is first
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as after a fork
    assert load_network("iclabel") is not first


def test_published_weights_are_those_that_run():
    network = load_network("iclabel")
    assert network.digest == WEIGHTS["iclabel"].digest
    assert network.source.startswith("mne-icalabel 0.")


def test_own_weights_run_instead(inputs, tmp_path):
    own = tmp_path / "mine.onnx"
    shutil.copy(find_weights("iclabel"), own)
    assert load_network("iclabel", own).source == "model_path"
    found = run_network("iclabel", inputs, model_path=str(own))
    assert_array_equal(found, run_network("iclabel", inputs))


def test_own_weights_that_are_absent_or_damaged_are_refused(tmp_path):
    own = tmp_path / "mine.onnx"
    with pytest.raises(InputError, match=r"model_path must be an ONNX file, but .*min"):
        load_network("iclabel", own)
    own.write_bytes(find_weights("iclabel").read_bytes()[:5000])
    with pytest.raises(FileFormatError, match="holds no network that onnxruntime can"):
        load_network("iclabel", own)


def test_own_weights_of_another_network_are_refused(inputs):
    with pytest.raises(InputError, match="inputs of ICLabel must be 'spatial_input'"):
        run_network("iclabel", inputs, model_path=find_weights("megnet"))


@pytest.mark.usefixtures("nothing_open")
def test_row_89_other_weights_of_the_carrier_are_announced(monkeypatch):
    weights = SimpleNamespace(**vars(WEIGHTS["iclabel"]) | {"digest": "0" * 64})
    monkeypatch.setitem(WEIGHTS, "iclabel", weights)
    with pytest.warns(
        DataWarning, match=r"in mne-icalabel .* have the digest b7dc72bc.*of 0\.10\.0"
    ):
        load_network("iclabel")


def test_row_89_absent_weights_say_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "find_spec", lambda _: None)
    with pytest.raises(
        MissingDependencyError, match=r"absent\. pip install .* mne-icalabel==0\.10\.0"
    ):
        find_weights("megnet")
    carrier = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(networks, "find_spec", lambda _: carrier)
    with pytest.raises(MissingDependencyError, match="lacks the weights of ICLabel"):
        find_weights("iclabel")


@pytest.mark.usefixtures("nothing_open")
def test_absent_runtime_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="onnxruntime, which runs the net"):
        load_network("iclabel")


@pytest.mark.usefixtures("nothing_open")
def test_licence_of_megnet_is_told_once(caplog):
    for _ in range(2):
        load_network("megnet")
        load_network("iclabel")
    (told,) = caplog.records
    assert "academic and research use only" in told.getMessage()


@pytest.mark.usefixtures("nothing_open")
def test_threads_are_those_that_are_allowed_and_do_not_spin(monkeypatch):
    monkeypatch.setattr(networks, "count_threads", lambda: 1)
    options = load_network("iclabel").session.get_session_options()
    assert options.intra_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_row_46_inputs_that_are_not_finite_are_refused(inputs):
    inputs["psds"][3, 0, 0, 7] = np.nan
    with pytest.raises(InputError, match="psds contains NaN or Inf, about which ICLab"):
        run_network("iclabel", inputs)


def test_row_46_output_that_is_not_finite_is_never_returned(inputs, monkeypatch):
    real = load_network("iclabel").session
    session = SimpleNamespace(
        get_inputs=real.get_inputs,
        run=lambda *_: [real.run(None, _[1])[0] * np.array([np.nan, *[1.0] * 6])],
    )
    broken = networks.Network(session, "", "")
    monkeypatch.setattr(networks, "load_network", lambda *_: broken)
    with pytest.raises(IntegrityError, match="ICLabel gave NaN or Inf for finite"):
        run_network("iclabel", inputs)


def test_row_71_networks_neither_note_nor_tell_who_uses_them(tmp_path):
    homes = dict.fromkeys(("HOME", "USERPROFILE", "XDG_CACHE_HOME"), str(tmp_path))
    env = {name: text for name, text in os.environ.items() if "ORT_" not in name}
    code = (
        "from meegic.labels.networks import load_network; load_network('iclabel')\n"
        "import os, sys; print('ORT_DISABLE_TELEMETRY' in os.environ)\n"
        "print(sorted({'mne_icalabel', 'torch', 'mne'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env | homes,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["False", "[]"]
    assert not list(tmp_path.rglob("*onnxruntime*"))
