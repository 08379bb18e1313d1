"""What is implausible about a recording of MNE."""

import zlib
from collections.abc import Iterator

import mne
import numpy as np

from meegic.base.errors import FileFormatError, InputError
from meegic.clean.findings import UNITS, Facts, Findings
from meegic.clean.plausibility import find_implausible
from meegic.clean.statistics import measure_recording

AUXILIARY = ("eog", "ecg", "emg")
"""Types that are looked at for NaN only."""

READ_ERRORS = (EOFError, OSError, RuntimeError, ValueError, zlib.error)
"""What readers raise over samples that are damaged on disk."""

CHUNK = 2**16
"""How many samples are read at once."""


def check_recording(raw: mne.io.BaseRaw) -> Findings:
    """Say what is implausible about a recording, in one pass and little memory.

    NaN and infinite samples, flat, duplicate or bridged channels, a wrong unit,
    impossible values, lost rank, a short recording, missing positions, a low rate.
    Nothing is changed.

    Parameters
    ----------
    raw : mne.io.Raw
        The recording; it need not be loaded.

    Returns
    -------
    Findings
        What was found, the gravest first; `Findings.refuse` raises on an error.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, truth = simulate_recording("eeg19", n_bad_channels=0)
    >>> check_recording(raw).ranks
    {'eeg': 19}
    """
    if not isinstance(raw, mne.io.BaseRaw):
        raise TypeError(
            f"raw must be an mne.io.Raw, but got {type(raw).__name__}. Check the Raw "
            "before it is cut into epochs; mne.io.RawArray makes one of an array."
        )
    types = raw.get_channel_types()
    wanted = (*UNITS, *AUXILIARY) if set(types) & set(UNITS) else types
    picks = [index for index, kind in enumerate(types) if kind in wanted]
    if not len(raw.times):
        raise InputError("The recording has no samples.")
    facts = Facts(
        names=tuple(raw.ch_names[index] for index in picks),
        types=tuple(types[index] for index in picks),
        sfreq=float(raw.info["sfreq"]),
        positions=np.array([raw.info["chs"][index]["loc"][:3] for index in picks]),
        bads=tuple(raw.info["bads"]),
        projectors=sum(one["active"] for one in raw.info["projs"]),
    )
    good = [facts.good(kind) for kind in facts.kinds()]
    counted = np.concatenate(good) if good else None
    statistics = measure_recording(_read_chunks(raw, picks), counted=counted)
    return find_implausible(statistics, facts)


def _read_chunks(raw: mne.io.BaseRaw, picks: list[int]) -> Iterator[np.ndarray]:
    for start in range(0, len(raw.times), CHUNK):
        stop = min(start + CHUNK, len(raw.times))
        try:
            data = raw.get_data(picks=picks, start=start, stop=stop, verbose="error")
        except READ_ERRORS as error:
            raise FileFormatError(
                f"samples {start} to {stop} cannot be read: {error}",
                hint="Copy the file again from where it came.",
            ) from error
        if np.iscomplexobj(data):
            raise InputError(f"samples must be real numbers, but are {data.dtype}.")
        yield np.asarray(data)
