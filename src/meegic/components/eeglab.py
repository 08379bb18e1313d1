"""The folders that Fortran AMICA writes and EEGLAB loads."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
from jaxtyping import Float

from meegic.base.alerts import warn_user
from meegic.base.arrays import Array
from meegic.base.checks import list_words
from meegic.base.errors import DataWarning, FileFormatError, OptionError, OutputError
from meegic.base.files import export_atomically, make_folder, write_bytes
from meegic.components.amicaout import AmicaOutput, check_output, make_output
from meegic.components.model import AmicaModel

REQUIRED = ("W", "S", "mean", "alpha", "mu", "sbeta", "rho")
OPTIONAL = ("gm", "c", "A", "LL", "nd", "LLt", "comp_list")

_ITEM = 8  # bytes of a number; those of comp_list have half as many


def read_amicaout(folder: os.PathLike[str] | str) -> AmicaOutput:
    """Read a folder of Fortran AMICA, of EEGLAB or of `write_amicaout`.

    Parameters
    ----------
    folder : path-like
        The folder that holds ``W``, ``S``, ``mean`` and the others.

    Returns
    -------
    AmicaOutput
        Everything as it is stored; ``.to_model()`` is the model as EEGLAB shows it.

    Raises
    ------
    FileFormatError
        There is no such folder, or a file in it is missing, damaged or of a length
        that does not fit the others.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> eye, one = np.eye(2), np.ones((1, 2))
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("W", "S"):
    ...         eye.tofile(f"{folder}/{name}")
    ...     for name in ("mean", "alpha", "mu", "sbeta", "rho"):
    ...         one.tofile(f"{folder}/{name}")
    ...     read_amicaout(folder).to_model().n_components
    2
    """
    folder = Path(folder)
    sizes = _measure(folder)
    shapes = _settle_shapes(folder, sizes)
    arrays = {name: _read(folder / name, shape) for name, shape in shapes.items()}
    n, n_models = arrays["W"].shape[1:]
    n_densities = arrays["alpha"].shape[1]
    output = AmicaOutput(
        weight=arrays.get("gm", np.ones(1)),
        unmix=arrays["W"].transpose(2, 0, 1),
        sphere=arrays["S"],
        mean=arrays["mean"],
        center=arrays.get("c", np.zeros((n, n_models))).T,
        alpha=arrays["alpha"],
        mu=arrays["mu"],
        beta=arrays["sbeta"],
        rho=arrays["rho"],
        component_list=_read_list(folder, sizes, (n, n_models), n_densities),
        mixing=arrays.get("A"),
        log_likelihood=arrays.get("LL"),
        gradient=arrays.get("nd"),
        scores=arrays.get("LLt"),
    )
    check_output(f"{folder}", output)
    return output


def write_amicaout(
    content: AmicaModel | AmicaOutput,
    folder: os.PathLike[str] | str,
    *,
    scores: Float[Array, "models times"] | None = None,
) -> None:
    """Write a folder that EEGLAB loads, or none that can be loaded.

    The numbers are in the unit of the data of the fit times its ``scale``. EEGLAB has
    uV: fit data in V with ``scale=np.full(n_channels, 1e6)``, and read such a folder
    for data in V with ``.to_model(scale=...)``. What `read_amicaout` gave is written
    back byte for byte.

    Parameters
    ----------
    content : AmicaModel | AmicaOutput
        A model, or what was read.
    folder : path-like
        Where to write; it is made if need be. Files of an earlier model are replaced.
    scores : array, shape (n_models, n_times) | None
        What ``model.score_models(data)`` gives for the data of the fit. Without it
        there is no ``LLt``, from which EEGLAB shows which model holds when.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> eye, one = np.eye(2), np.ones((1, 2))
    >>> output = AmicaOutput(
    ...     *(one[0, :1], eye[None], eye, one[0], 0 * one),  # gm, W, S, mean, c
    ...     *(one, one, one, one, np.array([[0, 1]])),  # densities, and whose they are
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     write_amicaout(output.to_model(), folder)
    ...     read_amicaout(folder).mean
    array([1., 1.])
    """
    if not isinstance(content, (AmicaModel, AmicaOutput)):
        raise TypeError(
            "content must be an AmicaModel or AmicaOutput, but got "
            f"{type(content).__name__}; of AMICA pass .model_."
        )
    if isinstance(content, AmicaModel):
        content = make_output(content, scores=scores)
    elif scores is not None:
        raise OptionError(
            "scores can only be given with a model, but content is an AmicaOutput.",
            hint="Replace its own scores, which have one row more, for all models.",
        )
    files = _encode(content)
    folder = make_folder(Path(folder))
    stale = [one for one in OPTIONAL if one not in files and (folder / one).exists()]
    if stale:
        raise OutputError(
            f"{folder} holds {list_words(stale)} of another model, which would seem to "
            "belong to this one.",
            hint="Write to another folder, or remove them first.",
        )

    def write(path: Path) -> None:
        for name, one in files.items():
            write_bytes(path.with_name(name), one)

    # An old W goes first and the new one comes last: what a killed writer leaves in
    # between cannot be loaded.
    export_atomically(folder / "W", write)


def _measure(folder: Path) -> dict[str, int]:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise FileFormatError(
            f"{folder} must be a folder that AMICA wrote, but it {what}.",
            hint="Pass the folder that holds the files W, S and mean.",
        )
    files = {name: folder / name for name in (*REQUIRED, *OPTIONAL)}
    sizes = {  # of files only: to open a pipe would wait for ever
        name: path.stat().st_size for name, path in files.items() if path.is_file()
    }
    missing = [name for name in REQUIRED if name not in sizes]
    if missing:
        raise FileFormatError(
            f"{folder} must hold what AMICA wrote, but it has no file "
            f"{list_words(missing)}.",
            hint="Take the folder that EEGLAB calls amicaout, whole.",
        )
    return sizes


def _settle_shapes(
    folder: Path, sizes: Mapping[str, int]
) -> dict[str, tuple[int, ...]]:
    """Find the shape of every file, in Fortran's order, from their lengths alone."""

    def count(name: str, length: int) -> int:
        found, record = sizes[name], _ITEM * length
        if found == 0 or found % record:
            _refuse_size(folder / name, found, f"a positive multiple of {record}")
        return found // record

    n_models = count("gm", 1) if "gm" in sizes else 1
    n = math.isqrt(count("W", n_models))
    if _ITEM * n * n * n_models != sizes["W"]:
        next_square = _ITEM * (n + 1) ** 2 * n_models
        _refuse_size(folder / "W", sizes["W"], f"{next_square} or another square")
    n_channels = count("mean", 1)
    if n > n_channels:
        _refuse_size(folder / "mean", sizes["mean"], f"at least {_ITEM * n}")
    n_densities = count("A", n) if "A" in sizes else n * n_models
    n_mix = count("alpha", n_densities)

    terms = (n_mix, n_densities)
    shapes: dict[str, tuple[int, ...]] = {
        "gm": (n_models,),
        "W": (n, n, n_models),
        "S": (n_channels, n_channels),
        "mean": (n_channels,),
        "c": (n, n_models),
        "A": (n, n_densities),
        **dict.fromkeys(("alpha", "mu", "sbeta", "rho"), terms),
    }
    for name, length in (("LL", 1), ("nd", n_densities), ("LLt", n_models + 1)):
        if name in sizes:
            n_records = count(name, length)
            records = {"LL": (n_records,), "LLt": (length, n_records)}
            shapes[name] = records.get(name, (n_records, length))
    if {"LL", "nd"} <= sizes.keys():
        shapes["nd"] = (*shapes["LL"], n_densities)
    shapes = {name: shapes[name] for name in shapes.keys() & sizes.keys()}
    for name, shape in shapes.items():
        if sizes[name] != _ITEM * math.prod(shape):
            _refuse_size(folder / name, sizes[name], _ITEM * math.prod(shape))
    return shapes


def _refuse_size(path: Path, found: int, expected: object) -> NoReturn:
    raise FileFormatError(
        f"{path} has {found} bytes, but by the other files it must have {expected}.",
        hint="Copy the whole folder again from where AMICA wrote it.",
    )


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    array = _read_numbers(path, "<f8", math.prod(shape)).reshape(shape, order="F")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise FileFormatError(
            f"{path} must hold finite numbers, but {bad} of {array.size} are not.",
            hint="The fit failed, or the file is damaged; run AMICA again.",
        )
    return array


def _read_numbers(path: Path, dtype: str, count: int) -> np.ndarray:
    size = np.dtype(dtype).itemsize * count
    with path.open("rb") as stream:
        content = stream.read(size)
    if len(content) != size:  # it was cut since it was measured
        _refuse_size(path, len(content), size)
    values = np.frombuffer(content, dtype)
    return values.astype(values.dtype.newbyteorder("="))


def _read_list(
    folder: Path, sizes: Mapping[str, int], shape: tuple[int, int], n_densities: int
) -> np.ndarray:
    """Read which density is whose; the program pads this file to twice its length."""
    natural = np.arange(math.prod(shape)).reshape(shape, order="F").T
    path, length = folder / "comp_list", 4 * math.prod(shape)
    if "comp_list" not in sizes:
        return natural
    if sizes["comp_list"] not in (length, 2 * length):
        _refuse_size(path, sizes["comp_list"], 2 * length)
    numbers = _read_numbers(path, "<i4", math.prod(shape)).reshape(shape, order="F").T
    if not numbers.any():
        warn_user(
            f"{path} holds zeros only, as the program leaves it with fix_init 1. "
            "Components are taken in their natural order.",
            DataWarning,
        )
        return natural
    if numbers.min() < 1 or numbers.max() > n_densities:
        raise FileFormatError(
            f"{path} must hold numbers between 1 and {n_densities}, but they are "
            f"between {numbers.min()} and {numbers.max()}.",
            hint="Copy the whole folder again from where AMICA wrote it.",
        )
    return numbers.astype(int) - 1


def _encode(output: AmicaOutput) -> dict[str, bytes]:
    """Give the bytes of every file; ``W``, without which none loads, comes last."""
    arrays = {
        "gm": output.weight,
        "S": output.sphere,
        "mean": output.mean,
        "c": output.center.T,
        "alpha": output.alpha,
        "mu": output.mu,
        "sbeta": output.beta,
        "rho": output.rho,
        "A": output.mixing,
        "LL": output.log_likelihood,
        "nd": output.gradient,
        "LLt": output.scores,
        "W": output.unmix.transpose(1, 2, 0),
    }
    files = {
        name: np.asarray(one, dtype="<f8").tobytes(order="F")
        for name, one in arrays.items()
        if one is not None
    }
    numbers = (output.component_list + 1).T.astype("<i4").tobytes(order="F")
    return {"comp_list": numbers + bytes(len(numbers)), **files}
