"""Rules of plausibility: what a recording's numbers, names and positions give away."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from meegic.clean.findings import UNITS, Facts, Finding, Findings
from meegic.clean.statistics import OUTLIER, RecordingStatistics
from meegic.math.linalg import numerical_rank

FLAT_FRACTION = 1e-4
"""A channel with less of its type's usual amplitude than this is flat."""

MAX_FLAT = 0.5
"""With more flat channels than this fraction a recording is refused."""

BRIDGE_FRACTION = 1e-3
"""Two channels whose difference has less of the usual power than this are bridged."""

REFERENCE_FRACTION = 1e-3
"""A channel mean with less of the usual amplitude than this was subtracted."""

SAMPLES_PER_PARAMETER = 20
"""A decomposition of n channels wants this many times n squared samples."""


def find_implausible(statistics: RecordingStatistics, facts: Facts) -> Findings:
    """Hold the statistics of a recording against what a recording can be.

    Parameters
    ----------
    statistics : RecordingStatistics
        From one pass over the data, in SI units.
    facts : Facts
        Names, types, sampling rate and positions of the same channels.

    Returns
    -------
    Findings
        The gravest first.

    Examples
    --------
    >>> data = 1e-5 * np.random.default_rng(0).standard_normal((2, 1000))
    >>> facts = Facts(("Cz", "Pz"), ("eeg", "eeg"), 250.0, np.eye(2, 3))
    >>> from meegic.clean.statistics import measure_recording
    >>> find_implausible(measure_recording([data]), facts).verdict
    'ok'
    """
    flat = _find_flat(statistics, facts)
    lost = np.flatnonzero(statistics.n_nonfinite > statistics.n_times / 2)
    dead = np.union1d(flat, lost)
    live = {kind: np.setdiff1d(facts.good(kind), dead) for kind in facts.kinds()}
    ranks = {
        kind: _compute_rank(statistics.covariance, rows) for kind, rows in live.items()
    }
    view = _View(statistics, facts, flat, live, ranks)
    empty = Findings(
        found=(),
        ranks=ranks,
        n_channels={kind: facts.good(kind).size for kind in facts.kinds()},
        sfreq=facts.sfreq,
        duration_s=statistics.n_times / facts.sfreq,
    )
    return empty.add(*(finding for rule in RULES for finding in rule(view)))


@dataclass(frozen=True)
class _View:
    """What every rule looks at."""

    statistics: RecordingStatistics
    facts: Facts
    flat: np.ndarray
    live: dict[str, np.ndarray]
    ranks: dict[str, int]


def _check_channels(view: _View) -> Iterable[Finding]:
    facts = view.facts
    if not facts.kinds():
        counts = {one: facts.types.count(one) for one in sorted(set(facts.types))}
        listed = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        yield Finding(
            "channels",
            "error",
            "There is no EEG or MEG channel that is not marked bad; there are: "
            f"{listed}.",
            hint="Set the channel types: raw.set_channel_types({'Fz': 'eeg', ...})."
            if not set(facts.types) & set(UNITS)
            else "Unmark channels in raw.info['bads'].",
        )
    elif sum(rows.size for rows in map(facts.good, facts.kinds())) == 1:
        yield Finding(
            "channels", "error", "There is one data channel; two are needed at least."
        )


def _check_length(view: _View) -> Iterable[Finding]:
    n_times, rate = view.statistics.n_times, view.facts.sfreq
    rank = max(view.ranks.values(), default=0)
    wanted = SAMPLES_PER_PARAMETER * rank**2
    n_good = max((rows.size for rows in view.live.values()), default=0)
    if n_times < 2 * n_good:
        yield Finding(
            "length",
            "error",
            f"The recording has {n_times} samples for {n_good} channels; "
            f"{2 * n_good} are the least.",
        )
    elif n_times < wanted:
        yield Finding(
            "length",
            "warning",
            f"The recording has {n_times} samples ({n_times / rate:.0f} s); a "
            f"decomposition of rank {rank} wants {wanted} ({wanted / rate:.0f} s).",
            hint="Use fewer components, or a longer recording.",
        )


def _check_finite(view: _View) -> Iterable[Finding]:
    statistics, facts = view.statistics, view.facts
    marked = np.isin(facts.names, facts.bads)
    for level, chosen in (("error", ~marked), ("note", marked)):
        rows = np.flatnonzero((statistics.n_nonfinite > 0) & chosen)
        if not rows.size:
            continue
        first = rows[statistics.first_nonfinite[rows].argmin()]
        seconds = statistics.first_nonfinite[first] / facts.sfreq
        samples = _count(int(statistics.n_nonfinite[rows].sum()), "sample")
        channels = _count(rows.size, "channel") + " marked bad" * (level == "note")
        yield Finding(
            "nan",
            level,
            f"NaN or Inf: {samples} in {channels}; the first is {facts.names[first]} "
            f"at {seconds:.3f} s.",
            hint="Crop them, or annotate the span as BAD_nan and fill it.",
            channels=facts.name(rows),
        )


def _check_flat(view: _View) -> Iterable[Finding]:
    total = sum(view.facts.good(kind).size for kind in view.facts.kinds())
    names = view.facts.name(view.flat)
    if not names:
        return
    if len(names) == total:
        yield Finding("flat", "error", "All channels are flat.", channels=names)
    elif len(names) > MAX_FLAT * total:
        yield Finding(
            "flat",
            "error",
            f"{len(names)} of {total} channels are flat, more than half.",
            hint="Was the amplifier connected?",
            channels=names,
        )
    else:
        yield Finding(
            "flat",
            "warning",
            f"{_join(names)} {'is' if len(names) == 1 else 'are'} flat.",
            hint="Mark as bad; a recording's reference channel is flat by itself.",
            channels=names,
        )


def _check_unit(view: _View) -> Iterable[Finding]:
    for kind, rows in view.live.items():
        unit, low, high, _ = UNITS[kind]
        known = view.statistics.spread[rows]
        known = known[np.isfinite(known)]
        if not known.size:
            continue
        typical = float(np.median(known))
        if low <= typical <= high:
            continue
        far = typical > 10 * high or typical < low / 10
        yield Finding(
            "unit",
            "error" if far else "warning",
            f"{kind} channels have a typical amplitude of {typical:.2g} {unit}; "
            f"between {low:.2g} and {high:.2g} {unit} is plausible.",
            hint=_guess_unit(typical, unit, low, high) if far else "Check the gain.",
        )


def _guess_unit(typical: float, unit: str, low: float, high: float) -> str:
    """Name the power of a thousand that makes the amplitude the most plausible."""
    prefixes = {-3: "m", -6: "µ", -9: "n", -12: "p", -15: "f"}
    middle = np.log10(low * high) / 2
    power = min(prefixes, key=lambda one: abs(np.log10(typical) + one - middle))
    if low <= typical * 10.0**power <= high:
        word = f"{prefixes[power]}{unit}"
        return f"It looks like {word} stored as {unit}: multiply by 1e{power}."
    return f"Check the unit in the header; containers hold {unit}."


def _check_peak(view: _View) -> Iterable[Finding]:
    statistics, facts = view.statistics, view.facts
    if any(one.level == "error" for one in _check_unit(view)):
        return
    for kind, rows in view.live.items():
        unit, *_, impossible = UNITS[kind]
        peak, outliers = statistics.peak_value, statistics.n_outliers
        for row in rows[peak[rows] > impossible]:
            seconds = statistics.peak[row] / facts.sfreq
            yield Finding(
                "peak",
                "error",
                f"{facts.names[row]} peak {peak[row]:.3g} {unit} at {seconds:.3f} s is "
                "impossible.",
                hint="The file is damaged there; crop it or copy it again.",
                channels=(facts.names[row],),
            )
        for row in rows[(outliers[rows] > 0) & (peak[rows] <= impossible)]:
            seconds = statistics.peak[row] / facts.sfreq
            yield Finding(
                "spike",
                "warning",
                f"{facts.names[row]} has {_count(int(outliers[row]), 'sample')} above "
                f"{OUTLIER:g} robust standard deviations; the largest, "
                f"{peak[row]:.3g} {unit}, is at {seconds:.3f} s.",
                hint="It is left out of the statistics; annotate it as BAD.",
                channels=(facts.names[row],),
            )


def _check_bridges(view: _View) -> Iterable[Finding]:
    for kind, rows in view.live.items():
        if rows.size < 3:  # there is no usual difference
            continue
        power = _compute_differences(view.statistics.covariance, rows)
        usual = np.median(power)
        pairs = np.array(list(combinations(rows, 2)))[power < BRIDGE_FRACTION * usual]
        if len(pairs):
            shown = _join([f"{a} and {b}" for a, b in map(view.facts.name, pairs)])
            yield Finding(
                "bridge",
                "warning",
                f"These {kind} channels are the same or bridged: {shown}.",
                hint="Mark one of each pair as bad; the rank is lower by so many.",
                channels=view.facts.name(np.unique(pairs)),
            )


def _check_rank(view: _View) -> Iterable[Finding]:
    for kind, rows in view.live.items():
        rank = view.ranks[kind]
        referenced = kind == "eeg" and _is_average_referenced(view)
        if referenced:
            yield Finding(
                "reference",
                "note",
                f"The EEG is average-referenced: {rows.size} channels have rank "
                f"{rank}.",
                hint="n_components=None uses the rank.",
            )
        if rank < rows.size - int(referenced):
            projectors = view.facts.projectors
            why = f"{_count(projectors, 'projector')}, " if projectors else ""
            yield Finding(
                "rank",
                "warning",
                f"{rows.size} {kind} channels have rank {rank}: {why}interpolated, "
                "duplicate or Maxwell-filtered channels lower it.",
                hint="n_components=None uses the rank.",
            )


def _check_montage(view: _View) -> Iterable[Finding]:
    facts = view.facts
    rows = np.concatenate(
        [facts.good(one) for one in facts.kinds()] or [np.empty(0, int)]
    )
    positions = facts.positions[rows]
    unknown = ~np.isfinite(positions).all(axis=1) | (positions == 0).all(axis=1)
    hint = "Set one with raw.set_montage."
    if not rows.size:
        return
    if unknown.all():
        message = (
            "No channel has a position; labels, interpolation and sources need them."
        )
        yield Finding("montage", "warning", message, hint=hint)
    elif unknown.any():
        names = facts.name(rows[unknown])
        message = f"{_join(names)} {'has' if len(names) == 1 else 'have'} no position."
        yield Finding("montage", "warning", message, hint=hint, channels=names)
    elif rows.size > 1 and np.ptp(positions, axis=0).max() == 0:
        message = "All channels have the same position."
        yield Finding("montage", "warning", message, hint=hint)


def _check_rate(view: _View) -> Iterable[Finding]:
    if view.facts.sfreq < 100:
        yield Finding(
            "rate",
            "warning",
            f"The sampling rate is {view.facts.sfreq:g} Hz; below 100 Hz ICLabel "
            "cannot be used.",
        )


RULES: tuple[Callable[[_View], Iterable[Finding]], ...] = (
    _check_channels,
    _check_finite,
    _check_unit,
    _check_peak,
    _check_flat,
    _check_length,
    _check_bridges,
    _check_rank,
    _check_montage,
    _check_rate,
)


def _find_flat(statistics: RecordingStatistics, facts: Facts) -> np.ndarray:
    flat = []
    height = statistics.highest - statistics.lowest
    for kind in facts.kinds():
        rows = facts.good(kind)
        usual = np.nanmedian(height[rows]) if np.isfinite(height[rows]).any() else 0.0
        # a flat channel has at most the rounding noise of its own offset
        rounding = 4 * np.finfo(np.float32).eps * statistics.peak_value[rows]
        still = height[rows] <= np.fmax(FLAT_FRACTION * usual, rounding)
        # or constant most of the time, in most blocks
        flat.extend(rows[still | (statistics.spread[rows] == 0)])
    return np.array(flat, dtype=np.intp)


def _compute_rank(covariance: np.ndarray, rows: np.ndarray) -> int:
    """Compute the rank with all channels at the same size: a loud one hides none."""
    size = np.sqrt(np.diag(covariance)[rows])
    rows, size = rows[size > 0], size[size > 0]
    if not rows.size:
        return 0
    block = covariance[np.ix_(rows, rows)] / np.outer(size, size)
    return numerical_rank(np.linalg.eigvalsh(block))


def _compute_differences(covariance: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Power of the difference of every pair of channels."""
    power = np.diag(covariance)
    pairs = np.array(list(combinations(rows, 2)), dtype=np.intp).reshape(-1, 2)
    a, b = pairs.T
    return power[a] + power[b] - 2 * covariance[a, b]


def _is_average_referenced(view: _View) -> bool:
    """Whether the mean over all EEG channels, or over the good ones, is nothing."""
    covariance = view.statistics.covariance
    everyone = np.flatnonzero(np.array(view.facts.types) == "eeg")
    for rows in (everyone, view.facts.good("eeg")):
        block = covariance[np.ix_(rows, rows)]
        usual = np.median(np.diag(block))
        if block.mean() < REFERENCE_FRACTION**2 * usual:
            return True
    return False


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _join(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more
