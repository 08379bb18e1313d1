"""Leadfields: their shape, unit and orientations; files of the reference."""

import math
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from meegic.base.checks import check_finite, check_option, check_shape
from meegic.base.errors import InputError, IntegrityError, ShapeError
from meegic.base.files import open_checked

_UNIT_T, _UNIT_T_M, _UNIT_V = 112, 201, 107  # FIFF's numbers of units
_MULTIPLIERS = {_UNIT_T: -15, _UNIT_T_M: -15, _UNIT_V: -6}  # fT and µV
_NANO = -9
_MAX_BYTES = 8 << 30
_META = ("sensor_kind", "sensor_units", "sensor_unitmult", "coil_type")


@dataclass(frozen=True)
class LeadfieldData:
    """A leadfield and what is known about it, as the reference keeps it.

    Attributes
    ----------
    leadfield : array, shape (n_sensors, n_sources[, n_orient])
        What one unit of each source gives at the sensors.
    sensor_kind, sensor_units, sensor_unitmult, coil_type : int | None
        FIFF's numbers of the sensors' kind, unit, power of ten and coil.
    src_coords : array, shape (n_sources, 3) | None
        Positions of the sources in m.
    Q_basis : array, shape (n_sources, 3, n_orient) | None
        Axes of the orientations; `reduce_orientations` makes them.

    Examples
    --------
    >>> LeadfieldData(np.ones((2, 5))).leadfield.shape
    (2, 5)
    """

    leadfield: np.ndarray
    sensor_kind: int | None = None
    sensor_units: int | None = None
    sensor_unitmult: int | None = None
    coil_type: int | None = None
    src_coords: np.ndarray | None = None
    Q_basis: np.ndarray | None = None


def take_reals(name: str, values: Any) -> np.ndarray:
    """Take finite real numbers as float64, or say why not.

    Parameters
    ----------
    name : str
        How the caller knows the argument.
    values : array-like
        Numbers of any real type, in any order of bytes and axes.

    Returns
    -------
    array
        The same numbers; nothing is written to what was passed.

    Examples
    --------
    >>> take_reals("y", [[1, 2]])
    array([[1., 2.]])
    """
    array = np.asanyarray(values)
    if array.dtype.kind not in "biuf" or np.ma.is_masked(array):
        kind = "masked values" if array.dtype.kind in "biuf" else f"{array.dtype}"
        raise InputError(
            f"{name} must hold real numbers, but holds {kind}.",
            hint="Take the real part, convert it, or leave out what is masked, first.",
        )
    if array.size == 0:
        raise ShapeError(f"{name} is empty: its shape is {array.shape}.")
    array = np.asarray(array, dtype=np.float64)
    check_finite(name, array)
    return array


def flatten_leadfield(
    leadfield: Any, *, n_orient: int | None = None, name: str = "L"
) -> tuple[np.ndarray, int]:
    """Take a leadfield as sensors by coefficients, those of a source side by side.

    Parameters
    ----------
    leadfield : array, shape (n_sensors, n_coefficients[, n_orient])
        In any unit.
    n_orient : 1 | 2 | 3 | None
        Orientations of a source. Three axes tell it themselves, whatever is said
        here; for two axes ``None`` is 1.
    name : str
        How the caller knows the argument.

    Returns
    -------
    leadfield : array, shape (n_sensors, n_sources * n_orient)
        The coefficients in the order of the sources.
    n_orient : int
        Orientations of a source.

    Examples
    --------
    >>> flatten_leadfield(np.ones((4, 5, 3)))[0].shape
    (4, 15)
    """
    array = take_reals(name, leadfield)
    if array.ndim not in (2, 3):
        raise ShapeError(
            f"{name} must have shape (n_sensors, n_sources) or (n_sensors, n_sources, "
            f"n_orient), but got {array.shape}."
        )
    if array.ndim == 3:
        n_orient = array.shape[2]
    n_orient = 1 if n_orient is None else n_orient
    check_option("n_orient", n_orient, [1, 2, 3])
    flat = array.reshape(len(array), -1)
    if flat.shape[1] % n_orient:
        raise ShapeError(
            f"{name} must have a multiple of n_orient = {n_orient} columns, but its "
            f"shape is {array.shape}."
        )
    if not flat.any():
        raise InputError(f"{name} is zero everywhere: no source reaches a sensor.")
    return flat, n_orient


def take_sensors(data: Any, n_sensors: int, *, name: str = "y") -> np.ndarray:
    """Take measurements that belong to a leadfield; any number of times will do.

    Parameters
    ----------
    data : array, shape (n_sensors, n_times) or (n_sensors,)
        In any unit.
    n_sensors : int
        Rows of the leadfield.
    name : str
        How the caller knows the argument.

    Returns
    -------
    array, shape (n_sensors, n_times)
        The measurements.

    Examples
    --------
    >>> take_sensors([1.0, 2.0], 2).shape
    (2, 1)
    """
    array = take_reals(name, data)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or len(array) != n_sensors:
        raise ShapeError(
            f"{name} must have shape ({n_sensors}, n_times), one row for each row of "
            f"the leadfield, but got {array.shape}."
        )
    return array


def scale_leadfield(data: LeadfieldData) -> LeadfieldData:
    """Scale a leadfield from T or V by A m to fT or µV by nAm.

    Parameters
    ----------
    data : LeadfieldData
        Where `sensor_unitmult` is set to a power other than 0, or the unit is neither
        T, T/m nor V, nothing changes.

    Returns
    -------
    LeadfieldData
        With `sensor_unitmult` as it is now.

    Examples
    --------
    >>> volts = LeadfieldData(np.ones((1, 1)), sensor_units=107)
    >>> scale_leadfield(volts).leadfield.item(), scale_leadfield(volts).sensor_unitmult
    (0.001, -6)
    """
    multiplier = _MULTIPLIERS.get(data.sensor_units or 0)
    if multiplier is None or data.sensor_unitmult:
        return data
    scaled = data.leadfield * 10.0 ** (_NANO - multiplier)
    return replace(data, leadfield=scaled, sensor_unitmult=multiplier)


def reduce_orientations(leadfield: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Keep the two orientations of each source that the sensors see best.

    They are the first two right singular vectors of the source's (n_sensors, 3)
    block, with their largest entry positive. Around a sphere MEG does not see the
    third one at all; elsewhere the reduction is an approximation.

    Parameters
    ----------
    leadfield : array, shape (n_sensors, n_sources, 3)
        In any unit.

    Returns
    -------
    reduced : array, shape (n_sensors, n_sources, 2)
        The leadfield along the two axes.
    basis : array, shape (n_sources, 3, 2)
        The axes: amplitudes :math:`x_3 = Q x_2`.

    Examples
    --------
    >>> reduced, basis = reduce_orientations(np.eye(3)[:, None] * [3.0, 2.0, 1.0])
    >>> basis[0].tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    """
    array = take_reals("leadfield", leadfield)
    check_shape("leadfield", array, (None, None, 3))
    blocks = array.transpose(1, 0, 2)
    basis = np.linalg.eigh(blocks.mT @ blocks)[1][..., :0:-1]
    largest = np.abs(basis).argmax(axis=1, keepdims=True)
    basis = basis * np.sign(np.take_along_axis(basis, largest, axis=1))
    return (blocks @ basis).transpose(1, 0, 2), basis


def read_leadfield(path: Path | str) -> LeadfieldData:
    """Read a leadfield file of the reference, and nothing in it that could run code.

    Only the members that `LeadfieldData` names are looked at, and one that is a pickle
    is refused; the pickles of MNE's objects that the reference stores beside them are
    not opened. Nothing is scaled.

    Parameters
    ----------
    path : Path | str
        An npz file with ``leadfield`` and, where they are known, ``src_coords``,
        ``Q_basis``, ``coil_type`` and ``sensor_{kind,units,unitmult}``.

    Returns
    -------
    LeadfieldData
        What is in it. A fixed leadfield has no `Q_basis`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/a.npz", leadfield=np.ones((4, 5)), sensor_units=107)
    ...     read_leadfield(f"{folder}/a.npz").sensor_units
    107
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"no such file: {path}.")
    with (
        open_checked(path, digest=None, max_bytes=_MAX_BYTES) as stream,
        zipfile.ZipFile(stream) as archive,
    ):
        if "leadfield.npy" not in archive.namelist():
            raise ValueError("it has no member 'leadfield'")
        fields: dict[str, Any] = {"leadfield": _read_member(archive, "leadfield")}
        optional = ["src_coords", *_META]
        if fields["leadfield"].ndim == 3:  # else the reference stores a pickled None
            optional.append("Q_basis")
        names = [one for one in optional if f"{one}.npy" in archive.namelist()]
        fields |= {name: _read_member(archive, name) for name in names}
    for name in set(_META) & set(names):
        fields[name] = int(fields[name])
    return _check_fields(LeadfieldData(**fields))


def _check_fields(data: LeadfieldData) -> LeadfieldData:
    flatten_leadfield(data.leadfield, name="leadfield")
    n_sources = data.leadfield.shape[1]
    if data.src_coords is not None:
        check_finite("src_coords", data.src_coords)
        check_shape("src_coords", data.src_coords, (n_sources, 3))
    return data


def _read_member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read an array whose header tells the truth, and that is no pickle."""
    member = archive.getinfo(f"{name}.npy")
    if member.file_size > _MAX_BYTES or member.file_size > 20 * member.compress_size:
        raise ValueError(f"its member {name!r} is compressed too far")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"its member {name!r} has the unknown version {version}")
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.kind not in "iuf":
            raise IntegrityError(
                f"member {name!r} of the file holds {dtype}, but must hold numbers: a "
                "pickle would run code while it is read.",
                hint="Save it again as an array of numbers, or leave it out.",
            )
        content = stream.read()
    if math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"its member {name!r} is not as long as the shape {shape}")
    order = "F" if is_fortran else "C"
    array = np.frombuffer(content, dtype).reshape(shape, order=order)
    return array.astype(dtype.newbyteorder("="))
