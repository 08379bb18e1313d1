"""The summary of an automatic search for artifact components."""

from collections.abc import Mapping
from typing import Any

import mne
import numpy as np

_CLEAR = 0.9  # a correlation that leaves no doubt


def review_components(
    finder: Any,
    ica: mne.preprocessing.ICA,
    inst: Any,
    model_idx: int,
    *,
    eog: tuple[str | list[str] | None, Mapping[str, Any]],
    ecg: tuple[str | None, Mapping[str, Any]],
) -> None:
    """Search with each channel, print what was found, and exclude it.

    Parameters
    ----------
    finder : AmicaICA
        Whose ``find_bads_eog`` and ``find_bads_ecg`` are asked.
    ica : mne.preprocessing.ICA
        The model's object; its ``exclude`` becomes the sorted union.
    inst : mne.io.Raw | mne.Epochs
        The recording.
    model_idx : int
        Which model.
    eog, ecg : tuple
        Channels to search with, and more arguments of the search.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> scores = np.array([0.02, -0.91, 0.1])
    >>> find = lambda *_, **more: ([1], scores)
    >>> finder = SimpleNamespace(find_bads_eog=find, find_bads_ecg=find)
    >>> ica = SimpleNamespace(exclude=[])
    >>> review_components(finder, ica, None, 0, eog=("VEOG", {}), ecg=(None, {}))
    Model 0: components found
      EOG  VEOG      ICA001 (-0.91); the best of the others ICA002 (0.10)
      excluded: ICA001
    >>> ica.exclude
    [1]
    """
    print(f"Model {model_idx}: components found")
    excluded = {int(one) for one in ica.exclude}
    for kind, (channels, more), find in (
        ("EOG", eog, finder.find_bads_eog),
        ("ECG", ecg, finder.find_bads_ecg),
    ):
        for channel in [channels] if isinstance(channels, str) else channels or ():
            given = {"ch_name": channel, **more}
            with mne.use_log_level("error"):
                found, scores = find(inst, model_idx=model_idx, **given)
            excluded |= {int(one) for one in found}
            print(f"  {kind}  {channel:<8s}  {_describe(found, np.asarray(scores))}")
    ica.exclude = sorted(excluded)
    print(f"  excluded: {_name(ica.exclude) or 'none'}")


def _describe(found: list[int], scores: np.ndarray) -> str:
    rest = np.setdiff1d(np.arange(len(scores)), found)
    words = ", ".join(f"{_name([one])} ({scores[one]:.2f})" for one in found) or "none"
    if not len(rest):
        return words
    best = rest[np.abs(scores[rest]).argmax()]
    words += f"; the best of the others {_name([best])} ({scores[best]:.2f})"
    if not found and abs(scores[best]) > _CLEAR:
        words += ", too few for z-scores: pass measure='correlation'"
    return words


def _name(components: Any) -> str:
    return ", ".join(f"ICA{int(one):03d}" for one in components)
