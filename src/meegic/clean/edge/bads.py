"""Which channels of a recording are bad, and why."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import mne
import numpy as np

from meegic.base.alerts import warn_user
from meegic.base.checks import check_option, check_range
from meegic.base.errors import DataWarning, InputError
from meegic.base.record import draw_seed
from meegic.clean.bad_channels import (
    BadChannelOptions,
    BadChannels,
    find_bad_channels,
    find_flat_channels,
)
from meegic.clean.edge.judging import take_used
from meegic.clean.edge.positions import find_origin, name_lost, take_positions
from meegic.clean.edge.samples import USUAL, check_inst, load_epochs, pick_types
from meegic.clean.edge.segments import find_segments
from meegic.clean.windows import round_half_up

_FEWEST_PREDICTING = 4


@dataclass(frozen=True)
class BadChannelFindings:
    """Which channels of a recording are bad, and why; all by name.

    Attributes
    ----------
    reasons : dict of str to tuple of str
        For each bad channel which of ``'flat'``, ``'noisy'``, ``'uncorrelated'`` hold.
    noise : dict of str to float
        For each channel looked at, the robust z score of its noise above 50 Hz.
    bad_time_s : dict of str to float
        For each channel looked at, for how long it was unlike the others.
    methods : dict of str to str
        How each type was judged: ``'ransac'``, ``'correlation'`` or ``'noise'``.
    seed : int
        What the random subsets were drawn with.
    """

    reasons: dict[str, tuple[str, ...]]
    noise: dict[str, float]
    bad_time_s: dict[str, float]
    methods: dict[str, str]
    seed: int

    @property
    def names(self) -> list[str]:
        """The bad channels, type by type in the order of the recording."""
        return list(self.reasons)

    def describe(self) -> dict[str, str]:
        """Give the reasons with their numbers, for each bad channel."""
        return {name: ", ".join(self._tell(name)) for name in self.reasons}

    def to_dict(self) -> dict[str, Any]:
        """Give the findings as plain types, for JSON."""
        return asdict(self)

    def _tell(self, name: str) -> list[str]:
        numbers = {
            "noisy": f" (z {self.noise[name]:.1f})",
            "uncorrelated": f" ({self.bad_time_s[name]:g} s)",
        }
        return [word + numbers.get(word, "") for word in self.reasons[name]]


def find_bads(
    inst: Any,
    *,
    types: Sequence[str] = USUAL,
    method: str = "auto",
    options: BadChannelOptions | None = None,
    max_flat_fraction: float = 0.5,
    on_nonfinite: str = "raise",
    random_state: int | None = 0,
) -> BadChannelFindings:
    """Find bad channels, each type by itself; nothing is marked or dropped.

    Flat and noisy channels are found in all types. Those of type eeg must also look as
    the others say. Spans that are marked as bad are not looked at, nor are channels
    that are. Mark what was found by ``inst.info["bads"] += findings.names``.

    Parameters
    ----------
    inst : mne.io.Raw | mne.Epochs
        The recording, high-passed; it need not be loaded.
    types : sequence of str
        Which types of channel to look at.
    method : 'auto' | 'ransac' | 'correlation' | 'noise'
        How EEG channels are compared: with predictions from random subsets, by their
        positions; with the tenth of the channels most like them; or not at all.
        ``'auto'`` predicts where all have positions, and enough of them.
    options : BadChannelOptions | None
        What makes a channel bad.
    max_flat_fraction : float
        With more flat channels in a type than that, the recording is refused.
    on_nonfinite : 'raise' | 'annotate'
        Whether NaN and infinity outside of BAD spans are refused, or not looked at.
    random_state : int | None
        Seed of the random subsets; ``None`` draws one.

    Returns
    -------
    BadChannelFindings
        The bad channels and the reasons.

    Examples
    --------
    >>> from meegic import simulate_recording
    >>> raw, truth = simulate_recording("eeg19", duration_s=20, artifacts=[])
    >>> findings = find_bads(raw, method="correlation")
    >>> truth.bad_channels, findings.names
    (('F4',), ['F4'])
    """
    check_inst(inst)
    inst = load_epochs(inst)
    check_option("method", method, ["auto", "ransac", "correlation", "noise"])
    check_range("max_flat_fraction", max_flat_fraction, low=0.0, high=1.0)
    options = options or BadChannelOptions()
    seed = draw_seed(random_state)
    findings = BadChannelFindings({}, {}, {}, {}, seed)
    for kind, picks in pick_types(inst.info, types).items():
        segments = find_segments(inst, picks, on_nonfinite=on_nonfinite)
        data = take_used(inst, picks, segments).data
        names = [inst.ch_names[index] for index in picks]
        flat = find_flat_channels(
            data, inst.info["sfreq"], max_flat_s=options.max_flat_s
        )
        _refuse_flat(kind, names, flat, max_flat_fraction)
        chosen = method if kind == "eeg" else "noise"
        if chosen == "auto":
            chosen = _choose_method(inst.info, picks, len(picks) - len(flat), options)
        found = _judge(inst.info, picks, data, chosen, options, seed)
        findings.methods[kind] = chosen
        findings.noise.update(zip(names, found.noise.tolist(), strict=True))
        findings.bad_time_s.update(zip(names, found.bad_time_s.tolist(), strict=True))
        findings.reasons.update({names[k]: found.reasons[k] for k in found.indices})
    return findings


def _refuse_flat(
    kind: str, names: list[str], flat: np.ndarray, max_flat_fraction: float
) -> None:
    if len(flat) > max_flat_fraction * len(names):
        raise InputError(
            f"{len(flat)} of {len(names)} {kind} channels are flat, more than "
            f"max_flat_fraction={max_flat_fraction:g}: {[names[k] for k in flat]}.",
            hint="Look at the recording, or mark them as bad.",
        )


def _choose_method(
    info: mne.Info, picks: np.ndarray, n_live: int, options: BadChannelOptions
) -> str:
    """Predict where positions allow it, and say where some of them are missing."""
    lost = name_lost(info, picks)
    if lost and len(lost) < len(picks):
        warn_user(
            f"Channels {lost} have no position: EEG channels are compared with those "
            "most like them. Set a montage, or mark them as bad, to predict by "
            "positions.",
            DataWarning,
        )
    few = round_half_up(options.subset_fraction * n_live) < _FEWEST_PREDICTING
    return "correlation" if lost or few else "ransac"


def _judge(
    info: mne.Info,
    picks: np.ndarray,
    data: np.ndarray,
    method: str,
    options: BadChannelOptions,
    seed: int,
) -> BadChannels:
    positions = None
    if method == "ransac":
        places = take_positions(info, picks)
        positions = places - find_origin(info, "auto")
    if method == "noise":
        options = replace(options, min_neighbor_correlation=0.0)
    return find_bad_channels(
        data, info["sfreq"], positions, options=options, key=jax.random.key(seed)
    )
