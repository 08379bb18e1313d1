"""The demo's cleaning of the recording: hum, bursts and the bad channel.

What is usual is learned from a longer recording of the same head, in which a person has
marked the artifacts; here the simulation marks them. The decomposition that follows
does not take what comes out: where dimensions were removed, no source is as it was, and
the components could no longer be compared with all of them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import mne
import numpy as np

from meegic.clean.edge.asr import ASR
from meegic.clean.edge.bads import find_bads
from meegic.clean.edge.comparing import compare_recordings
from meegic.clean.edge.filtering import filter_recording
from meegic.clean.edge.interpolating import interpolate_bad_channels
from meegic.clean.edge.line_noise import remove_line
from meegic.clean.filter import apply_filter
from meegic.clean.filter_design import design_filter
from meegic.clean.quality import Quality, compute_quality
from meegic.figures.clean import plot_cleaned, plot_repairs
from meegic.figures.style import render_png
from meegic.pipeline.demo.components import HIGH_PASS_HZ
from meegic.pipeline.demo.state import Demo
from meegic.pipeline.report import Section, Table, embed
from meegic.simulation.edge.recording import simulate_recording
from meegic.simulation.truth import RecordingTruth

CUTOFF = 20.0
REST_S = 180.0
MARGIN_S = 0.2  # the filter spreads what is marked

BURSTS = ("eye blink", "eye movement", "muscle artifact", "channel noise")
"""What is repaired. The heart beats all the time: it is usual, and stays."""

SHOWN = ("Fp1", "F7", "T7", "Cz", "O1")
SHOWN_S = 10.0
LEFT, WRONG = 40.0, 15.0  # percent of the artifacts, and of the truth away from them


class Cleaned(NamedTuple):
    """The recording on its way, and what ASR did.

    Attributes
    ----------
    filtered, cleaned : mne.io.Raw
        Before and after; only the first has channels that are marked as bad.
    asr : ASR
        With its report.
    """

    filtered: mne.io.BaseRaw
    cleaned: mne.io.BaseRaw
    asr: ASR


def show_cleaning(demo: Demo, *, options: Mapping[str, Any]) -> None:
    """Clean the recording, and compare it with the truth."""
    line_freq = options["line_freq_hz"]
    filtered = filter_recording(demo.raw, HIGH_PASS_HZ)
    calm = remove_line(filtered, line_freq)
    bads = find_bads(calm).names
    demo.compare_equal("Bad channels", list(demo.truth.bad_channels), bads)
    filtered.info["bads"] = calm.info["bads"] = bads
    rest = simulate_rest(options, bads=bads)
    asr = ASR(cutoff=CUTOFF, calibration=rest)
    repaired = asr.fit_transform(calm)
    done = Cleaned(filtered, interpolate_bad_channels(repaired), asr)
    found = compare_recordings(filtered, done.cleaned, line_freq=line_freq)["eeg"]
    if found.line_noise_db is not None:
        excess = found.line_noise_db.after
        demo.compare_near("Mains above its surroundings", 0.0, excess, 1.0, "dB")
    wanted = make_wanted(demo, filtered.info)
    quality = _compare_bursts(demo, done, wanted)
    for name in bads:
        pair = [one.get_data(picks=[name])[0] for one in (done.cleaned, wanted)]
        likeness = float(np.corrcoef(pair)[0, 1])
        demo.compare_near(f"{name} interpolated: r with truth", 1.0, likeness, 0.15)
    demo.sections.append(
        Section(
            "Cleaning",
            _describe(done, bads),
            _tabulate(quality),
            pictures=_draw(done, wanted),
        )
    )


def simulate_rest(options: Mapping[str, Any], *, bads: list[str]) -> mne.io.BaseRaw:
    """Simulate what ASR learns from: the same head, with marks where artifacts are."""
    raw, truth = simulate_recording(**{**options, "duration_s": REST_S})
    rest = filter_recording(raw, HIGH_PASS_HZ)
    rest.info["bads"] = bads
    rest = remove_line(rest, options["line_freq_hz"])
    for kind in BURSTS:
        starts, stops = truth.spans(kind).T / truth.sfreq
        length = stops - starts + 2 * MARGIN_S
        rest.annotations.append(starts - MARGIN_S, length, "BAD_artifact")
    return rest


def make_wanted(demo: Demo, info: mne.Info) -> mne.io.RawArray:
    """Make what a perfect cleaning leaves: brain and heart, through the same filter."""
    band = design_filter(demo.truth.sfreq, l_freq=HIGH_PASS_HZ)
    data = apply_filter(demo.truth.project("brain", "heart beat"), band)
    picks = mne.pick_channels(info["ch_names"], demo.truth.ch_names, ordered=True)
    info = mne.pick_info(info, picks)
    info["bads"] = []
    return mne.io.RawArray(np.asarray(data), info, verbose="error")


def _compare_bursts(demo: Demo, done: Cleaned, wanted: mne.io.BaseRaw) -> Quality:
    """Compare the good channels with the truth, in artifacts and elsewhere."""
    good = [one for one in wanted.ch_names if one not in done.filtered.info["bads"]]
    before, after, truth = (
        np.asarray(one.get_data(picks=good))
        for one in (done.filtered, done.cleaned, wanted)
    )
    masks = {kind: _mark(demo.truth, kind) for kind in BURSTS}
    masks = {kind: mask for kind, mask in masks.items() if mask.any()}
    mask = np.any(list(masks.values()), axis=0)
    quality = compute_quality(
        before, after, demo.truth.sfreq, mask=mask, truth=truth, kinds=masks
    )
    sizes = [np.linalg.norm((one - truth)[:, mask]) for one in (after, before)]
    share = 100 * float(sizes[0] / sizes[1])
    demo.compare_near("Artifacts left by ASR", 0.0, share, LEFT, "%")
    if quality.truth is not None and quality.truth.clean_error is not None:
        error = 100 * quality.truth.clean_error.after
        demo.compare_near("Error away from artifacts", 0.0, error, WRONG, "%")
    return quality


def _mark(truth: RecordingTruth, kind: str) -> np.ndarray:
    mask = np.zeros(truth.sources.shape[1], dtype=bool)
    for start, stop in truth.spans(kind):
        mask[start:stop] = True
    return mask


def _describe(done: Cleaned, bads: list[str]) -> str:
    report = done.asr.report_["eeg"]
    return (
        f"A high-pass filter at {HIGH_PASS_HZ:g} Hz; mains hum removed by spatial "
        f"filters; bad channels found ({', '.join(bads) or 'none'}) and left out; "
        f"artifact subspace reconstruction with a cutoff of {CUTOFF:g} "
        f"standard deviations, which changed {100 * report.repaired:.0f} % of the time "
        f"(shaded) and removed at most {report.n_removed.max():g} dimensions; bad "
        "channels interpolated. What is usual was learned from another recording of "
        "the same head whose artifacts are marked. Nothing was cut. The table compares "
        "power of brain and heart with that of everything else while an artifact lasts."
    )


def _tabulate(quality: Quality) -> Table:
    scores = quality.truth.snr_db if quality.truth is not None else {}
    rows = tuple(
        (
            "all artifacts" if kind == "all" else kind,
            f"{one.before:.1f} dB",
            f"{one.after:.1f} dB",
        )
        for kind, one in scores.items()
    )
    return Table(("artifact", "before", "after"), rows)


def _draw(done: Cleaned, wanted: mne.io.BaseRaw) -> tuple[tuple[str, str], ...]:
    filtered, cleaned, asr = done
    report = asr.report_["eeg"]
    names = [one for one in SHOWN if one in wanted.ch_names]
    sfreq = float(filtered.info["sfreq"])
    start = _find_busiest(report.n_removed, round(SHOWN_S * sfreq)) / sfreq
    traces = render_png(
        lambda: plot_cleaned(
            filtered, cleaned, picks=names, start=start, duration=SHOWN_S, truth=wanted
        )
    )
    n_dims = {"eeg": len(asr.ch_names_["eeg"])}
    repairs = render_png(lambda: plot_repairs(asr.report_, sfreq, n_dims=n_dims))
    return (
        ("Before, after, and as it should be.", embed(traces)),
        ("How many dimensions were removed, and when.", embed(repairs)),
    )


def _find_busiest(n_removed: np.ndarray, n_shown: int) -> int:
    """Find where the span to be shown begins: the one that lost most."""
    return int(np.convolve(n_removed, np.ones(n_shown), mode="valid").argmax())
