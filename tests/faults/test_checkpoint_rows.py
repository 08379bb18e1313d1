"""Rows 66 and 67 of the table of faults: checkpoints that are damaged or foreign."""

import errno
import itertools
import re
import shutil
import warnings

import numpy as np
import pytest
from tests.components.same_fits import draw_data, fit, list_differences
from tests.faults.test_kill import damage
from tests.faults.test_writes import FAULTS, FaultyOs, do

from meegic.base import files
from meegic.base.errors import (
    DataWarning,
    IntegrityError,
    OutputError,
    ReproducibilityWarning,
)
from meegic.base.flat import read_flat, write_flat
from meegic.components import checkpoint
from meegic.components.checkpoint import Checkpoints, CheckpointStore
from meegic.components.loop import Problem
from meegic.components.whiten import fit_whitener

DATA = draw_data(n_times=700)
OPTIONS = {"solver": "em", "max_iter": 20}
ADVICE = r"Remove the files fit_\*\.npz or give another path to begin anew\.$"


@pytest.fixture(scope="module")
def whole():
    return fit(DATA, **OPTIONS)


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """A folder with the states after 15 and 20 iterations."""
    folder = tmp_path_factory.mktemp("states")
    fit(DATA, checkpoints=Checkpoints(folder / "fit", every=5), **OPTIONS)
    return folder


@pytest.fixture
def kept(states, tmp_path):
    shutil.copytree(states, tmp_path, dirs_exist_ok=True)
    return Checkpoints(tmp_path / "fit.npz")


def change(path, **parts):
    """Change parts of a state and give it a fitting digest."""
    content = read_flat(path, checkpoint._Content, version=checkpoint.SCHEMA)
    write_flat(path, content._replace(**parts), version=checkpoint.SCHEMA)


def flip(content):
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    return bytes(flipped)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda content: content[: len(content) // 2], id="row-59-cut"),
        pytest.param(lambda content: b"", id="row-59-empty"),
        pytest.param(flip, id="row-66-flipped"),
        pytest.param(lambda content: content[:99] + content[120:], id="row-66-gap"),
    ],
)
def test_a_damaged_newest_state_gives_way_to_the_one_before(kept, whole, spoil):
    newest = kept.name(20)
    newest.write_bytes(spoil(newest.read_bytes()))
    with pytest.warns(DataWarning, match=r"fit_000020\.npz.*An older checkpoint takes"):
        resumed = fit(DATA, checkpoints=kept, **OPTIONS)
    assert list_differences(whole, resumed) == []
    assert fit(DATA, checkpoints=kept, **OPTIONS).stop_reason == "max_iter"


def test_row_59_66_a_damaged_future_goes_when_another_one_has_come(kept):
    """Else it would be met again after each interruption."""
    kept.name(20).write_bytes(b"no state")
    with pytest.warns(DataWarning, match="An older checkpoint takes its place"):
        fit(DATA, checkpoints=kept, **{**OPTIONS, "max_iter": 18})
    assert set(kept.find()) == {15, 18}


def test_row_66_forged_state_is_damaged(kept, whole):
    """Another value under the old digest: in order for zip, but not for us."""
    content = read_flat(kept.name(20), checkpoint._Content, version=1)
    history = content.state.history + 1e-15
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("meegic.base.flat._hash", lambda _: "0" * 64)
        forged = content._replace(state=content.state._replace(history=history))
        write_flat(kept.name(20), forged, version=1)
    with pytest.warns(DataWarning, match="it states the sha256 0000"):
        assert list_differences(whole, fit(DATA, checkpoints=kept, **OPTIONS)) == []


def test_row_66_without_a_whole_state_nothing_is_guessed(kept, monkeypatch):
    monkeypatch.setattr(Problem, "start", lambda *_: pytest.fail("it begins anew"))
    for n_iter in (15, 20):
        kept.name(n_iter).write_bytes(b"no state")
    match = rf"none of the 2 checkpoints can be used.*fit_000020\.npz.*{ADVICE}"
    with pytest.raises(IntegrityError, match=match):
        fit(DATA, checkpoints=kept, **OPTIONS)


@pytest.mark.parametrize(
    ("data", "given"),
    [
        (DATA + 1e-12, {}),
        (DATA[:, :-1], {}),
        (DATA[::-1], {}),
        (DATA, {"weights": np.where(np.arange(700) == 9, 0.5, 1.0)}),
    ],
    ids=["row-66-value", "row-66-length", "row-66-order", "row-66-weights"],
)
def test_other_data_are_refused(kept, data, given):
    match = (
        r"fit_000020\.npz belongs to other data: its data digest is [0-9a-f]{64}, th"
    )
    with pytest.raises(IntegrityError, match=rf"{match}.*{ADVICE}"):
        fit(data, checkpoints=kept, **given, **OPTIONS)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n_mix": 2}, "n_mix was 3 and is 2"),
        ({"lrate": 0.2}, "lrate was 0.1 and is 0.2"),
        ({"solver": "quasi-newton"}, "solver was 'em' and is 'quasi-newton'"),
        ({"dtype": "float32"}, "dtype was 'float64' and is 'float32'"),
        ({"seed": 5}, "seed was 0 and is 5"),
        ({"n_mix": 4, "rho0": 1.2}, "n_mix was 3 and is 4, rho0 was 1.5 and is 1.2"),
    ],
    ids=lambda one: f"row-66-67-{'-'.join(one)}" if isinstance(one, dict) else "",
)
def test_other_options_are_refused_by_name(kept, given, words):
    match = rf"belongs to other options: {re.escape(words)}\. {ADVICE}"
    with pytest.raises(IntegrityError, match=match):
        fit(DATA, checkpoints=kept, **{**OPTIONS, **given})


def test_row_66_another_scale_is_another_space(kept):
    match = r"belongs to another whitening: the scale of the channels differs.*"
    with pytest.raises(IntegrityError, match=match + ADVICE):
        fit(DATA, checkpoints=kept, scale=np.array([1.0, 2.0, 1.0]), **OPTIONS)


def test_row_66_state_of_other_sizes_is_refused(kept):
    """Behind a fitting digest, and before compiled loops take its word for it."""
    other = fit(DATA, n_mix=2, **OPTIONS).parameters
    content = read_flat(kept.name(20), checkpoint._Content, version=1)
    sums = content.state.solver.sums
    fewer = {name: getattr(sums, name)[:, :2] for name in sums._fields[5:12]}
    solver = content.state.solver._replace(
        parameters=other, origin=other, sums=sums._replace(**fewer)
    )
    change(kept.name(20), state=content.state._replace(solver=solver))
    with pytest.raises(IntegrityError, match="its parameters have not the sizes"):
        fit(DATA, checkpoints=kept, **OPTIONS)


def test_row_66_newer_schema_is_refused_with_the_reason(kept, monkeypatch):
    content = read_flat(kept.name(20), checkpoint._Content, version=1)
    write_flat(kept.name(20), content, version=2)
    with pytest.raises(IntegrityError, match=r"schema 2, but this meegic reads 1\. Re"):
        fit(DATA, checkpoints=kept, **OPTIONS)


def test_row_67_another_kernel_goes_on_with_a_warning(kept, whole):
    kept.name(20).unlink()
    with pytest.warns(
        ReproducibilityWarning,
        match=r"15\.npz was computed otherwise: kernel was 'numba' and is 'jax'\. The",
    ):
        resumed = fit(DATA, checkpoints=kept, **{**OPTIONS, "kernel": "jax"})
    np.testing.assert_allclose(resumed.log_likelihood, whole.log_likelihood, rtol=1e-8)
    assert len(resumed.history.rate) == 20


def test_row_67_another_device_count_goes_on_with_a_warning(kept, whole):
    change(kept.name(20), n_devices=4)
    with pytest.warns(ReproducibilityWarning, match="devices was 4 and is 1"):
        resumed = fit(DATA, checkpoints=kept, **OPTIONS)
    assert list_differences(whole, resumed) == []


def test_row_67_another_block_goes_on_with_a_warning(kept):
    with pytest.warns(ReproducibilityWarning, match="chunk_t was None and is 256"):
        fit(DATA, checkpoints=kept, chunk_t=256, **OPTIONS)


@pytest.mark.parametrize("package", ["meegic", "numpy"])
def test_row_67_another_version_goes_on_with_a_warning(kept, package):
    content = read_flat(kept.name(20), checkpoint._Content, version=1)
    plain = content.record.to_dict()
    plain["versions"][package] = "0.0.1"
    change(kept.name(20), record=content.record.from_dict(plain))
    with pytest.warns(ReproducibilityWarning, match=f"{package} was '0.0.1' and is"):
        fit(DATA, checkpoints=kept, **OPTIONS)


@pytest.mark.parametrize(
    "n_variants", [20, pytest.param(500, marks=pytest.mark.slow)], ids=str
)
def test_row_66_damaged_bytes_are_found_or_change_nothing(kept, n_variants):
    """The state before takes over, unless the content is equal to the last bit."""
    rng = np.random.default_rng(0)
    store = open_store_of(kept)
    good = {n_iter: kept.name(n_iter).read_bytes() for n_iter in (15, 20)}
    older, newest = (checkpoint._try(kept.name(n), []).state for n in (15, 20))
    n_older = 0
    for _ in range(n_variants):
        kept.name(20).write_bytes(damage(rng, good[20]))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = store.read()
        expected = older if caught else newest
        assert list_differences(expected, found, without=()) == []
        n_older += bool(caught)
    assert n_older > n_variants // 2


def open_store_of(kept):
    """Open the store of the fit that left these states."""
    content = checkpoint._try(kept.name(20), [])
    return CheckpointStore(kept, content.record, fit_whitener(DATA))


@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
@pytest.mark.parametrize("fault", FAULTS)
def test_row_59_a_fault_at_any_call_leaves_a_whole_state(
    states, tmp_path, monkeypatch, fault, forever
):
    """Whatever call fails while a state is written, this or the one before is read."""
    source = Checkpoints(states / "fit")
    old, new = (checkpoint._try(source.name(n), []).state for n in (15, 20))
    store = open_store_of(source)
    n_errors = 0
    for n in itertools.count(1):
        folder = tmp_path / f"{n}"
        folder.mkdir()
        kept = Checkpoints(folder / "fit", keep=1)
        shutil.copy(source.name(15), folder)
        store._checkpoints = kept
        system = FaultyOs(n, FAULTS[fault], forever=forever)
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", system)
            try:
                store.write(new)
            except (OutputError, KeyboardInterrupt):
                n_errors += 1
        found = store.read()
        replaced = "replace" in system.calls[: n - 1] or fault == "short"
        expected = new if replaced or n > len(system.calls) else old
        assert list_differences(expected, found, without=()) == []
        assert {one.name for one in folder.iterdir()} <= {
            "fit_000015.npz",
            "fit_000020.npz",
        }
        if len(system.calls) < n:
            break
    assert {one.name for one in folder.iterdir()} == {"fit_000020.npz"}
    assert n >= 9
    assert n_errors == 0 if fault == "short" else n_errors >= 7


def test_row_59_a_full_disk_ends_the_fit_by_name(kept, whole, monkeypatch):
    """A state that cannot be kept is no small matter; the one before stays."""
    kept = Checkpoints(kept.path, every=1)
    system = FaultyOs(2, FAULTS["ENOSPC"])
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", system)
        with pytest.raises(OutputError, match=r"fit_000021\.npz .* No space") as error:
            fit(DATA, checkpoints=kept, **{**OPTIONS, "max_iter": 30})
    assert error.value.__cause__.errno == errno.ENOSPC
    resumed = fit(DATA, checkpoints=kept, **{**OPTIONS, "max_iter": 30})
    assert list_differences(fit(DATA, **{**OPTIONS, "max_iter": 30}), resumed) == []


def test_row_59_a_state_is_on_the_disk_before_older_ones_go(kept, monkeypatch):
    store = open_store_of(kept)
    state = store.read()
    store._checkpoints = Checkpoints(kept.path, keep=1)
    system = FaultyOs(0, do)
    monkeypatch.setattr(files, "os", system)
    store.write(state)
    assert system.calls == [
        *("open", "write", "fsync", "close"),
        "replace",
        *("open", "fsync", "close"),
        *("unlink", "unlink"),  # the temporary, which is gone, and the older state
    ]
