"""Filters by their edges: recursive ones in sections, finite ones, notches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Float
from scipy.signal import firwin, iirfilter, iirnotch

from meegic.base.arrays import Array
from meegic.base.checks import check_count, check_option, check_range
from meegic.base.errors import OptionError
from meegic.math.iir import BlockFilter, balance_sos
from meegic.math.traced_iir import (
    differentiate_precisely,
    trace_blocks,
    trace_butter,
)

RECURSIVE = ("butter", "cheby1", "cheby2", "ellip", "bessel")

# Length of a Hamming window times the width of the transition that it gives.
_HAMMING = 3.3


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Filter:
    """A filter, designed and ready to run.

    Attributes
    ----------
    sos : array, shape (n_sections, 6) | None
        Second-order sections as SciPy writes them; ``None`` for a finite filter.
    form : BlockFilter | array, shape (n_taps,)
        What runs: the sections in balanced coordinates, or the impulse response of a
        finite filter, symmetric and of odd length.
    l_freq, h_freq : float | None
        The edges of what passes in Hz; ``None`` where there is none.
    sfreq : float
        Sampling rate in Hz for which the filter was designed.
    kind : str
        What was designed.
    """

    sos: Float[Array, "sections 6"] | None
    form: BlockFilter | Float[Array, " taps"]
    l_freq: float | Array | None
    h_freq: float | Array | None
    sfreq: float = field(metadata={"static": True})
    kind: str = field(metadata={"static": True})


def design_filter(
    sfreq: float,
    *,
    l_freq: float | Array | None = None,
    h_freq: float | Array | None = None,
    order: int = 4,
    kind: str = "butter",
    ripple_db: float = 0.1,
    attenuation_db: float = 60.0,
) -> Filter:
    """Design a high-pass, a low-pass or a band-pass filter.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    l_freq, h_freq : float | None
        The lower and the upper edge of what passes, in Hz, as SciPy defines edges of
        this kind. Edges of a Butterworth filter may be traced by JAX: one can then
        differentiate through them, in float32 too; out of range they give NaN.
    order : int
        Order of a recursive filter, as SciPy counts: a band-pass has twice as many
        poles. Filtering in both directions doubles it.
    kind : 'butter' | 'cheby1' | 'cheby2' | 'ellip' | 'bessel' | 'fir'
        The family. ``'fir'`` is MNE's default: windowed, with widths of transition
        that follow from the edges, which it leaves untouched.
    ripple_db, attenuation_db : float
        Ripple of the pass band and attenuation of the stop band, for the families
        that have them.

    Returns
    -------
    Filter
        For :func:`apply_filter`.

    Examples
    --------
    >>> design_filter(250.0, l_freq=1.0, h_freq=40.0).sos.shape
    (4, 6)
    """
    check_option("kind", kind, [*RECURSIVE, "fir"])
    check_count("order", order)
    for name, one in (("ripple_db", ripple_db), ("attenuation_db", attenuation_db)):
        check_range(name, one, low=0.0, open_low=True, unit="dB")
    if isinstance(l_freq, Tracer) or isinstance(h_freq, Tracer):
        return _design_traced(sfreq, l_freq, h_freq, order, kind)
    low, high = (None if one is None else float(one) for one in (l_freq, h_freq))
    check_edges(sfreq, low, high)
    if kind == "fir":
        taps = _design_taps(sfreq, low, high)
        return Filter(None, taps, low, high, sfreq=sfreq, kind=kind)
    btype, edge = _name_band(low, high)
    sos = iirfilter(
        order,
        edge,
        rp=ripple_db,
        rs=attenuation_db,
        btype=btype,
        ftype=kind,
        output="sos",
        fs=sfreq,
    )
    return Filter(sos, prepare_sos(sos), low, high, sfreq=sfreq, kind=kind)


def design_notch(
    sfreq: float,
    freqs: float | Sequence[float] | Array,
    *,
    quality: float = 30.0,
    harmonics: bool = False,
) -> Filter:
    """Design a filter that removes single frequencies.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    freqs : float | array
        What to remove, in Hz; each is one section.
    quality : float
        Frequency divided by the width, at half the power, of what is removed.
    harmonics : bool
        Whether multiples below the Nyquist frequency are removed too.

    Returns
    -------
    Filter
        For :func:`apply_filter`.

    Examples
    --------
    >>> design_notch(500.0, 50.0, harmonics=True).sos.shape
    (4, 6)
    """
    check_edges(sfreq, None, sfreq / 4)  # the rate alone
    check_range("quality", quality, low=0.0, open_low=True)
    wanted = [float(one) for one in np.ravel(np.asarray(freqs))]
    if not wanted:
        raise OptionError("freqs must hold at least one frequency, but is empty.")
    for one in wanted:
        _check_edge("freqs", one, sfreq)
    if harmonics:
        multiples = (
            one * np.arange(1, np.ceil(sfreq / 2 / one)).astype(int) for one in wanted
        )
        wanted = np.concatenate(list(multiples))
    sos = np.array(
        [np.ravel(iirnotch(one, quality, fs=sfreq)) for one in np.unique(wanted)]
    )
    return Filter(sos, prepare_sos(sos), None, None, sfreq=sfreq, kind="notch")


def butter_sos(
    order: int, edge: float | Sequence[float] | Array, btype: str, sfreq: float
) -> Float[Array, "sections 6"]:
    """Design a Butterworth filter in a form that JAX can differentiate.

    Parameters
    ----------
    order : int
        Order of the prototype, as SciPy counts.
    edge : float | array, shape () or (2,)
        The edge in Hz, where the power is half; for a band its two edges.
    btype : 'lowpass' | 'highpass' | 'bandpass'
        Which frequencies pass.
    sfreq : float
        Sampling rate in Hz.

    Returns
    -------
    array, shape (n_sections, 6)
        The same filter as SciPy's, in float64 of NumPy; or where the edge is of JAX in
        its default precision, of which float32 is too short for slow edges. The
        sections share the gain, where SciPy puts all of it in the first.

    Examples
    --------
    >>> butter_sos(2, 10.0, "lowpass", 100.0).round(4)
    array([[ 0.0675,  0.1349,  0.0675,  1.    , -1.143 ,  0.4128]])
    """
    check_count("order", order)
    check_option("btype", btype, ["lowpass", "highpass", "bandpass"])
    shape = (2,) if btype == "bandpass" else ()
    if np.shape(edge) != shape:
        raise OptionError(
            f"edge must have shape {shape} for a {btype}, but has {np.shape(edge)}."
        )
    if not isinstance(edge, Tracer):
        known = np.ravel(np.asarray(edge, dtype=float)).tolist()
        check_edges(sfreq, *(known if btype == "bandpass" else (None, *known)))

    def design(edge: Any) -> Array:
        return trace_butter(order, edge, btype, sfreq)

    if isinstance(edge, jax.Array):
        return differentiate_precisely(design)(edge)
    return np.asarray(design(edge))


def check_edges(sfreq: float, low: float | None, high: float | None) -> None:
    """Refuse edges that this sampling rate cannot have.

    Examples
    --------
    >>> check_edges(250.0, 1.0, 40.0)
    """
    check_range("sfreq", sfreq, low=0.0, open_low=True, unit="Hz")
    if not np.isfinite(sfreq):
        raise OptionError(f"sfreq must be a finite rate in Hz, but got {sfreq!r}.")
    if low is None and high is None:
        raise OptionError("l_freq and h_freq are both None; pass at least one edge.")
    for name, edge in (("l_freq", low), ("h_freq", high)):
        if edge is not None:
            _check_edge(name, edge, sfreq)
    if low is not None and high is not None and low >= high:
        raise OptionError(
            f"l_freq must be below h_freq, but got {low:g} and {high:g} Hz.",
            hint="What to remove from within a band is for design_notch.",
        )


@lru_cache(maxsize=64)
def _balance(sos: bytes) -> BlockFilter:
    return balance_sos(np.frombuffer(sos).reshape(-1, 6))


def prepare_sos(sos: np.ndarray) -> BlockFilter:
    """Prepare sections for filtering, or find what was prepared before.

    Parameters
    ----------
    sos : array, shape (n_sections, 6)
        Second-order sections.

    Returns
    -------
    BlockFilter
        What :func:`meegic.math.iir.balance_sos` makes.

    Examples
    --------
    >>> prepare_sos(np.array([[1.0, 0, 0, 1, -0.5, 0]])).n_padding
    6
    """
    return _balance(np.ascontiguousarray(sos, dtype=float).tobytes())


def _design_traced(
    sfreq: float,
    low: float | Array | None,
    high: float | Array | None,
    order: int,
    kind: str,
) -> Filter:
    if kind != "butter":
        raise OptionError(
            f"kind must be 'butter' where JAX traces the edges, but got {kind!r}."
        )
    btype, edge = _name_band(low, high)
    n_first_order = order % 2 if btype != "bandpass" else 0

    @differentiate_precisely
    def design(edge: Any) -> tuple[Array, BlockFilter]:
        sos = trace_butter(order, edge, btype, sfreq)
        return sos, trace_blocks(sos, n_first_order=n_first_order)

    sos, blocks = design(edge)
    return Filter(sos, blocks, low, high, sfreq=sfreq, kind=kind)


def _name_band(low: Any, high: Any) -> tuple[str, Any]:
    if low is not None and high is not None:
        return "bandpass", [low, high]
    return ("highpass", low) if high is None else ("lowpass", high)


def _check_edge(name: str, edge: float, sfreq: float) -> None:
    check_range(
        name,
        edge,
        low=0.0,
        high=sfreq / 2,
        open_low=True,
        open_high=True,
        unit="Hz",
        hint=f"The sampling rate is {sfreq:g} Hz, its Nyquist frequency half of it.",
    )


def _design_taps(sfreq: float, low: float | None, high: float | None) -> np.ndarray:
    """Windowed low-passes, each with its own transition, with MNE's default widths."""
    parts = []
    if high is not None:
        width = min(max(0.25 * high, 2.0), sfreq / 2 - high)
        parts.append(_low_pass(high + width / 2, width, sfreq))
    else:
        parts.append(np.ones(1))
    if low is not None:
        width = min(max(0.25 * low, 2.0), low)
        parts.append(-_low_pass(low - width / 2, width, sfreq))
    taps = np.zeros(max(len(one) for one in parts))
    for one in parts:
        margin = (len(taps) - len(one)) // 2
        taps[margin : margin + len(one)] += one
    return taps


def _low_pass(middle: float, width: float, sfreq: float) -> np.ndarray:
    n_taps = round(_HAMMING * sfreq / width)
    return firwin(n_taps + 1 - n_taps % 2, middle, window="hamming", fs=sfreq)
