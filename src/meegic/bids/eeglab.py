"""EEGLAB data sets, held against the bytes that are there."""

import os
from pathlib import Path

import mne
from scipy.io import whosmat

from meegic.base.errors import FileFormatError
from meegic.base.matlab import check_mat
from meegic.base.optional import import_optional
from meegic.bids.sizes import Size
from meegic.bids.sniff import check_content


def check_set(path: Path) -> None:
    """Refuse a data set that is damaged, or whose samples were not fetched.

    Parameters
    ----------
    path : Path
        The ``.set``.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.set"
    >>> size = path.write_bytes(b"MATLAB 5.0 MAT-file")
    >>> check_set(path)
    Traceback (most recent call last):
    meegic.base.errors.FileFormatError: ...: file truncated: 19 of at least 128 ...
    """
    data = path.with_suffix(".fdt")
    if os.path.lexists(data):
        check_content(data)
    check_mat(path)


def measure_eeglab(path: Path, raw: mne.io.BaseRaw) -> Size | None:
    """Compare what an opened EEGLAB data set says with the samples there are.

    Parameters
    ----------
    path : Path
        The ``.set``.
    raw : mne.io.Raw
        What was opened; its length is the one in the header.

    Returns
    -------
    Size | None
        Length of the ``.fdt``; nothing where the samples lie in the ``.set``.

    Examples
    --------
    >>> raw = mne.io.RawArray([[0.0, 1.0]], mne.create_info(1, 100.0), verbose=False)
    >>> measure_eeglab(Path("loaded.set"), raw)
    """
    if raw.preload:
        return None
    data = Path(str(raw.filenames[0]))
    if data.suffix == ".fdt":
        frame = 4 * len(raw.ch_names)
        return Size(data, data.stat().st_size, frame * int(raw.n_times), frame)
    n_times = _count_samples(path)
    if n_times != raw.n_times:
        raise FileFormatError(
            f"{path} holds {n_times} samples, but its header says {raw.n_times}.",
            hint="Save it again in EEGLAB.",
        )
    return None


def _count_samples(path: Path) -> int:
    try:
        shapes = {name: shape for name, shape, _ in whosmat(path)}
    except NotImplementedError:  # MATLAB 7.3, where axes are stored in reverse
        with import_optional("h5py", extra="io").File(path) as file:
            shapes = {"data": file["data"].shape[::-1]} if "data" in file else {}
    return shapes.get("data", (0,))[-1]
