"""Read a fitted model that was saved."""

from pathlib import Path
from typing import TypeVar

from meegic.base.errors import InputError, IntegrityError
from meegic.base.flat import add_suffix, read_flat
from meegic.components.model import SCHEMA, AmicaModel

_T = TypeVar("_T")
_HEAD = 1 << 20
_PICKLES = (b".pkl", b"'|O'")  # a member of an archive; an array of objects


def read_model(path: Path | str) -> AmicaModel:
    """Read a model that `AmicaModel.save` wrote.

    Parameters
    ----------
    path : path-like
        The npz file; its suffix may be left out.

    Returns
    -------
    AmicaModel
        The model, bit for bit as it was saved.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from meegic.components.amica import fit_amica
    >>> data = np.random.default_rng(0).laplace(size=(2, 2000))
    >>> with TemporaryDirectory() as folder:
    ...     path = fit_amica(data).save(f"{folder}/model")
    ...     read_model(path).n_components
    2
    """
    path = Path(path)
    return read_saved(
        path if path.is_file() else add_suffix(path), AmicaModel, version=SCHEMA
    )


def read_saved(path: Path, kind: type[_T], *, version: int) -> _T:
    """Read a saved result, or say what else the file is.

    Parameters
    ----------
    path : Path
        The file.
    kind : type
        What was saved.
    version : int
        Of its schema.

    Returns
    -------
    kind
        The result, bit for bit as it was saved.

    Examples
    --------
    >>> read_saved(Path("missing.npz"), AmicaModel, version=1)
    Traceback (most recent call last):
    meegic.base.errors.InputError: no such file: missing.npz. ...
    """
    if not path.exists():
        raise InputError(f"no such file: {path}.", hint="Save a model there first.")
    try:
        return read_flat(path, kind, version=version)
    except IntegrityError as error:
        if _is_pickled(path):
            raise IntegrityError(
                f"{path} is a pickle, which would run code while it is read.",
                hint="Open it with the program that wrote it, and fit again or pass "
                "its arrays as start.",
            ) from error
        raise


def _is_pickled(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    return head.startswith(b"\x80") or any(one in head for one in _PICKLES)
