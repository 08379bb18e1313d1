"""Artifact subspace reconstruction of all channels of a recording, as they come."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from meegic.base.arrays import Array
from meegic.base.checks import check_shape
from meegic.clean.asr_stream import ASRStream, take_piece


class RecordingStream:
    """Clean the channels of a recording piece by piece, each type on its own.

    `ASR.stream` opens one. All channels lag behind by the same number of samples; those
    that are not cleaned are passed through.

    Parameters
    ----------
    streams : mapping of str to ASRStream
        The stream of each type.
    picks : mapping of str to array of int
        Where the channels of each type lie.
    n_channels : int
        How many channels the recording has.

    Examples
    --------
    >>> from meegic.clean.asr_calibration import calibrate_asr
    >>> data = np.random.default_rng(0).standard_normal((3, 3000))
    >>> stream = RecordingStream(
    ...     {"eeg": ASRStream(calibrate_asr(data[:2], cutoff=20.0))},
    ...     {"eeg": np.array([0, 1])}, n_channels=3)
    >>> out = np.hstack([stream.push(data), stream.finish()])
    >>> bool((out[2] == data[2]).all())
    True
    """

    def __init__(
        self,
        streams: Mapping[str, ASRStream],
        picks: Mapping[str, Int[np.ndarray, " channels"]],
        n_channels: int,
    ) -> None:
        self._streams, self._picks = streams, picks
        self._recorded = np.zeros((n_channels, 0))
        self._cleaned = {one: np.zeros((len(picks[one]), 0)) for one in streams}

    @property
    def latency(self) -> int:
        """How many samples the output may lag behind."""
        return max(one.latency for one in self._streams.values())

    def push(self, data: Array) -> Float[np.ndarray, "channels times"]:
        """Take the next samples of all channels, and give out those that are ready.

        Parameters
        ----------
        data : array, shape (n_channels, n_any)
            The next samples, in the order of the recording and its unit.

        Returns
        -------
        array, shape (n_channels, n_ready)
            In order; maybe none.
        """
        data = np.asarray(data)
        check_shape("data", data, (len(self._recorded), None))
        pieces = {  # all of them are right before any is taken
            kind: take_piece(data[rows], len(rows))
            for kind, rows in self._picks.items()
        }
        for kind, stream in self._streams.items():
            self._keep(kind, stream.push(pieces[kind]))
        self._recorded = np.hstack([self._recorded, data])
        return self._give_out()

    def finish(self) -> Float[np.ndarray, "channels times"]:
        """End the recording, and give out all samples that are left.

        Returns
        -------
        array, shape (n_channels, n_left)
            In order.
        """
        for kind, stream in self._streams.items():
            self._keep(kind, stream.finish())
        return self._give_out()

    def _keep(self, kind: str, cleaned: np.ndarray) -> None:
        self._cleaned[kind] = np.hstack([self._cleaned[kind], cleaned])

    def _give_out(self) -> np.ndarray:
        """Give out what is ready in all types."""
        n_ready = min(one.shape[1] for one in self._cleaned.values())
        ready = self._recorded[:, :n_ready].copy()
        self._recorded = self._recorded[:, n_ready:]
        for kind, cleaned in self._cleaned.items():
            ready[self._picks[kind]] = cleaned[:, :n_ready]
            self._cleaned[kind] = cleaned[:, n_ready:]
        return ready
