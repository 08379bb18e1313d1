"""Write a recording to a file, all of it or nothing."""

from pathlib import Path

import mne

from meegic.base.errors import OptionError
from meegic.base.files import export_atomically


def write_recording(path: Path | str, raw: mne.io.BaseRaw) -> None:
    """Write a recording as FIF.

    Parameters
    ----------
    path : path
        Where; must end in ``.fif``. A file of that name is replaced.
    raw : mne.io.Raw
        The recording.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from meegic import simulate_recording
    >>> raw, truth = simulate_recording("eeg19", duration_s=5)
    >>> with TemporaryDirectory() as folder:
    ...     write_recording(f"{folder}/simulated_raw.fif", raw)
    """
    path = Path(path)
    if path.suffix != ".fif":
        raise OptionError(
            f"path must end in .fif, but got {path.name!r}.",
            hint=f"Use {path.with_suffix('.fif').name!r}.",
        )
    export_atomically(path, lambda one: raw.save(one, verbose="error"))
