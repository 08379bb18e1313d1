"""Read a fitted model that was saved."""

from pathlib import Path

from meegic.base.errors import InputError, IntegrityError
from meegic.base.flat import add_suffix, read_flat
from meegic.components.model import SCHEMA, AmicaModel

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
    path = path if path.is_file() else add_suffix(path)
    if not path.exists():
        raise InputError(f"no such file: {path}.", hint="Save a model there first.")
    try:
        return read_flat(path, AmicaModel, version=SCHEMA)
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
