"""Whether a recording and its ICA are what a network was trained on."""

from typing import Any

import mne
import numpy as np
from jaxtyping import Float
from mne.io.constants import FIFF

from meegic.base.alerts import warn_user
from meegic.base.checks import check_option, list_words
from meegic.base.errors import DataWarning, InputError
from meegic.labels.edge.decomposition import Decomposition, check_channels
from meegic.labels.iclabel import COMPAT

_BAND = (1.0, 100.0)  # Hz, of both networks
# Mean of a map over its size. Simulated and real EEG gave 0.14 to 0.7 for other
# references, and up to 0.07 where a quarter of the channels was left out afterwards.
_OFFSET = 0.1
_LARGE = 1e-3  # V: a larger median deviation of the channels is in microvolt
_AMICA = ("amica", "jamica")  # of AmicaICA, and of MNE
_MEGNET_SFREQ, _MEGNET_COMPONENTS = 250.0, 20
_LINE_WIDTH, _LINE_FACTOR = 4.0, 10.0  # Hz, standard deviations


def check_arguments(inst: Any, compat: str | None) -> None:
    """Refuse what is no recording, and unknown ways to be compatible.

    Examples
    --------
    >>> check_arguments(3, None)
    Traceback (most recent call last):
    TypeError: inst must be an mne.io.Raw or mne.Epochs, but got int.
    """
    if not isinstance(inst, (mne.io.BaseRaw, mne.BaseEpochs)):
        raise TypeError(
            f"inst must be an mne.io.Raw or mne.Epochs, but got {type(inst).__name__}."
        )
    check_option("compat", compat, COMPAT)
    try:
        n_epochs = len(inst)
    except RuntimeError as error:  # of MNE, for epochs that are not read yet
        raise InputError(
            "it is not known yet which epochs of inst are bad.",
            hint="Call inst.drop_bad() or inst.load_data() first.",
        ) from error
    if not n_epochs:
        raise InputError("inst has no samples.")


def pick_electrodes(found: Decomposition) -> np.ndarray:
    """Find the EEG channels of an ICA, or say which network takes those it has.

    Examples
    --------
    >>> info = mne.create_info(["Fz", "EOG"], 100.0, ["eeg", "eog"])
    >>> matrix = np.eye(2)
    >>> pick_electrodes(Decomposition(matrix, matrix, np.zeros(2), info))
    array([0])
    """
    picks = found.find("eeg")
    if not len(picks):
        types = sorted(set(found.info.get_channel_types()))
        raise InputError(
            f"ICLabel needs EEG channels, but the ICA has {list_words(types)}.",
            hint="Pass method='megnet' for magnetometers.",
        )
    return picks


def pick_magnetometers(found: Decomposition) -> np.ndarray:
    """Find the magnetometers of an ICA, or say which network takes what it has.

    Examples
    --------
    >>> info = mne.create_info(["MEG0111", "EOG"], 100.0, ["mag", "eog"])
    >>> matrix = np.eye(2)
    >>> pick_magnetometers(Decomposition(matrix, matrix, np.zeros(2), info))
    array([0])
    """
    picks = found.find("mag")
    if not len(picks):
        types = sorted(set(found.info.get_channel_types()))
        hint = "Pass method='iclabel' for EEG."
        if "grad" in types:
            hint = "Fit the ICA to the magnetometers as well."
        raise InputError(
            f"MEGNet needs magnetometers, but the ICA has {list_words(types)}.",
            hint=hint,
        )
    return picks


def locate_channels(inst: Any, names: list[str]) -> Float[np.ndarray, "channels 3"]:
    """Take the positions of channels, or name those that have none.

    Examples
    --------
    >>> info = mne.create_info(["Fz"], 100.0, "eeg")
    >>> _ = info.set_montage("colin27_1020")
    >>> locate_channels(mne.EvokedArray(np.zeros((1, 1)), info), ["Fz"]).shape
    (1, 3)
    """
    places = check_channels(inst, names)
    positions = np.array([inst.info["chs"][one]["loc"][:3] for one in places])
    known = np.isfinite(positions).all(axis=1) & (positions != 0).any(axis=1)
    missing = [name for name, one in zip(names, known, strict=True) if not one]
    if missing:
        raise InputError(
            f"channels must have positions, but {len(missing)} of {len(names)} have "
            f"none: {list_words(missing[:10])}{' and others' * (len(missing) > 10)}.",
            hint="Set a montage: inst.set_montage('colin27_1005').",
        )
    if len(names) > 1 and not np.ptp(positions, axis=0).any():
        raise InputError(
            f"all {len(names)} channels have one position.",
            hint="Set a montage: inst.set_montage('colin27_1005').",
        )
    return positions


def warn_about_iclabel(
    inst: Any,
    ica: mne.preprocessing.ICA,
    maps: Float[np.ndarray, "channels components"],
) -> None:
    """Warn where a recording or its ICA is not like those that ICLabel knows.

    MNE notes that there is a reference, but not which one, so the maps must tell.

    Examples
    --------
    >>> import warnings
    >>> from mne.preprocessing import ICA
    >>> info = mne.create_info(["Fz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((1, 9)), info, verbose="error")
    >>> ica = ICA(method="infomax", fit_params={"extended": True})
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_about_iclabel(raw, ica, np.ones((1, 1)))
    >>> len(caught)
    2
    """
    if not _has_reference(inst.info) or _find_offset(maps) > _OFFSET:
        warn_user(
            "the recording has no average reference, which ICLabel was trained with. "
            "Apply one before the ICA: inst.set_eeg_reference('average').",
            DataWarning,
        )
    _warn_about_band(inst.info, "ICLabel")
    if not _is_extended(ica):
        warn_user(
            f"the ICA was fitted with {ica.method!r}, but ICLabel was trained with "
            "extended infomax: ICA(method='infomax', fit_params={'extended': True}), "
            "or method='picard' with {'ortho': False, 'extended': True}.",
            DataWarning,
        )


def warn_about_unit(deviations: Float[np.ndarray, " channels"]) -> None:
    """Warn where data in V have the size of data in microvolt.

    Examples
    --------
    >>> warn_about_unit(np.array([1e-5, 2e-5]))
    """
    median = float(np.median(deviations))
    if median > _LARGE:
        warn_user(
            f"the EEG channels have a median standard deviation of {median:.3g} V: are "
            "they in microvolt? MNE takes V; multiply the data by 1e-6.",
            DataWarning,
        )


def warn_about_megnet(raw: mne.io.BaseRaw, ica: mne.preprocessing.ICA) -> None:
    """Warn where a recording or its ICA is not like those that MEGNet knows.

    Examples
    --------
    >>> import warnings
    >>> from mne.preprocessing import ICA
    >>> info = mne.create_info(["MEG0111"], 250.0, "mag")
    >>> raw = mne.io.RawArray(np.zeros((1, 9)), info, verbose="error")
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_about_megnet(raw, ICA(n_components=20, method="infomax"))
    >>> len(caught)
    1
    """
    sfreq = raw.info["sfreq"]
    if abs(sfreq - _MEGNET_SFREQ) > 0.1:
        warn_user(
            f"the sampling rate is {sfreq:g} Hz, but MEGNet was trained with 250 Hz: "
            "raw.resample(250).",
            DataWarning,
        )
    _warn_about_band(raw.info, "MEGNet")
    if _has_line_noise(raw):
        warn_user(
            f"there is line noise at {raw.info['line_freq']:g} Hz, but MEGNet was "
            "trained without. Use raw.notch_filter before the ICA.",
            DataWarning,
        )
    if ica.method not in ("infomax", *_AMICA):
        warn_user(
            f"the ICA was fitted with {ica.method!r}, but MEGNet was trained with "
            "infomax: ICA(method='infomax').",
            DataWarning,
        )
    found = getattr(ica, "n_components_", ica.n_components)
    if found != _MEGNET_COMPONENTS:
        warn_user(
            f"the ICA has {found} components, but MEGNet was trained with 20: "
            "ICA(n_components=20).",
            DataWarning,
        )


def _find_offset(maps: np.ndarray) -> float:
    """Compare the mean of a typical map with its size: nothing for an average one."""
    seen = maps[:, maps.any(axis=0)]
    if not seen.size:
        return 0.0
    return float(np.median(np.abs(seen.mean(axis=0)) / np.sqrt((seen**2).mean(axis=0))))


def _has_reference(info: mne.Info) -> bool:
    kind = FIFF.FIFFV_PROJ_ITEM_EEG_AVREF
    projected = any(one["kind"] == kind and one["active"] for one in info["projs"])
    return bool(info["custom_ref_applied"]) or projected


def _warn_about_band(info: mne.Info, network: str) -> None:
    nyquist = info["sfreq"] / 2
    low, high = info["highpass"], info["lowpass"]
    whole = nyquist <= _BAND[1] and high >= nyquist * (1 - 1e-9)
    if not np.isclose(low, _BAND[0]) or not (whole or np.isclose(high, _BAND[1])):
        warn_user(
            f"the recording has a pass-band of {low:g} to {high:g} Hz, but {network} "
            "was trained with 1 to 100 Hz: inst.filter(1, 100).",
            DataWarning,
        )


def _is_extended(ica: mne.preprocessing.ICA) -> bool:
    if ica.method in _AMICA:  # takes densities of either kind, as `extended` does
        return True
    options = ica.fit_params or {}
    if ica.method == "picard" and options.get("ortho", True):
        return False
    return ica.method in ("infomax", "picard") and bool(options.get("extended", False))


def _has_line_noise(raw: mne.io.BaseRaw) -> bool:
    """Tell whether the spectrum of any magnetometer has a peak at the mains."""
    line = raw.info["line_freq"]
    if line is None or 2 * line > raw.info["sfreq"] / 2:
        return False
    spectrum = raw.compute_psd(
        picks="mag", exclude=(), fmin=line - _LINE_WIDTH, fmax=line + _LINE_WIDTH,
        n_fft=min(int(raw.n_times), 2048), verbose="error",
    )  # fmt: skip
    power, freqs = spectrum.get_data(return_freqs=True)
    peak = int(np.abs(freqs - line).argmin())
    rest = np.delete(power, peak, axis=1)
    limit = rest.mean(axis=1) + _LINE_FACTOR * rest.std(axis=1)
    return bool((power[:, peak] > limit).any())
