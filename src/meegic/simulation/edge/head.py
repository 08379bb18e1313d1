"""The head model of a simulation: sensors, and the field of a dipole at them."""

from dataclasses import dataclass
from functools import cache

import mne
import numpy as np

from meegic.base.checks import check_option

CONDUCTIVITY = 0.33
"""Of brain, scalp and, for the heart's field, the trunk, in S/m."""

RETURN_CURRENT_FACTOR = 0.1
"""What the return currents around the heart leave of its magnetic field."""

ONE_SHELL = {"relative_radii": (0.99, 1.0), "sigmas": (CONDUCTIVITY, CONDUCTIVITY)}
"""MNE wants two shells at least; two of one conductivity are one."""

EEG_NAMES = {
    "eeg19": "Fp1 Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2",
    "eeg32": "Fp1 Fp2 F7 F3 Fz F4 F8 FT9 FC5 FC1 FC2 FC6 FT10 T7 C3 Cz C4 T8 "
    "CP5 CP1 CP2 CP6 P7 P3 Pz P4 P8 PO9 O1 Oz O2 PO10",
    "eeg64": "Fp1 Fpz Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 "
    "FC1 FCz FC2 FC4 FC6 FT8 T7 C5 C3 C1 Cz C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPz CP2 CP4 "
    "CP6 TP8 P9 P7 P5 P3 P1 Pz P2 P4 P6 P8 P10 PO7 PO3 POz PO4 PO8 O1 Oz O2 Iz",
}
MEG_SYSTEMS = {"neuromag306": "neuromag", "ctf151": "ctf151", "ctf275": "ctf275"}
LAYOUTS = (*EEG_NAMES, *MEG_SYSTEMS)

REFERENCE = ("M1", "M2")
"""EEG is recorded against linked mastoids, which are no channels of the recording."""

HELMET_CENTER = (0.0, 0.0, 0.04)
"""Centre of the head in a MEG helmet, in m in head coordinates."""

# Where a coil's loops are, in m along its x and z axis, and what each counts; the
# exact integral over the loops does not matter for a source as far as the heart.
_LOOPS = {
    3012: (((-0.0084, 0.0), -1 / 0.0168), ((0.0084, 0.0), 1 / 0.0168)),  # planar
    3024: (((0.0, 0.0), 1.0),),  # magnetometer
    5001: (((0.0, 0.0), 1.0), ((0.0, 0.05), -1.0)),  # axial gradiometer
}


@dataclass(frozen=True)
class Head:
    """Sensors around a sphere.

    Attributes
    ----------
    info : mne.Info
        The sensors.
    center : array, shape (3,)
        Centre of the sphere in m in head coordinates.
    radius : float
        Radius of the scalp in m.
    """

    info: mne.Info
    center: np.ndarray
    radius: float

    @property
    def is_meg(self) -> bool:
        """Whether the sensors are those of a MEG."""
        return "eeg" not in self.info.get_channel_types(unique=True)


@cache
def make_head(layout: str) -> Head:
    """Make the sensors of a layout and the sphere inside them.

    Parameters
    ----------
    layout : str
        One of `LAYOUTS`.

    Returns
    -------
    Head
        Do not change it: it is shared.

    Examples
    --------
    >>> make_head("eeg19").info["nchan"]
    19
    """
    check_option("layout", layout, LAYOUTS)
    if layout in MEG_SYSTEMS:
        return _make_helmet(MEG_SYSTEMS[layout])
    info = _make_cap(EEG_NAMES[layout].split())
    sphere = mne.make_sphere_model("auto", "auto", info, verbose="error")
    return Head(info, np.asarray(sphere["r0"]), float(sphere.radius))


@cache
def compute_brain_gain(layout: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute the field of dipoles on a 10 mm grid in the brain.

    EEG has three shells (brain, skull, scalp) and a linked-mastoid reference.

    Parameters
    ----------
    layout : str
        One of `LAYOUTS`.

    Returns
    -------
    positions : array, shape (n_positions, 3)
        The grid in m in head coordinates.
    gain : array, shape (n_channels, n_positions, 3)
        Field of a dipole of 1 A m along each axis, in V, T or T/m.

    Examples
    --------
    >>> compute_brain_gain("eeg19")[1].shape[0]
    19
    """
    head = make_head(layout)
    grid = mne.setup_volume_source_space(
        pos=10.0,
        sphere=(*head.center, 0.85 * head.radius),
        sphere_units="m",
        mindist=0.0,
        verbose="error",
    )
    positions, gain = _compute_gain(head, grid, shells=True)
    positions.setflags(write=False)  # they are shared
    gain.setflags(write=False)
    return positions, gain


def compute_field(layout: str, places: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Compute the joint field of dipoles outside the brain: eyes, muscles, heart.

    There is no skull between them and the sensors: dipoles in the head lie in a
    sphere of one conductivity, dipoles below it in an endless conductor.

    Parameters
    ----------
    layout : str
        One of `LAYOUTS`.
    places : array, shape (n_dipoles, 3)
        In units of the head's radius, from its centre.
    moments : array, shape (n_dipoles, 3)
        In A m.

    Returns
    -------
    array, shape (n_channels,)
        The field in V, T or T/m.

    Examples
    --------
    >>> eye = np.array([[0.0, 0.8, -0.3]])
    >>> compute_field("eeg19", eye, 1e-6 * eye).shape
    (19,)
    """
    head = make_head(layout)
    positions = place(head, places)
    if np.linalg.norm(places, axis=1).max() > 1:
        pairs = zip(positions, moments, strict=True)
        return np.sum([_compute_far_field(head, *pair) for pair in pairs], axis=0)
    upwards = np.tile([0.0, 0.0, 1.0], (len(places), 1))
    space = mne.setup_volume_source_space(
        pos={"rr": positions, "nn": upwards},
        sphere=(*head.center, head.radius),
        sphere_units="m",
        verbose="error",
    )
    _, gain = _compute_gain(head, space, shells=False)
    return np.einsum("cdk,dk->c", gain, moments)


def place(head: Head, positions: np.ndarray) -> np.ndarray:
    """Take positions in units of the head's radius to m in head coordinates.

    Examples
    --------
    >>> head = make_head("neuromag306")
    >>> place(head, np.zeros(3))
    array([0.  , 0.  , 0.04])
    """
    return head.center + head.radius * positions


def _make_cap(names: list[str]) -> mne.Info:
    info = mne.create_info(names, sfreq=1000.0, ch_types="eeg")
    montage = mne.channels.make_standard_montage("colin27_1005")
    info.set_montage(montage, verbose="error")
    return info


def _make_helmet(system: str) -> Head:
    """Put a helmet around the head, its middle at the middle of the sphere."""
    info = mne.channels.read_meg_canonical_info(system, verbose="error")
    trans = np.eye(4)
    trans[:3, 3] = HELMET_CENTER
    info["dev_head_t"] = mne.transforms.Transform("meg", "head", trans)
    return Head(info, np.array(HELMET_CENTER), radius=0.09)


def _compute_gain(
    head: Head, space: mne.SourceSpaces, *, shells: bool
) -> tuple[np.ndarray, np.ndarray]:
    info = head.info
    if not head.is_meg:
        info = _make_cap([*info["ch_names"], *REFERENCE])
    sphere = mne.make_sphere_model(
        head.center,
        None if head.is_meg else head.radius,
        verbose="error",
        **({} if shells else ONE_SHELL),
    )
    forward = mne.make_forward_solution(
        info, trans=None, src=space, bem=sphere, mindist=0.0, verbose="error"
    )
    gain = forward["sol"]["data"].reshape(info["nchan"], -1, 3)
    gain = gain if head.is_meg else _subtract_reference(gain)
    return np.array(forward["source_rr"]), gain


def _compute_far_field(
    head: Head, position: np.ndarray, moment: np.ndarray
) -> np.ndarray:
    if head.is_meg:
        to_head = head.info["dev_head_t"]["trans"]
        coils = head.info["chs"]
        field = [_read_coil(one, to_head, position, moment) for one in coils]
        return RETURN_CURRENT_FACTOR * np.array(field)
    cap = _make_cap([*head.info["ch_names"], *REFERENCE])
    away = np.array([one["loc"][:3] for one in cap["chs"]]) - position
    potential = away @ moment / np.linalg.norm(away, axis=1) ** 3
    return _subtract_reference(potential / (4 * np.pi * CONDUCTIVITY))


def _subtract_reference(gain: np.ndarray) -> np.ndarray:
    n_reference = len(REFERENCE)
    return gain[:-n_reference] - gain[-n_reference:].mean(axis=0)


def _read_coil(
    channel: dict, to_head: np.ndarray, position: np.ndarray, moment: np.ndarray
) -> float:
    """Magnetic field of a dipole through the loops of one coil."""
    origin, axes = channel["loc"][:3], channel["loc"][3:].reshape(3, 3)
    total = 0.0
    for (along_x, along_z), weight in _LOOPS[int(channel["coil_type"])]:
        point = origin + along_x * axes[0] + along_z * axes[2]
        away = to_head[:3, :3] @ point + to_head[:3, 3] - position
        field = 1e-7 * np.cross(moment, away) / np.linalg.norm(away) ** 3
        total += weight * float(field @ (to_head[:3, :3] @ axes[2]))
    return total
