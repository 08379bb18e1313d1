import errno
import os
from functools import partial

import mne
import numpy as np
import pytest

from meegic import read_recording
from meegic.base.errors import OptionError, OutputError
from meegic.bids.export import write_recording


def make_raw(n_times: int = 500) -> mne.io.RawArray:
    data = 1e-5 * np.random.default_rng(n_times).standard_normal((8, n_times))
    info = mne.create_info(8, 100.0, "eeg")
    return mne.io.RawArray(data, info, verbose="error")


def test_an_existing_file_is_replaced(tmp_path):
    path = tmp_path / "a_raw.fif"
    write_recording(path, make_raw(500))
    raw = make_raw(700)
    write_recording(str(path), raw)
    # float32 in the file: half an ulp of each sample
    np.testing.assert_allclose(
        read_recording(path).get_data(), raw.get_data(), rtol=2.0**-23
    )
    assert os.listdir(tmp_path) == [path.name]


def test_a_recording_is_written_over_its_own_file(tmp_path):
    path = tmp_path / "a_raw.fif"
    write_recording(path, make_raw())
    raw = read_recording(path)
    before = raw.get_data()
    write_recording(path, raw)
    assert np.array_equal(read_recording(path).get_data(), before)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (ValueError("no such type"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["disk", "writer", "interrupt"],
)
def test_a_save_that_fails_half_way_leaves_the_earlier_file(
    tmp_path, monkeypatch, error, expected
):
    def fail(path, **_):
        path.write_bytes(before[:99])
        raise error

    path, raw = tmp_path / "a_raw.fif", make_raw()
    write_recording(path, raw)
    before = path.read_bytes()
    monkeypatch.setattr(raw, "save", fail)
    with pytest.raises(expected, match=r"No space left|no such type|^$"):
        write_recording(path, raw)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_parts_of_a_long_recording_come_along(tmp_path, monkeypatch):
    path, raw = tmp_path / "a_raw.fif", make_raw(70_000)
    # 2 MB in place of the 2 GB at which the writer splits
    small = partial(raw.save, split_size="2MB", buffer_size_sec=10)
    monkeypatch.setattr(raw, "save", small)
    parts = ["a_raw-1.fif", "a_raw-2.fif", "a_raw.fif"]
    for _ in range(2):
        write_recording(path, raw)
        assert sorted(os.listdir(tmp_path)) == parts
        np.testing.assert_allclose(  # float32 in the file, as above
            read_recording(path).get_data(), raw.get_data(), rtol=2.0**-23
        )


def test_another_format_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"end in \.fif, but got 'a\.edf'.*'a\.fif'"):
        write_recording(tmp_path / "a.edf", make_raw())
    assert not os.listdir(tmp_path)
