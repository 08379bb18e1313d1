"""Line noise of a recording, removed by spatial filters."""

from typing import Any

import numpy as np

from meegic.base.errors import OptionError
from meegic.clean.edge.samples import check_inst, pick_types
from meegic.clean.edge.stretches import Change, change_stretches
from meegic.clean.line_noise import FEWEST, place_segments, remove_line_noise


def remove_line(
    inst: Any,
    line_freq: float | None = None,
    *,
    n_remove: int | None = None,
    on_nonfinite: str = "raise",
) -> Any:
    """Take off the line and its harmonics by spatial filters, type by type.

    The filters are learned in each stretch between boundaries, from what is not marked
    as bad in it. One that has less than two whole seconds of that stays as it is and is
    annotated as ``BAD_short``.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording; left as it is. It need not be loaded.
    line_freq : float | None
        Frequency of the line in Hz. ``None`` takes ``inst.info["line_freq"]``.
    n_remove : int | None
        How many components to remove from each type; ``None`` counts them.
    on_nonfinite : 'raise' | 'annotate'
        Whether NaN and infinity outside of BAD spans are refused, or are kept, end a
        stretch and are annotated as ``BAD_nan``.

    Returns
    -------
    mne.io.Raw | mne.Epochs
        A copy; bad channels and others than mag, grad and eeg are as they were.

    Examples
    --------
    >>> import mne
    >>> noise = np.random.default_rng(0).standard_normal((4, 2500))
    >>> tone = 10 * np.sin(2 * np.pi * 50 * np.arange(2500) / 250)
    >>> info = mne.create_info(4, 250.0, "eeg")
    >>> raw = mne.io.RawArray(noise + tone, info, verbose="error")
    >>> bool(remove_line(raw, 50.0).get_data().std() < 1.1 * noise.std())
    True
    """
    check_inst(inst)
    line_freq = inst.info["line_freq"] if line_freq is None else line_freq
    if line_freq is None:
        raise OptionError(
            "line_freq must be a frequency in Hz, for info['line_freq'] is None.",
            hint="Pass 50 in most of the world, 60 in most of the Americas.",
        )
    sfreq = float(inst.info["sfreq"])
    types = pick_types(inst.info)

    def compute(data: np.ndarray, used: np.ndarray) -> np.ndarray:
        options = {"n_remove": n_remove, "good": used}
        return np.asarray(remove_line_noise(data, sfreq, line_freq, **options))

    return change_stretches(
        inst,
        [Change(picks, picks, compute) for picks in types.values()],
        np.concatenate(list(types.values())),
        n_least=FEWEST * round(sfreq),
        count=lambda used: len(place_segments(used, sfreq)) * round(sfreq),
        on_nonfinite=on_nonfinite,
    )
