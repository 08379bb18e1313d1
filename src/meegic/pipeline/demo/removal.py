"""The demo's cleaning by components: eyes and heart, model by model."""

import mne
import numpy as np

from meegic.components.edge.amica_ica import AmicaICA
from meegic.components.scores import compute_agreement, match_components
from meegic.figures.clean import plot_cleaned
from meegic.figures.style import render_png
from meegic.pipeline.demo.components import HIGH_PASS_HZ, Prepared, prepare
from meegic.pipeline.demo.state import Demo
from meegic.pipeline.report import Section, Table, embed

CHANNELS = {"eye blink": "VEOG", "eye movement": "HEOG", "heart beat": "ECG"}
"""The artifacts that are removed, and with which channel they are searched."""

SHOWN = ("Fp1", "F7", "T7", "O1")
SHOWN_S = 8.0
LEFT = 20.0  # percent of the artifacts that may be left


def show_removal(demo: Demo) -> None:
    """Find the artifact components of each model, remove them, compare with truth."""
    if demo.ica is None:
        raise ValueError("the recording must be decomposed first.")
    ready, ica = prepare(demo), demo.ica
    rows = tuple(_search(demo, ica, ready, h) for h in range(ica.n_models))
    artifacts = mne.filter.filter_data(
        demo.truth.project(*CHANNELS), demo.truth.sfreq, HIGH_PASS_HZ, None,
        verbose="error",
    )  # fmt: skip
    good = ~np.isin(demo.truth.ch_names, demo.truth.bad_channels)
    names = list(np.array(demo.truth.ch_names)[good])
    target = ready.data - artifacts[good]
    cleaned = {
        mode: ica.apply(ready.raw, mode, smooth="hmm", copy=True)
        for mode in ("hard", "soft")
    }
    for mode, clean in cleaned.items():
        left = (clean.get_data(picks=names) - target)[:, ready.used].std()
        share = 100 * left / artifacts[good][:, ready.used].std()
        demo.compare_near(f"Eyes and heart left, {mode}", 0.0, share, LEFT, "%")
    sfreq = demo.truth.sfreq
    busy = np.abs(artifacts[good]).sum(axis=0)
    start = _find_busy(busy, ready.used, round(SHOWN_S * sfreq)) / sfreq
    picks = [one for one in SHOWN if one in names]
    info = ready.raw.copy().pick(names).info
    wanted = mne.io.RawArray(target, info, verbose="error")
    png = render_png(
        lambda: plot_cleaned(
            ready.raw, cleaned["soft"], picks=picks, start=start, duration=SHOWN_S,
            truth=wanted,
        )
    )  # fmt: skip
    demo.sections.append(
        Section(
            "Removal",
            "In each model the components of eyes and heart are searched by MNE's own "
            "detectors, in the samples that the model explains, and taken out of every "
            "sample by the models that hold there. What is left of these artifacts is "
            "measured against the recording without them, which the simulation knows: "
            "the standard deviation of the difference over that of the artifacts.",
            Table(("model", *(f"{one}: found" for one in CHANNELS)), rows),
            pictures=(("Before, after, and as it should be.", embed(png)),),
        )
    )


def _search(demo: Demo, ica: AmicaICA, ready: Prepared, h: int) -> tuple[str, ...]:
    """Search each artifact in one model, exclude what is found, and compare."""
    posteriors = ica.predict_proba(ready.raw, smooth="hmm")[:, ready.used]
    agreement = compute_agreement(posteriors, ready.conditions[ready.used])
    mixing = ready.mixing[agreement.conditions[h]]
    order = match_components(mixing, ica.model.maps[h]).order
    excluded, row = set(), [f"{h}"]
    for kind, channel in CHANNELS.items():
        find = ica.find_bads_ecg if channel == "ECG" else ica.find_bads_eog
        with mne.use_log_level("error"):
            indices, _ = find(ready.raw, h, ch_name=channel)
        found = sorted(int(one) for one in indices)
        truth = sorted(int(order[one]) for one in demo.truth.select(kind))
        demo.compare_equal(f"{kind.capitalize()}, model {h}: component", truth, found)
        row.append(", ".join(map(str, found)) or "none")
        excluded |= set(found)
    ica.get_mne_ica(h).exclude = sorted(excluded)
    return tuple(row)


def _find_busy(size: np.ndarray, used: np.ndarray, n_shown: int) -> int:
    """Find where the span to be shown begins: most artifacts, and no pop."""
    window = np.ones(n_shown)
    sums = np.convolve(size, window, mode="valid")
    pops = np.convolve(~used, window, mode="valid") > 0.5
    return int(np.where(pops, -1.0, sums).argmax())
