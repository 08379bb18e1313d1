"""What a fit asks of its data, and what it warns of before it begins."""

import hashlib

import numpy as np
from jaxtyping import Bool, Float

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import check_data, check_finite, check_shape
from meegic.base.errors import DataWarning, InputError
from meegic.components.whiten import RANK_TOLERANCE

_LARGE_NORM = 50.0  # of a sphered sample, in units of what is usual
_RULING_SHARE = 0.25  # of a direction's variance, in one sample
_BLOCK = 2**14
_BLOCK_S = 10.0  # of the parts whose rank is looked at


def check_recording_array(
    name: str, data: object
) -> Float[np.ndarray, "channels times"]:
    """Take finite real numbers, channels by times; truth values are none.

    Parameters
    ----------
    name : str
        How the caller knows the argument.
    data : array-like, shape (n_channels, n_times)
        The recording.

    Returns
    -------
    array, shape (n_channels, n_times)
        The same values in floating point.

    Examples
    --------
    >>> check_recording_array("data", np.ones((2, 9), dtype=int)).dtype
    dtype('float64')
    """
    if getattr(getattr(data, "dtype", None), "kind", "") == "b":
        raise InputError(
            f"{name} must hold real numbers, but its dtype is bool.",
            hint="Convert it to float first, if its truth values are meant.",
        )
    array = check_data(name, data)
    check_finite(name, array)
    return array


def check_size(name: str, array: Float[np.ndarray, "channels times"]) -> None:
    """Refuse what has too few channels or times to be unmixed.

    Parameters
    ----------
    name : str
        How the caller knows the argument.
    array : array, shape (n_channels, n_times)
        The recording.

    Examples
    --------
    >>> check_size("data", np.ones((2, 9)))
    """
    n_channels, n_times = array.shape
    if n_channels < 2:
        raise InputError(
            f"{name} must have at least 2 channels to be unmixed, but got {n_channels}."
        )
    if n_times < 2 * n_channels:
        raise InputError(
            f"{name} must have at least {2 * n_channels} times for {n_channels} "
            f"channels, but got {n_times}.",
            hint="Take a longer recording, or fewer channels.",
        )


def split_mask(data: object, weights: Array | None) -> tuple[object, Array | None]:
    """Let masked elements take the weight of their sample away.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        Masked or not.
    weights : array, shape (n_times,) | None
        What the samples count without the mask.

    Returns
    -------
    data : array, shape (n_channels, n_times)
        Without a mask.
    weights : array, shape (n_times,) | None
        Zero where any channel is masked.

    Examples
    --------
    >>> split_mask(np.ma.masked_invalid([[1.0, np.nan], [1.0, 2.0]]), None)[1]
    array([1., 0.])
    """
    if not isinstance(data, np.ma.MaskedArray) or data.ndim != 2:
        return data, weights
    kept = ~np.ma.getmaskarray(data).any(axis=0)
    ones = np.ones(data.shape[1]) if weights is None else np.asarray(weights)
    return data.filled(0), ones * kept


def check_weights(
    weights: Array | None, n_channels: int, n_times: int
) -> Float[np.ndarray, " times"]:
    """Take the weights of the samples: finite, not negative, enough positive.

    Parameters
    ----------
    weights : array, shape (n_times,) | None
        As the caller gave them, in any unit.
    n_channels, n_times : int
        The shape of the data.

    Returns
    -------
    array, shape (n_times,)
        Those that are not 0 have the mean 1; ones when none were given.

    Examples
    --------
    >>> check_weights(np.array([2.0, 2.0, 0.0, 2.0, 2.0]), 2, 5)
    array([1., 1., 0., 1., 1.])
    """
    if weights is None:
        return np.ones(n_times)
    given = np.asarray(weights)
    if given.dtype.kind not in "biuf":
        raise InputError(f"weights must be numbers, but have the dtype {given.dtype}.")
    given = given.astype(float)
    check_shape("weights", given, (n_times,))
    if not (np.isfinite(given).all() and (given >= 0).all()):
        raise InputError("weights must be finite and not negative.")
    n_used = int((given > 0).sum())
    if not n_used:
        raise InputError(
            "the weights are zero everywhere: nothing is left to be fitted.",
            hint="Look at which spans are marked as bad.",
        )
    if n_used < 2 * n_channels:
        raise InputError(
            f"data must have at least {2 * n_channels} times with weight for "
            f"{n_channels} channels, but got {n_used}.",
            hint="Take a longer recording, or look at which spans are marked as bad.",
        )
    given = given / given.max()
    return given * (n_used / given.sum())


def find_spikes(
    x: Float[np.ndarray, "components times"], weights: Float[np.ndarray, " times"]
) -> Bool[np.ndarray, " times"]:
    """Find samples so large that a single one rules a direction of the covariance.

    Parameters
    ----------
    x : array, shape (n_components, n_times)
        Sphered data.
    weights : array, shape (n_times,)
        With which they were sphered.

    Returns
    -------
    array of bool, shape (n_times,)
        Samples that hold more than a quarter of a direction; none in usual data.

    Examples
    --------
    >>> x = np.ones((2, 100))
    >>> x[:, 7] = 50.0
    >>> np.flatnonzero(find_spikes(x, np.ones(100)))
    array([7])
    """
    share = _square_norms(x) * weights / weights.sum()
    return share > max(_RULING_SHARE, 10 * len(x) / int((weights > 0).sum()))


def warn_about_data(
    x: Float[np.ndarray, "components times"],
    weights: Float[np.ndarray, " times"],
    *,
    sfreq: float | None = None,
) -> None:
    """Warn of data that are short, extreme or locally flat; the fit goes on.

    Parameters
    ----------
    x : array, shape (n_components, n_times)
        Sphered data.
    weights : array, shape (n_times,)
        Samples without weight do not count.
    sfreq : float | None
        The sampling rate in Hz, to look at blocks of ten seconds.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(2, 4000))
    >>> warn_about_data(x, np.ones(4000), sfreq=100.0)  # nothing to be said
    """
    n = len(x)
    n_used = int((weights > 0).sum())
    if n_used < 20 * n**2:
        warn_user(
            f"{n_used} samples are few for {n} components: 20 x {n}^2 = {20 * n**2} "
            "is what a stable decomposition takes. Take a longer recording, or a lower "
            "n_components.",
            DataWarning,
        )
    norms = _square_norms(x)
    extreme = np.flatnonzero((norms > _LARGE_NORM**2 * n) & (weights > 0))
    calm = weights.copy()
    calm[extreme] = 0
    _warn_about_rank(x, calm, _BLOCK_S * sfreq if sfreq else max(2000, 10 * n))
    if len(extreme):
        shown = ", ".join(f"{one}" for one in extreme[:5])
        warn_user(
            f"{len(extreme)} samples are more than {_LARGE_NORM:.0f} times larger than "
            f"usual, at {shown}{', ...' if len(extreme) > 5 else ''}; do_reject=True "
            "leaves them out.",
            DataWarning,
        )


def hash_data(
    data: Float[np.ndarray, "channels times"], weights: Float[np.ndarray, " times"]
) -> str:
    """Compute the sha256 of data and weights, block by block.

    Parameters
    ----------
    data : array, shape (n_channels, n_times)
        The recording.
    weights : array, shape (n_times,)
        The weights of its samples.

    Returns
    -------
    str
        The digest, whatever the layout in memory is.

    Examples
    --------
    >>> len(hash_data(np.ones((2, 9)), np.ones(9)))
    64
    """
    total = hashlib.sha256(f"{data.dtype.str}{data.shape}".encode())
    for at in range(0, data.shape[1], _BLOCK):
        for row in data[:, at : at + _BLOCK]:
            total.update(np.ascontiguousarray(row).data)
    total.update(np.ascontiguousarray(weights).data)
    return total.hexdigest()


def _warn_about_rank(x: np.ndarray, weights: np.ndarray, length: float) -> None:
    """Warn of blocks in which some directions are empty, as repair leaves them."""
    n, block = len(x), int(max(length, 2 * len(x)))
    low = {}
    for at in range(0, x.shape[1] - block + 1, block):
        used = weights[at : at + block] > 0
        if used.sum() < 2 * n:
            continue
        part = x[:, at : at + block][:, used]
        part = part - part.mean(axis=1, keepdims=True)  # offsets are no dimension
        values = np.linalg.eigvalsh(part @ part.T)
        rank = int((values > RANK_TOLERANCE * values[-1]).sum()) if values[-1] else n
        if rank < n:
            low[at] = rank
    if low:
        at, rank = next(iter(low.items()))
        warn_user(
            f"{len(low)} blocks of {block} samples have fewer dimensions than the "
            f"whole recording: the one at sample {at} has {rank} of {n}. Repair or "
            "interpolation does that; a lower n_components avoids it.",
            DataWarning,
        )


def _square_norms(x: np.ndarray) -> np.ndarray:
    parts = (x[:, at : at + _BLOCK] for at in range(0, x.shape[1], _BLOCK))
    return np.concatenate([np.einsum("it,it->t", part, part) for part in parts])
