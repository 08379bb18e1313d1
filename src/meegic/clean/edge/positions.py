"""Where channels are on the head."""

from collections.abc import Sequence

import mne
import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist, squareform

from meegic.base.checks import check_option
from meegic.base.errors import InputError

_SAME_PLACE = 1e-6  # of the size of the head


def find_origin(
    info: mne.Info, origin: str | Sequence[float]
) -> Float[np.ndarray, " 3"]:
    """Take the center of the head in m, or fit it as MNE does.

    Examples
    --------
    >>> find_origin(mne.create_info(["Fz"], 100.0, "eeg"), [0, 0, 0.04])
    array([0.  , 0.  , 0.04])
    """
    if not isinstance(origin, str):
        return np.asarray(origin, dtype=float)
    check_option("origin", origin, ["auto"])
    try:
        return mne.bem.fit_sphere_to_headshape(info, units="m", verbose="error")[1]
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"no sphere can be fitted to the digitised points: {error}",
            hint="Set a montage, or pass origin=(0, 0, 0.04), in m.",
        ) from error


def name_lost(info: mne.Info, picks: Int[np.ndarray, " channels"]) -> list[str]:
    """Name the channels that have no position.

    Examples
    --------
    >>> name_lost(mne.create_info(["Fz"], 100.0, "eeg"), np.array([0]))
    ['Fz']
    """
    places = np.array([info["chs"][index]["loc"][:3] for index in picks])
    lost = ~np.isfinite(places).all(axis=1) | ~places.any(axis=1)
    return [info["ch_names"][index] for index in picks[lost]]


def take_positions(
    info: mne.Info, picks: Int[np.ndarray, " channels"]
) -> Float[np.ndarray, "channels 3"]:
    """Take positions in m, one for every channel and all different.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> _ = info.set_montage("biosemi32")
    >>> take_positions(info, np.array([0, 1])).shape
    (2, 3)
    """
    lost = name_lost(info, picks)
    if lost:
        raise InputError(
            f"channels {lost} have no position.",
            hint="Set a montage that has them, with raw.set_montage.",
        )
    places = np.array([info["chs"][index]["loc"][:3] for index in picks])
    distances = squareform(pdist(places)) + np.eye(len(places))
    first, second = np.unravel_index(distances.argmin(), distances.shape)
    if distances[first, second] <= _SAME_PLACE * np.ptp(places):
        names = [info["ch_names"][picks[one]] for one in (first, second)]
        raise InputError(
            f"channels {names} have the same position.",
            hint="Correct the montage, or drop one of them.",
        )
    return places
