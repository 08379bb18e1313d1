"""Opening recordings, or saying what is wrong with their files."""

import configparser
import logging
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import mne
from scipy.io.matlab import MatReadError

from meegic.base.damage import COPY_AGAIN, refuse_header
from meegic.base.errors import FileFormatError
from meegic.bids.brainvision import measure_brainvision
from meegic.bids.edf import measure_edf
from meegic.bids.eeglab import check_set, measure_eeglab
from meegic.bids.fif import check_buffers, check_fif
from meegic.bids.formats import get_extension
from meegic.bids.sizes import Size, settle_length
from meegic.bids.sniff import check_source, suggest_sibling

logger = logging.getLogger("meegic.bids")

READERS: dict[str, tuple[Callable[..., mne.io.BaseRaw], ...]] = {
    ".bin": (mne.io.read_raw_artemis123, mne.io.read_raw_fil),
    ".cnt": (mne.io.read_raw_cnt, mne.io.read_raw_ant),
    ".dat": (mne.io.read_raw_curry, mne.io.read_raw_bci2k),
}
"""Who may read an extension that two formats share, in order of trial."""

READER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MatReadError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    configparser.Error,
    struct.error,
    zlib.error,
)
"""What readers raise over damaged files; of XML it is a `SyntaxError`."""

CHECKS: dict[str, Callable[[Path], Size | None]] = {
    ".bdf": measure_edf,
    ".edf": measure_edf,
    ".fif": check_fif,
    ".set": check_set,
    ".vhdr": measure_brainvision,
}
"""Which bytes are counted before a reader sees the file."""

NOISE = "This filename .* does not conform to MNE naming|Number of records from the"
"""Warnings of readers that say nothing of the data, or that we say better."""

UNSEEKABLE = (".fif.gz", ".set")
"""Formats that are unpacked once, when opened; a ``.set`` if it has no ``.fdt``."""

MAX_SFREQ = 1e6
"""Hz; no amplifier of heads is faster."""


def read_recording(
    path: str | os.PathLike[str], *, allow_truncated: bool = False
) -> mne.io.BaseRaw:
    """Open a recording of any format that MNE reads, after a look at the file.

    A file that is missing, a pointer, truncated, damaged or of an unknown format is
    refused with a message that says what to do. Samples stay on disk, except where
    the format is compressed. The file is never written to.

    Parameters
    ----------
    path : path-like
        The recording: a file, or the folder of formats that are one. Of formats with
        companion files the header (``.vhdr``, ``.set``), of split files the first.
    allow_truncated : bool
        Whether to read, with a warning, the whole samples of a truncated EDF, BDF,
        BrainVision or EEGLAB recording instead of refusing it.

    Returns
    -------
    mne.io.Raw
        The recording, not loaded.

    Examples
    --------
    >>> import tempfile
    >>> from meegic import simulate_recording
    >>> file = Path(tempfile.mkdtemp()) / "sub-01_raw.fif"
    >>> raw, truth = simulate_recording("eeg19", duration_s=5)
    >>> saved = raw.save(file, verbose="error")
    >>> read_recording(file).ch_names == raw.ch_names
    True
    """
    source = Path(path)
    check_source(source)
    extension = get_extension(source)
    size = CHECKS[extension](source) if extension in CHECKS else None
    n_times = settle_length(size, allow_truncated=allow_truncated)
    raw = _open(source, extension)
    _check_opened(source, raw)
    if extension == ".fif":
        parts = [Path(str(part)) for part in raw.filenames]
        check_buffers(parts, n_channels=len(raw.ch_names), n_times=raw.n_times)
    if extension == ".set":
        size = measure_eeglab(source, raw)
        n_times = settle_length(size, allow_truncated=allow_truncated)
    if extension in UNSEEKABLE and size is None:
        with _translate(source, "the reader"):
            raw.load_data(verbose="warning")
    return raw.crop(tmax=(n_times - 1) / raw.info["sfreq"]) if n_times else raw


def _open(source: Path, extension: str) -> mne.io.BaseRaw:
    refusals = []
    for reader in READERS.get(extension, (mne.io.read_raw,)):
        try:
            with _translate(source, reader.__name__):
                raw = reader(source, preload=False, verbose="warning")
        except FileFormatError as refusal:
            refusals.append(refusal)
        else:
            logger.info("%s was read by %s", source, reader.__name__)
            return raw
    messages = " ".join(one.message for one in refusals)
    raise FileFormatError(messages, hint=refusals[0].hint) from refusals[-1]


def _check_opened(source: Path, raw: mne.io.BaseRaw) -> None:
    sfreq = raw.info["sfreq"]
    if not 0 < sfreq <= MAX_SFREQ:
        refuse_header(source, f"its sampling rate is {sfreq} Hz")
    with _translate(source, "the reader"):
        raw.get_channel_types()


@contextmanager
def _translate(source: Path, reader: str) -> Iterator[None]:
    """Turn what a reader raises over a file into our error."""

    def refuse(kind: type | None, error: BaseException | None, _: object) -> None:
        # `Exception` itself, not its subclasses, is what some readers raise
        if kind is not Exception and not isinstance(error, READER_ERRORS):
            return
        hint = f"{COPY_AGAIN}."
        if isinstance(error, FileNotFoundError):
            hint = suggest_sibling(source.with_suffix(".fdt"), owner=source)
        if "No raw data" in str(error):
            hint = "It holds something else, such as epochs or averages."
        # some messages hold a traceback, whose lines are indented
        lines = [one for one in str(error).splitlines() if one[:1].strip()]
        said = " ".join(lines) or type(error).__name__
        message = f"{source} cannot be read; {reader} says: {said}"
        raise FileFormatError(message, hint=hint) from error

    with warnings.catch_warnings(), ExitStack() as stack:
        warnings.filterwarnings("ignore", NOISE, RuntimeWarning)
        stack.push(refuse)
        yield
