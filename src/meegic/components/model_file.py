"""Read a fitted model that was saved."""

from pathlib import Path

from meegic.base.flat import add_suffix
from meegic.base.saved import read_saved
from meegic.components.model import SCHEMA, AmicaModel


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
