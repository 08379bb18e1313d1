"""How an `AmicaICA` goes to other programs, and comes from them."""

from pathlib import Path
from typing import Any, Self

from meegic.base.files import export_atomically, make_folder
from meegic.components.edge.eeglab import (
    read_marks,
    read_set,
    score_recording,
    write_set,
)
from meegic.components.edge.fits import Fits
from meegic.components.edge.fitted import FittedIca
from meegic.components.edge.mne_ica import list_excluded


class Exports(Fits):
    """The files of a fitted `AmicaICA` for MNE and EEGLAB."""

    def export_fif(self, folder: str | Path) -> list[Path]:
        """Write each model as a file that `mne.preprocessing.read_ica` reads.

        Parameters
        ----------
        folder : path
            Made when it is missing.

        Returns
        -------
        list of Path
            ``model-0-ica.fif`` and so on, with what each model excludes.
        """
        folder = make_folder(folder)
        paths = [folder / f"model-{h}-ica.fif" for h in range(self.model.n_models)]
        for ica, path in zip(self._list_icas(), paths, strict=True):
            export_atomically(path, lambda one, ica=ica: ica.save(one, verbose="error"))
        return paths

    def to_eeglab(self, path: str | Path, inst: Any, model_idx: int = 0) -> Path:
        """Write a recording with the models as a data set that EEGLAB opens.

        Parameters
        ----------
        path : path
            ``.set`` is added when it is missing.
        inst : mne.io.Raw | mne.Epochs
            With the channels of the fit, in any order; its samples are written.
        model_idx : int
            The model that EEGLAB shows, with its exclusions as marks. All models are in
            ``etc.amica``, with their probabilities.

        Returns
        -------
        Path
            Of the file that was written.
        """
        if not isinstance(path, (str, Path)):
            raise TypeError(
                f"path must be a path, but got {type(path).__name__}: the recording is "
                "the second argument."
            )
        fit = self._fitted(model_idx)
        return write_set(
            path, inst, fit, model_idx=model_idx, scores=score_recording(fit, inst),
            excluded=list_excluded(self._list_icas(), fit.model.n_components),
        )  # fmt: skip

    @classmethod
    def from_eeglab(cls, path: str | Path) -> Self:
        """Read the results of AMICA that a data set of EEGLAB holds.

        Parameters
        ----------
        path : path
            The ``.set``, with ``etc.amica``. For a folder ``amicaout``, there is
            `meegic.read_amicaout`.

        Returns
        -------
        AmicaICA
            Fitted; components that EEGLAB marks for rejection are excluded.
        """
        fit = read_set(path)
        made = cls._of(fit)
        for ica, marks in zip(
            made._list_icas(), read_marks(path, fit.model), strict=True
        ):
            ica.exclude = marks
        return made

    @classmethod
    def _of(cls, fit: FittedIca) -> Any:
        raise NotImplementedError
