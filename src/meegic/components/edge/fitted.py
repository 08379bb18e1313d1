"""What a fit to a recording leaves behind, and the file that keeps it."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mne
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from meegic.base.errors import IntegrityError
from meegic.base.files import blame
from meegic.base.flat import write_flat
from meegic.base.saved import read_saved
from meegic.components.model import AmicaModel

SCHEMA = 1
SUFFIX = ".amica.npz"


@dataclass(frozen=True, eq=False)  # equal to itself only: arrays cannot say
class FittedIca:
    """A fitted mixture with the recording's side of it.

    Attributes
    ----------
    model : AmicaModel
        The models, in SI units.
    info : mne.Info
        Of the channels that were fitted, in the order of the model.
    fit_type : 'raw' | 'epc'
        What was fitted.
    used : array of bool, shape (n_times,)
        Samples of the recording that had a weight.
    starts : array of int, shape (n_stretches,)
        Where a new epoch or stretch begins among them.
    rest : array, shape (n_channels - n_components,)
        Variances of the directions that the model leaves out.
    """

    model: AmicaModel
    info: mne.Info
    fit_type: str
    used: Bool[np.ndarray, " times"]
    starts: Int[np.ndarray, " stretches"]
    rest: Float[np.ndarray, " others"]

    @property
    def channels(self) -> list[str]:
        """Names of the channels that were fitted."""
        return list(self.info["ch_names"])

    @property
    def sfreq(self) -> float:
        """Sampling rate of the fit in Hz."""
        return float(self.info["sfreq"])


@dataclass(frozen=True, eq=False)
class _Stored:
    """What is in the file: arrays, JSON, and the info as a block of FIF."""

    model: AmicaModel
    info: UInt8[np.ndarray, " bytes"]
    fit_type: str
    used: Bool[np.ndarray, " times"]
    starts: Int[np.ndarray, " stretches"]
    rest: Float[np.ndarray, " others"]
    excluded: str
    labels: str


def write_fitted(
    path: Path | str,
    fitted: FittedIca,
    *,
    excluded: Sequence[Sequence[int]],
    labels: Sequence[dict[str, list[int]]],
) -> Path:
    """Write a fit with the exclusions and labels of each model; no pickle.

    Parameters
    ----------
    path : path
        ``.amica.npz`` is added when it is missing.
    fitted : FittedIca
        The fit.
    excluded, labels : sequence
        One for each model.

    Returns
    -------
    Path
        Of the file that was written.

    Examples
    --------
    >>> name_file("subject-1").name
    'subject-1.amica.npz'
    """
    given, path = Path(path), name_file(path)
    if given != path and given.is_file() and not path.exists():
        raise IntegrityError(
            f"{given} is no file that AmicaICA.save wrote: it ends in {SUFFIX}.",
            hint="MNE's own files are read by mne.preprocessing.read_ica.",
        )
    stored = _Stored(
        model=fitted.model,
        info=_pack_info(fitted.info),
        fit_type=fitted.fit_type,
        used=fitted.used,
        starts=fitted.starts,
        rest=fitted.rest,
        excluded=json.dumps([[int(one) for one in some] for some in excluded]),
        labels=json.dumps([_plain_labels(one) for one in labels]),
    )
    write_flat(path, stored, version=SCHEMA)
    return path


def read_fitted(
    path: Path | str,
) -> tuple[FittedIca, list[list[int]], list[dict[str, list[int]]]]:
    """Read what `write_fitted` wrote: the fit, exclusions and labels of each model.

    Examples
    --------
    >>> read_fitted("missing")
    Traceback (most recent call last):
    meegic.base.errors.InputError: no such file: missing.amica.npz. ...
    """
    path = name_file(path)
    stored = read_saved(path, _Stored, version=SCHEMA)
    with blame(f"{path}"):
        info = _unpack_info(stored.info)
        excluded, labels = json.loads(stored.excluded), json.loads(stored.labels)
    if not _fits_together(stored, info, excluded, labels):
        raise IntegrityError(f"{path} is damaged: its parts do not fit together.")
    fitted = FittedIca(
        stored.model, info, stored.fit_type, stored.used, stored.starts, stored.rest
    )
    return fitted, excluded, labels


def _fits_together(stored: _Stored, info: mne.Info, excluded: Any, labels: Any) -> bool:
    """Tell whether all parts are of one fit; a digest says nothing of a forgery."""
    model, starts = stored.model, stored.starts
    n_channels, n = len(model.whitener.mean), model.n_components

    def lists_components(some: Any) -> bool:
        return isinstance(some, list) and all(
            type(one) is int and 0 <= one < n for one in some
        )

    return (
        len(info["ch_names"]) == n_channels
        and stored.fit_type in ("raw", "epc")
        and len(starts) > 0
        and starts[0] == 0
        and bool((np.diff(starts) > 0).all() and starts[-1] < len(stored.used))
        and len(stored.rest) == n_channels - n
        and isinstance(excluded, list)
        and isinstance(labels, list)
        and len(excluded) == len(labels) == model.n_models
        and all(map(lists_components, excluded))
        and all(
            isinstance(one, dict) and all(map(lists_components, one.values()))
            for one in labels
        )
    )


def name_file(path: Path | str) -> Path:
    """Add the suffix of such files once, whatever part of it is there.

    Examples
    --------
    >>> [name_file(one).name for one in ("a", "a.npz", "a.amica.npz")]
    ['a.amica.npz', 'a.amica.npz', 'a.amica.npz']
    """
    path = Path(path)
    if path.name.endswith(SUFFIX):
        return path
    stem = path.name.removesuffix(".npz").removesuffix(".amica")
    return path.with_name(stem + SUFFIX)


def _plain_labels(labels: dict[str, list[int]]) -> dict[str, list[int]]:
    return {str(key): [int(one) for one in some] for key, some in labels.items()}


def _pack_info(info: mne.Info) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "info.fif"
        mne.io.write_info(path, info)
        return np.frombuffer(path.read_bytes(), np.uint8)


def _unpack_info(block: np.ndarray) -> mne.Info:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "info.fif"
        path.write_bytes(block.tobytes())
        try:
            return mne.io.read_info(path, verbose="error")
        except Exception as error:  # of a forged block MNE raises nothing narrower
            raise ValueError(f"its info cannot be read: {error}") from error
