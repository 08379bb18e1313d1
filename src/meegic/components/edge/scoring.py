"""Scores of any MNE ICA, whatever made it."""

from typing import Any, Literal

import mne
import numpy as np
from mne.io.constants import FIFF

from meegic.base.alerts import warn_user
from meegic.base.checks import check_option, list_words
from meegic.base.errors import DataWarning, InputError, NotFittedError
from meegic.components.dipolarity import DipoleFits, fit_dipoles, fit_planes
from meegic.components.edge.samples import Samples, take_samples
from meegic.components.information import (
    PairwiseInformation,
    Reduction,
    compute_k,
    compute_mutual_information,
    compute_reduction,
    mean_pairwise_bits,
)

_MARGIN = 0.005  # m below the inner skull
_BRAIN = 0.9  # of the radius of the head, where a sphere has no shells
_SHIFT = 1e-6  # m: MNE has no potential of a dipole right in the center
_HEADS = (0.04, 0.16)  # m: radii that a head has
_HEAD_CENTER = (0.0, 0.0, 0.04)  # m, in head coordinates; as MNE's default
_HEAD_RADIUS = 0.09
_DIGITIZED = 11  # points on a head that a sphere needs
_POINTS = ("FIFFV_POINT_EEG", "FIFFV_POINT_EXTRA")
_KINDS = ("eeg", "mag", "grad")


def score_dipolarity(
    ica: mne.preprocessing.ICA,
    inst: Any,
    *,
    method: Literal["linear", "dipole"] = "linear",
    sphere: Any = None,
) -> Any:
    """Score how much each component looks like the field of one dipole.

    Parameters
    ----------
    ica : mne.preprocessing.ICA
        Fitted, by any method.
    inst : mne.io.Raw | mne.Epochs | mne.Evoked | mne.Info
        Where the positions of the channels stand; they are matched by name. Of several
        types EEG is scored, or else magnetometers.
    method : 'linear' | 'dipole'
        A plane through the map, which is fast, or the best dipole in a sphere model of
        the head.
    sphere : mne sphere model | None
        For ``'dipole'``, from `mne.make_sphere_model`. ``None`` fits one: to the
        electrodes, or for MEG to the digitized head.

    Returns
    -------
    array, shape (n_components,) or DipoleFits
        ``'linear'``: R squared, 1 is best. ``'dipole'``: residual variances, of which
        below 0.05 to 0.15 counts as dipolar, positions and moments.

    Examples
    --------
    >>> from meegic import AmicaICA, simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=20, n_bad_channels=0)
    >>> raw = raw.pick(["Fz", "C3", "C4", "Pz"])
    >>> ica = AmicaICA(random_state=0, verbose=False).fit(raw)
    >>> score_dipolarity(ica.get_mne_ica(), raw).shape
    (4,)
    """
    check_option("method", method, ["linear", "dipole"])
    maps, info, kind = _take_maps(ica, inst)
    if method == "linear":
        return fit_planes(maps, _locate(info))
    if sphere is None:
        whole = inst if isinstance(inst, mne.Info) else inst.info
        sphere = _fit_electrodes(whole) if kind == "eeg" else _fit_head(whole)
    return _fit_dipoles(maps, info, _check_sphere(sphere), kind=kind)


def score_mutual_information(
    ica: mne.preprocessing.ICA,
    inst: Any,
    n_bins: int = 30,
    *,
    bias: Literal["miller-madow"] | None = None,
) -> np.ndarray:
    """Compute how much the sources of an ICA tell of each other.

    Parameters
    ----------
    ica : mne.preprocessing.ICA
        Fitted, by any method.
    inst : mne.io.Raw | mne.Epochs
        The recording; spans that are marked as bad are left out.
    n_bins : int
        Of the histograms.
    bias : None | 'miller-madow'
        Histograms give too much, about (n_bins - 1)² / 2T nats; this takes it off.

    Returns
    -------
    array, shape (n_components, n_components)
        In nats, with a zero diagonal.

    Examples
    --------
    >>> from meegic import AmicaICA, simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=20, n_bad_channels=0)
    >>> raw = raw.pick(["Fz", "C3", "C4", "Pz"])
    >>> ica = AmicaICA(random_state=0, verbose=False).fit(raw)
    >>> score_mutual_information(ica.get_mne_ica(), raw).shape
    (4, 4)
    """
    _, signals, unmixing = _take_signals(ica, inst)
    return compute_mutual_information(unmixing @ signals, n_bins=n_bins, bias=bias)


def score_mir(ica: mne.preprocessing.ICA, inst: Any) -> Reduction:
    """Compute how much mutual information an ICA takes out of a recording.

    Parameters
    ----------
    ica : mne.preprocessing.ICA
        Fitted, by any method.
    inst : mne.io.Raw | mne.Epochs
        The recording; spans that are marked as bad are left out.

    Returns
    -------
    Reduction
        Nats per sample, and kbit per second; more is better. With fewer components than
        channels it is that of the principal components. Its k tells how far the
        recording can be trusted with so many components.

    Examples
    --------
    >>> from meegic import AmicaICA, simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=20, n_bad_channels=0)
    >>> raw = raw.pick(["Fz", "C3", "C4", "Pz"])
    >>> ica = AmicaICA(random_state=0, verbose=False).fit(raw)
    >>> score_mir(ica.get_mne_ica(), raw).nats > 0
    True
    """
    _, signals, unmixing = _take_signals(ica, inst)
    return compute_reduction(signals, unmixing, sfreq=float(inst.info["sfreq"]))


def score_pmi(
    ica: mne.preprocessing.ICA, inst: Any, n_bins: int = 30
) -> PairwiseInformation:
    """Compute the mean mutual information of pairs of channels, and of sources.

    Parameters
    ----------
    ica : mne.preprocessing.ICA
        Fitted, by any method.
    inst : mne.io.Raw | mne.Epochs
        The recording; spans that are marked as bad are left out.
    n_bins : int
        Of the histograms, whose bias is taken off.

    Returns
    -------
    PairwiseInformation
        Bits before and after, and k as in `score_mir`.

    Examples
    --------
    >>> from meegic import AmicaICA, simulate_recording
    >>> raw, _ = simulate_recording("eeg19", duration_s=20, n_bad_channels=0)
    >>> raw = raw.pick(["Fz", "C3", "C4", "Pz"])
    >>> ica = AmicaICA(random_state=0, verbose=False).fit(raw)
    >>> score = score_pmi(ica.get_mne_ica(), raw)
    >>> score.after < score.before
    True
    """
    channels, signals, unmixing = _take_signals(ica, inst)
    before, after = (
        mean_pairwise_bits(
            compute_mutual_information(one, n_bins=n_bins, bias="miller-madow")
        )
        for one in (channels, unmixing @ signals)
    )
    k = compute_k(signals.shape[1], len(unmixing))
    return PairwiseInformation(before, after, k)


def _check_fitted(ica: Any) -> None:
    if not isinstance(ica, mne.preprocessing.ICA):
        one = "; pass its .get_mne_ica(model_idx)" * hasattr(ica, "get_mne_ica")
        raise TypeError(
            f"ica must be an mne.preprocessing.ICA, but got {type(ica).__name__}{one}."
        )
    if not hasattr(ica, "unmixing_matrix_"):
        raise NotFittedError("This ICA is not fitted yet.", hint="Call its fit first.")


def _take_signals(
    ica: mne.preprocessing.ICA, inst: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take channels, what is unmixed (or else their principal components), and how."""
    _check_fitted(ica)
    samples: Samples = take_samples(inst, ica.ch_names)
    channels = samples.data[:, samples.used]
    if not channels.shape[1]:
        raise InputError("inst has no samples outside of spans that are marked as BAD.")
    n = ica.n_components_
    data = ica._pre_whiten(channels.copy())
    if ica.pca_mean_ is not None:
        data -= ica.pca_mean_[:, None]
    basis = ica.pca_components_[:n]
    if n == len(data):
        return channels, data, ica.unmixing_matrix_ @ basis
    return channels, basis @ data, ica.unmixing_matrix_


def _take_maps(
    ica: mne.preprocessing.ICA, inst: Any
) -> tuple[np.ndarray, mne.Info, str]:
    """Take the maps at the channels whose positions are known, of one type."""
    _check_fitted(ica)
    info = inst if isinstance(inst, mne.Info) else inst.info
    places = {name: place for place, name in enumerate(info["ch_names"])}
    there = [k for k, name in enumerate(ica.ch_names) if name in places]
    if not there:
        raise InputError("inst must have channels of the ICA, but it has none of them.")
    picked = mne.pick_info(info, [places[ica.ch_names[k]] for k in there])
    types = picked.get_channel_types()
    kind = next((one for one in _KINDS if one in types), None)
    if kind is None:
        raise InputError(
            f"the ICA must have channels of type {list_words(_KINDS, last='or')}, but "
            f"has {list_words(sorted(set(types)))}."
        )
    chosen = np.flatnonzero(_is_known(_locate(picked)) & (np.array(types) == kind))
    if not len(chosen):
        raise InputError(
            "no channel has a position.",
            hint="Set a montage: inst.set_montage('standard_1020').",
        )
    maps = ica.get_components()[np.array(there)[chosen]]
    picked = mne.pick_info(picked, chosen)
    if picked["dev_head_t"] is None:  # of a forward solution, which needs it
        with picked._unlock():
            picked["dev_head_t"] = mne.transforms.Transform("meg", "head")
    return maps, picked, kind


def _locate(info: mne.Info) -> np.ndarray:
    return np.array([one["loc"][:3] for one in info["chs"]])


def _is_known(positions: np.ndarray) -> np.ndarray:
    return np.isfinite(positions).all(axis=1) & (positions != 0).any(axis=1)


def _fit_electrodes(info: mne.Info) -> Any:
    """Make the sphere that all electrodes lie on best."""
    positions = _locate(mne.pick_info(info, mne.pick_types(info, eeg=True, exclude=())))
    center, radius = _fit_sphere(positions[_is_known(positions)])
    if not _HEADS[0] <= radius <= _HEADS[1]:
        raise InputError(
            f"the electrodes lie on a sphere of {1000 * radius:.0f} mm, which no head "
            "is.",
            hint="Check that their positions are in m, or pass sphere=.",
        )
    return mne.make_sphere_model(center, radius, verbose="error")


def _fit_head(info: mne.Info) -> Any:
    """Make the sphere of the digitized head, or of one in the middle of the coils."""
    kinds = [FIFF[one] for one in _POINTS]
    n_points = sum(one["kind"] in kinds for one in info["dig"] or [])
    if n_points >= _DIGITIZED:
        return mne.make_sphere_model("auto", "auto", info, verbose="error")
    center = _HEAD_CENTER
    trans = info["dev_head_t"]
    if trans is None or np.allclose(trans["trans"], np.eye(4)):  # no head was found
        center, _ = _fit_sphere(
            _locate(mne.pick_info(info, mne.pick_types(info, True)))
        )
    words = ", ".join(f"{1000 * one:.0f}" for one in center)
    warn_user(
        f"The head is not digitized: a sphere of {1000 * _HEAD_RADIUS:.0f} mm around "
        f"({words}) mm is taken. Pass sphere=mne.make_sphere_model(...) for another.",
        DataWarning,
    )
    return mne.make_sphere_model(center, _HEAD_RADIUS, verbose="error")


def _fit_sphere(positions: np.ndarray) -> tuple[np.ndarray, float]:
    """Find center and radius of the sphere that points lie on best."""
    design = np.column_stack([2 * positions, np.ones(len(positions))])
    power = (positions**2).sum(axis=1)
    solution, _, rank, _ = np.linalg.lstsq(design, power, rcond=1e-6)
    if rank < 4:
        raise InputError(
            f"the positions of the {len(positions)} channels lie in one plane, through "
            "which many spheres go.",
            hint="Pass sphere=mne.make_sphere_model(...).",
        )
    center = solution[:3]
    return center, float(np.sqrt(solution[3] + center @ center))


def _check_sphere(sphere: Any) -> Any:
    if not isinstance(sphere, mne.bem.ConductorModel) or not sphere["is_sphere"]:
        raise TypeError(
            "sphere must be a model from mne.make_sphere_model, but got "
            f"{type(sphere).__name__}."
        )
    return sphere


def _fit_dipoles(
    maps: np.ndarray, info: mne.Info, sphere: Any, *, kind: str
) -> DipoleFits:
    """Fit dipoles in a sphere, with the projections that the recording has seen."""
    radius = (_HEAD_RADIUS if sphere.radius is None else sphere.radius) * _BRAIN
    if sphere["layers"]:
        radius = sphere["layers"][0]["rad"]
    elif kind == "eeg":
        raise InputError(
            "sphere must have shells for EEG, but has none.",
            hint="Give mne.make_sphere_model a head_radius.",
        )
    projector = _make_projector(info)
    return fit_dipoles(
        projector @ maps,
        lambda positions: projector @ _make_gains(info, sphere, positions),
        center=sphere["r0"], radius=radius - _MARGIN,
        average_reference=kind == "eeg",
    )  # fmt: skip


def _make_projector(info: mne.Info) -> np.ndarray:
    """Make the matrix (n_channels, n_channels) of all projections that are applied."""
    vectors = [[0.0] * len(info["ch_names"])]
    for one in info["projs"]:
        if one["active"]:
            found = one["data"]
            for row in np.atleast_2d(found["data"]):
                weights = dict(zip(found["col_names"], row, strict=True))
                vectors.append([weights.get(name, 0.0) for name in info["ch_names"]])
    basis, sizes, _ = np.linalg.svd(np.transpose(vectors), full_matrices=False)
    basis = basis[:, sizes > 1e-9 * max(sizes.max(), 1e-300)]
    return np.eye(len(basis)) - basis @ basis.T


def _make_gains(info: mne.Info, sphere: Any, positions: np.ndarray) -> np.ndarray:
    """Compute the fields (n_positions, n_channels, 3) of unit dipoles."""
    offsets = np.linalg.norm(positions - sphere["r0"], axis=1)
    positions = positions + np.where(offsets < _SHIFT, _SHIFT, 0.0)[:, None]
    normals = np.tile([0.0, 0.0, 1.0], (len(positions), 1))
    source = mne.setup_volume_source_space(
        pos={"rr": positions, "nn": normals}, verbose="error"
    )
    forward = mne.make_forward_solution(
        info, trans=None, src=source, bem=sphere, verbose="error"
    )
    gains = forward["sol"]["data"]  # channels by positions and axes
    return gains.reshape(len(gains), -1, 3).swapaxes(0, 1)
