"""Evoked sources and noisy sensors of known truth, with the reference's random streams.

The streams are those of CaliBrain 1.0.3, bit for bit, so that published simulations
can be repeated: NumPy's legacy generator, and the reference's order of draws.
"""

from typing import NamedTuple

import numpy as np

from meegic.base.checks import check_count, check_option, check_range
from meegic.base.errors import InputError, ShapeError
from meegic.sources.leadfield import take_reals
from meegic.sources.waveforms import ErpOptions, make_generator, simulate_waveform

_ORIENTATIONS_OF_COILS = {1: 3, 3022: 2, 3012: 2}
"""How many orientations are free, by FIFF's type of coil: EEG, magnetometer, planar."""

_SEED_HIGH = 2**31 - 1
_SEED_STEP = 104729  # from one orientation of a source to the next


class SensorSimulation(NamedTuple):
    """Sensors with known noise.

    Attributes
    ----------
    clean, noisy, noise : array, shape (n_sensors, n_times)
        The signal, what is measured, and the scaled noise in it.
    eta : float
        What the drawn noise was multiplied with.
    """

    clean: np.ndarray
    noisy: np.ndarray
    noise: np.ndarray
    eta: float


def count_orientations(orientation_type: str, coil_type: int) -> int:
    """Tell how many orientations a simulated source has for a kind of sensor.

    Parameters
    ----------
    orientation_type : 'fixed' | 'free'
        Whether the orientation is known.
    coil_type : int
        FIFF's number of the coil: 1 for EEG, 3022 and 3012 for MEG, which does not
        see the radial orientation.

    Returns
    -------
    int
        1 for fixed, 3 for free EEG, 2 for free MEG.

    Examples
    --------
    >>> count_orientations("free", 3012)
    2
    """
    check_option("orientation_type", orientation_type, ["fixed", "free"])
    if orientation_type == "fixed":
        return 1
    if isinstance(coil_type, int):
        coil_type = int(coil_type)  # MNE's constants are a class of their own
    check_option("coil_type", coil_type, list(_ORIENTATIONS_OF_COILS))
    return _ORIENTATIONS_OF_COILS[coil_type]


def simulate_sources(
    n_sources: int = 1284,
    nnz: int = 5,
    *,
    n_orient: int = 1,
    options: ErpOptions | None = None,
    seed: int = 42,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw which sources are active, and their waveforms.

    Parameters
    ----------
    n_sources : int
        How many there are.
    nnz : int
        How many of them are active.
    n_orient : 1 | 2 | 3
        Orientations of a source; each has a waveform of its own.
    options : ErpOptions | None
        The waveforms; ``None`` takes the defaults.
    seed : int
        Of all that is random.

    Returns
    -------
    sources : array, shape (n_sources, n_times) or (n_sources, n_orient, n_times)
        The amplitudes in nAm.
    active : array of int, shape (nnz,)
        The active sources in the order in which they were drawn.

    Examples
    --------
    >>> sources, active = simulate_sources(50, 3, seed=0)
    >>> sources.shape, active
    ((50, 250), array([28, 11, 10]))
    """
    options = ErpOptions() if options is None else options
    check_count("n_sources", n_sources)
    check_count("nnz", nnz, high=n_sources)
    check_option("n_orient", n_orient, [1, 2, 3])
    rng = make_generator(seed)
    active = rng.choice(n_sources, size=nnz, replace=False)
    sources = np.zeros((n_sources, n_orient, len(options.times)))
    for source in active:
        first = int(rng.randint(0, _SEED_HIGH))
        for orientation in range(n_orient):
            own = (first + orientation * _SEED_STEP) % _SEED_HIGH
            sources[source, orientation] = simulate_waveform(options, seed=own)
    return (sources[:, 0] if n_orient == 1 else sources), active


def simulate_sensors(
    sources: np.ndarray,
    leadfield: np.ndarray,
    *,
    alpha_snr: float = 0.5,
    noise_std: float = 1.0,
    seed: int = 42,
    snr_window: tuple[int, int] | None = None,
) -> SensorSimulation:
    r"""Project sources to sensors and add white noise.

    With the signal :math:`y` and the drawn noise :math:`\epsilon` the measurement is
    :math:`y + \eta \epsilon`, :math:`\eta = \frac{1 - \alpha}{\alpha}
    \frac{\|y\|_F}{\|\epsilon\|_F}`; at :math:`\alpha = 0` it is noise alone, as strong
    as the signal would be. So ``noise_std`` changes eta, but not the measurement.

    Parameters
    ----------
    sources : array, shape (n_sources, n_times) or (n_sources, n_orient, n_times)
        The amplitudes.
    leadfield : array, shape (n_sensors, n_sources) or (n_sensors, n_sources, n_orient)
        What one unit of each source gives at the sensors.
    alpha_snr : float
        Share of the signal, from 0 to 1; 0.5 is 0 dB.
    noise_std : float
        Standard deviation of the drawn noise, before it is scaled.
    seed : int
        Of the noise.
    snr_window : tuple of int | None
        First sample and stop of the window over which signal and noise are compared.
        ``None`` is the whole epoch, of which the signal fills only a part.

    Returns
    -------
    SensorSimulation
        The sensors without and with noise, the noise and its scale.

    Examples
    --------
    >>> sources, active = simulate_sources(5, 1)
    >>> simulate_sensors(sources, np.eye(4, 5), alpha_snr=1.0).eta
    0.0
    """
    check_range("alpha_snr", alpha_snr, low=0.0, high=1.0)
    check_range("noise_std", noise_std, low=0.0, open_low=True, open_high=True)
    clean = _project(take_reals("sources", sources), take_reals("leadfield", leadfield))
    window = _check_window(snr_window, clean.shape[1])
    drawn = make_generator(seed).normal(0.0, noise_std, clean.shape)
    if alpha_snr == 1:
        return SensorSimulation(clean, clean.copy(), np.zeros_like(clean), 0.0)
    strength = np.linalg.norm(clean[:, window])
    if strength == 0:
        raise InputError(
            "the signal of the sources is zero at every sensor, so that alpha_snr "
            "says nothing about the noise.",
            hint="Pass sources that are active and that the leadfield sees, in "
            "snr_window too.",
        )
    odds = (1 - alpha_snr) / alpha_snr if alpha_snr else 1.0
    eta = float(odds * (strength / np.linalg.norm(drawn[:, window])))
    noise = eta * drawn
    noisy = clean + noise if alpha_snr else noise.copy()
    return SensorSimulation(clean, noisy, noise, eta)


def simulate_leadfield(
    n_sensors: int, n_sources: int, *, n_orient: int = 1, seed: int = 64
) -> np.ndarray:
    """Draw a leadfield of independent normal numbers.

    Parameters
    ----------
    n_sensors, n_sources : int
        Its lengths.
    n_orient : 1 | 2 | 3
        Orientations of a source.
    seed : int
        Of the numbers; the reference always takes the default.

    Returns
    -------
    array, shape (n_sensors, n_sources) or (n_sensors, n_sources, n_orient)
        The leadfield.

    Examples
    --------
    >>> simulate_leadfield(8, 5, n_orient=3).shape
    (8, 5, 3)
    """
    check_count("n_sensors", n_sensors)
    check_count("n_sources", n_sources)
    check_option("n_orient", n_orient, [1, 2, 3])
    shape = (n_sensors, n_sources) + ((n_orient,) if n_orient > 1 else ())
    return make_generator(seed).standard_normal(shape)


def _project(sources: np.ndarray, leadfield: np.ndarray) -> np.ndarray:
    if (
        sources.ndim not in (2, 3)
        or leadfield.ndim != sources.ndim
        or leadfield.shape[1:] != sources.shape[:-1]
    ):
        raise ShapeError(
            "sources and leadfield must have shapes (n_sources, n_times) and "
            "(n_sensors, n_sources), or (n_sources, n_orient, n_times) and "
            f"(n_sensors, n_sources, n_orient), but got {sources.shape} and "
            f"{leadfield.shape}."
        )
    if sources.ndim == 2:
        return leadfield @ sources
    return np.einsum("mnk,nkt->mt", leadfield, sources)


def _check_window(window: tuple[int, int] | None, n_times: int) -> slice:
    if window is None:
        return slice(None)
    start, stop = window
    check_count("start of snr_window", start, low=0, high=n_times - 1)
    check_count("stop of snr_window", stop, low=start + 1, high=n_times)
    return slice(start, stop)
