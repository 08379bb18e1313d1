"""The demo's decomposition: one model for each condition, whose times it is not told.

Preparation is what a person would do by hand: leave out the bad channel, take a
high-pass filter, and mark spans with electrode pops as bad. The mains hum stays: it
is one more source, and with it there are as many sources as channels.
"""

from typing import NamedTuple

import mne
import numpy as np

from meegic.components.edge.amica_ica import AmicaICA
from meegic.components.model import AmicaModel
from meegic.components.scores import (
    amari_distance,
    compute_agreement,
    match_components,
)
from meegic.figures.components import plot_fit, plot_maps, plot_model_probabilities
from meegic.figures.style import render_png
from meegic.pipeline.demo.state import Demo
from meegic.pipeline.report import Section, Table, embed

HIGH_PASS_HZ = 2.0  # slower drifts repeat too seldom in a minute to look independent
POP_MARGIN_S = 0.2  # the filter spreads a pop
DWELL_S = 1.0

ARTIFACTS = {
    "eye blink": 0.02,
    "eye movement": 0.1,
    "heart beat": 0.05,
    "muscle artifact": 0.1,
    "line noise": 0.1,
}
"""How far from 1 the correlation of a found course with the true one may be."""


class Prepared(NamedTuple):
    """What is decomposed, and the truth as it is after the same preparation.

    Attributes
    ----------
    raw : mne.io.Raw
        Filtered, with the pops marked as bad; and the channels of eyes and heart.
    data : array, shape (n_channels, n_times)
        Of the channels that are decomposed.
    used : array of bool, shape (n_times,)
        Samples with weight 1.
    mixing : array, shape (n_conditions, n_channels, n_sources)
        The true mixing at these channels.
    sources : array, shape (n_sources, n_times)
        The true sources, filtered.
    conditions : array of int, shape (n_times,)
        Which condition held.
    """

    raw: mne.io.BaseRaw
    data: np.ndarray
    used: np.ndarray
    mixing: np.ndarray
    sources: np.ndarray
    conditions: np.ndarray


class Pairs(NamedTuple):
    """The components of one model and the sources of its condition, in their order.

    Attributes
    ----------
    order : array of int, shape (n_sources,)
        Which component each source is.
    maps, courses : array, shape (n_sources,)
        Absolute correlation of their maps, and of their courses while it held.
    reachable : array, shape (n_sources,)
        Correlation of the courses that the true unmixing finds in the same data.
    """

    order: np.ndarray
    maps: np.ndarray
    courses: np.ndarray
    reachable: np.ndarray


def show_components(demo: Demo, *, seed: int = 0) -> None:
    """Decompose the recording, and compare models and components with the truth."""
    ready = prepare(demo)
    ica = fit_models(ready, demo.truth.n_models, seed=seed)
    demo.ica, model = ica, ica.model
    plain = ica.predict_proba(ready.raw)
    smooth = ica.predict_proba(ready.raw, smooth="hmm", dwell_s=DWELL_S)
    stands_for = _compare_models(demo, ready, plain, smooth)
    pairs = []
    for condition, h in enumerate(np.argsort(stands_for)):
        distance = amari_distance(model.filters[h], ready.mixing[condition])
        demo.compare_near(f"Amari distance, condition {condition}", 0.0, distance, 0.08)
        pairs.append(_pair(model, h, ready, condition))
    _compare_sources(demo, pairs)
    demo.sections.append(
        Section(
            "Components",
            _describe(model, ready),
            _tabulate(demo.truth.kinds, pairs),
            pictures=_draw(demo, ready, model, (plain, smooth), stands_for, pairs),
        )
    )


def prepare(demo: Demo) -> Prepared:
    """Leave out bad channels, filter, and mark the samples with pops as bad."""
    truth = demo.truth
    good = np.flatnonzero(~np.isin(truth.ch_names, truth.bad_channels))
    raw = demo.raw.copy()
    raw.info["bads"] = list(truth.bad_channels)
    raw.filter(HIGH_PASS_HZ, None, verbose="error")
    used = np.ones(len(raw.times), dtype=bool)
    margin = round(POP_MARGIN_S * truth.sfreq)
    for start, stop in truth.spans("channel noise"):
        start, stop = max(start - margin, 0), min(stop + margin, len(used))
        used[start:stop] = False
        seconds = (stop - start) / truth.sfreq
        raw.annotations.append(start / truth.sfreq, seconds, "BAD_pop")
    lengths = np.diff([*truth.block_starts, len(used)])
    return Prepared(
        raw,
        data=np.asarray(raw.get_data(picks=[truth.ch_names[k] for k in good])),
        used=used,
        mixing=truth.mixing[:, good],
        sources=mne.filter.filter_data(
            truth.sources, truth.sfreq, HIGH_PASS_HZ, None, verbose="error"
        ),
        conditions=np.repeat(truth.block_models, lengths),
    )


def fit_models(ready: Prepared, n_models: int, *, seed: int) -> AmicaICA:
    """Decompose the good channels, without being told which condition held when."""
    return AmicaICA(n_models=n_models, random_state=seed, verbose=False).fit(ready.raw)


def _compare_models(
    demo: Demo, ready: Prepared, plain: np.ndarray, smooth: np.ndarray
) -> np.ndarray:
    """Compare when the models hold; give the condition that each stands for."""
    used, truth = ready.used, ready.conditions[ready.used]
    agreement = compute_agreement(plain[:, used], truth)
    smoothed = compute_agreement(smooth[:, used], truth)
    demo.compare_near("Right model", 100.0, 100 * agreement.share, 3, "% of samples")
    demo.compare_near(
        "Right model, smoothed", 100.0, 100 * smoothed.share, 1, "% of samples"
    )
    return agreement.conditions


def _pair(model: AmicaModel, h: int, ready: Prepared, condition: int) -> Pairs:
    match = match_components(ready.mixing[condition], model.maps[h])
    held = ready.used & (ready.conditions == condition)
    data, truth = ready.data[:, held], ready.sources[:, held]
    return Pairs(
        match.order,
        maps=match.correlations,
        courses=_correlate(model.filters[h][match.order] @ data, truth),
        reachable=_correlate(np.linalg.pinv(ready.mixing[condition]) @ data, truth),
    )


def _correlate(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Compute the absolute correlation of each row with its row of the truth."""
    pairs = zip(found, true, strict=True)
    return np.array([abs(np.corrcoef(one, other)[0, 1]) for one, other in pairs])


def _compare_sources(demo: Demo, pairs: list[Pairs]) -> None:
    """Compare courses: the worst of each kind of artifact, the brain's middle."""
    courses = np.array([one.courses for one in pairs])
    for kind, bound in ARTIFACTS.items():
        worst = courses[:, demo.truth.select(kind)].min()
        demo.compare_near(f"{kind.capitalize()}: r with truth", 1.0, worst, bound)
    middle = np.median(courses[:, demo.truth.select("brain")])
    demo.compare_near("Brain sources: median r with truth", 1.0, middle, 0.1)


def _describe(model: AmicaModel, ready: Prepared) -> str:
    return (
        f"AMICA with {model.n_models} models decomposed {len(ready.data)} channels "
        "without being told which condition held when, nor that there were blocks. "
        "Before, the bad channel was left out, a high-pass filter at "
        f"{HIGH_PASS_HZ:g} Hz taken, and spans with electrode pops "
        f"({100 * (1 - ready.used.mean()):.0f} % of the time) got no weight; they are "
        "gaps in the first picture. The fit ended after "
        f"{model.n_evals} passes over the data by '{model.stop_reason}', at a "
        f"log-likelihood of {model.log_likelihood:.4f} per sample and component. In "
        "the table, each source has the component whose map is most like its own: "
        "correlations of maps, of courses while the condition held, and, in brackets, "
        "of the courses that the true unmixing finds in the same data. Where even that "
        "is low the source drowns in the sensors' noise."
    )


def _tabulate(kinds: tuple[str, ...], pairs: list[Pairs]) -> Table:
    head = ["source"]
    for condition in range(len(pairs)):
        head += [f"map, condition {condition}", f"course, condition {condition}"]
    rows = []
    for place, kind in enumerate(kinds):
        row = [kind]
        for one in pairs:
            course, reachable = one.courses[place], one.reachable[place]
            row += [f"{one.maps[place]:.3f}", f"{course:.3f} ({reachable:.3f})"]
        rows.append(tuple(row))
    return Table(tuple(head), tuple(rows))


def _draw(
    demo: Demo,
    ready: Prepared,
    model: AmicaModel,
    posteriors: tuple[np.ndarray, np.ndarray],
    stands_for: np.ndarray,
    pairs: list[Pairs],
) -> tuple[tuple[str, str], ...]:
    sfreq, kinds = demo.truth.sfreq, demo.truth.kinds
    truth = np.argsort(stands_for)[ready.conditions]  # as models are counted
    plain, smooth = posteriors
    info = ready.raw.copy().pick("eeg", exclude="bads").info
    plain = np.where(ready.used, plain, np.nan)
    drawn = [
        (
            "How probable each model is, sample by sample; how the fit went.",
            render_png(lambda: plot_fit(model, plain, sfreq, truth=truth)),
        ),
        (
            f"Smoothed by a hidden Markov model whose states last {DWELL_S:g} s.",
            render_png(lambda: plot_model_probabilities(smooth, sfreq, truth=truth)),
        ),
    ]
    for h, condition in enumerate(stands_for):
        pair = pairs[condition]
        titles = [""] * len(pair.order)
        for source, component in enumerate(pair.order):
            titles[component] = f"{kinds[source]} {pair.maps[source]:.2f}"
        png = render_png(
            lambda h=h, titles=titles: plot_maps(
                model, info, model_index=h, titles=titles
            ),
            dpi=80,
        )
        drawn.append(
            (
                f"Components of model {h}, which stands for condition {condition}: "
                "share of variance, the source it is, and how alike their maps are.",
                png,
            )
        )
    return tuple((caption, embed(png)) for caption, png in drawn)
