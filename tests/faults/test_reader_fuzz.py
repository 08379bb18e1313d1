"""Readers on damaged files: a meegic error, or a recording that the check can judge."""

import shutil
import struct
import time
import tracemalloc
import warnings
from pathlib import Path

import mne
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from meegic import DataWarning, MeegicError, check_recording, read_recording

MAX_BYTES = 50e6
"""What one file of 10 kB may take; a damaged length claims gigabytes."""

MAX_SECONDS = 2.0

FORMATS = {
    "fif": ("a_raw.fif",),
    "fif-directory": ("b_raw.fif",),
    "brainvision": ("a.vhdr", "a.vmrk", "a.eeg"),
    "edf": ("a.edf",),
    "eeglab-embedded": ("a.set",),
    "eeglab-fdt": ("b.set", "b.fdt"),
    "eeglab-compressed": ("c.set",),
}


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("valid")
    data = 1e-5 * np.random.default_rng(0).standard_normal((3, 400))
    info = mne.create_info(["Fz", "Cz", "Pz"], 100.0, "eeg")
    raw = mne.io.RawArray(data, info, verbose="error")
    raw.set_montage("biosemi32")
    raw.set_annotations(mne.Annotations([1.0], [0.5], ["blink"]))
    for name in ("a.edf", "a.vhdr", "a.set"):
        mne.export.export_raw(folder / name, raw, verbose="error")
    raw.set_eeg_reference(projection=True, verbose="error")
    raw.save(folder / "a_raw.fif", verbose="error")
    add_directory(folder / "a_raw.fif", folder / "b_raw.fif")
    variables = loadmat(folder / "a.set", squeeze_me=True)
    eeg = {key: one for key, one in variables.items() if not key.startswith("_")}
    savemat(folder / "c.set", {"EEG": eeg}, do_compression=True)
    eeg["data"].T.astype("<f4").tofile(folder / "b.fdt")
    savemat(folder / "b.set", {"EEG": eeg | {"data": "b.fdt"}})
    # what readers import late takes no time and memory of a damaged file then
    check_recording(read_recording(folder / "a.edf").load_data().resample(50.0))
    return folder


def add_directory(source: Path, target: Path) -> None:
    """Copy a FIF with the directory that acquisition systems write behind it."""
    content = source.read_bytes()
    place, entries = 0, b""
    while place < len(content):
        tag = struct.unpack_from(">iIi", content, place)
        entries += struct.pack(">iIii", *tag, place)
        place += 16 + tag[2]
    directory = struct.pack(">iIii", 102, 32, len(entries), -1) + entries
    pointer = struct.pack(">i", len(content))
    target.write_bytes(content[:52] + pointer + content[56:] + directory)


def flip(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    where = rng.integers(0, rng.choice([content.size, 600]), rng.integers(1, 65))
    content[where % content.size] ^= rng.integers(1, 256, where.size).astype(np.uint8)
    return content


def truncate(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return content[: rng.integers(0, content.size)]


def splice(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    length = rng.integers(1, content.size // 4 + 1)
    source, target = rng.integers(0, content.size - length, 2)
    content[target : target + length] = content[source : source + length].copy()
    return content


def extend(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    more = rng.integers(0, 256, rng.integers(1, 2000)).astype(np.uint8)
    return np.concatenate([content, more])


def retype(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put a small number where there is one: types, sizes and counts."""
    small = np.flatnonzero((content[:-3] == 0) & (content[1:-2] == 0))
    where = rng.choice(small) if small.size else 0
    content[where + 3] = rng.integers(0, 41)
    return content


DAMAGES = (flip, truncate, splice, extend, retype)


def check_variants(valid: Path, folder: Path, names: tuple[str, ...], seeds: range):
    """Damage one of the files in many ways; tell how many were refused."""
    refused = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for name in names:
            shutil.copy(valid / name, folder / name)
        path = folder / names[rng.integers(len(names))]
        content = np.fromfile(path, np.uint8)
        DAMAGES[seed % len(DAMAGES)](content, rng).tofile(path)
        refused += is_refused(
            folder / names[0], allow_truncated=bool(seed // len(DAMAGES) % 2)
        )
    return refused


def is_refused(path: Path, *, allow_truncated: bool) -> bool:
    tracemalloc.reset_peak()
    start = time.process_time()
    try:
        raw = read_recording(path, allow_truncated=allow_truncated)
        findings = check_recording(raw)
    except MeegicError:
        refused = True
    else:
        assert np.isfinite([findings.sfreq, findings.duration_s]).all()
        assert findings.ok or findings.found
        refused = not findings.ok
    assert time.process_time() - start < MAX_SECONDS
    assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
    return refused


@pytest.fixture
def traced():
    tracemalloc.start()
    with warnings.catch_warnings():
        # a reader may warn of anything in a damaged header, in its caller's name
        warnings.filterwarnings("ignore", module="mne|pymatreader|scipy|meegic.bids")
        warnings.filterwarnings("ignore", module="meegic.clean.edge.check")
        warnings.simplefilter("ignore", DataWarning)
        yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("form", FORMATS)
def test_damaged_files_are_refused_or_judged(valid, tmp_path, form):
    assert check_variants(valid, tmp_path, FORMATS[form], range(20)) >= 5


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("form", FORMATS)
def test_many_damaged_files(valid, tmp_path, form):
    assert check_variants(valid, tmp_path, FORMATS[form], range(20, 520)) >= 125
