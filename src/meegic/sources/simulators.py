"""`SourceSimulator` and `SensorSimulator`: the reference's simulators by its names."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from meegic.sources.simulate import (
    SensorSimulation,
    count_orientations,
    simulate_sensors,
    simulate_sources,
)
from meegic.sources.waveforms import read_erp_config

_EEG_COIL = 1  # FIFF's number


class SourceSimulator:
    """Draw evoked activity of few sources.

    Parameters
    ----------
    ERP_config : mapping | None
        The waveforms; see `read_erp_config` for its keys.
    logger : Logger | None
        Accepted, and not used.

    Examples
    --------
    >>> x, active = SourceSimulator().simulate(n_sources=50, nnz=3, seed=0)
    >>> x.shape, active
    ((50, 250), array([28, 11, 10]))
    """

    def __init__(
        self,
        ERP_config: Mapping[str, Any] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        self.ERP_config = ERP_config
        self.logger = logger
        self.options = read_erp_config(ERP_config)

    def simulate(
        self,
        n_sources: int = 1284,
        nnz: int = 5,
        orientation_type: str = "fixed",
        coil_type: int = _EEG_COIL,
        seed: int = 42,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw which sources are active, and their waveforms.

        Parameters
        ----------
        n_sources, nnz : int
            How many there are, and how many of them are active.
        orientation_type : 'fixed' | 'free'
            Whether a source has one orientation or all that the sensors see.
        coil_type : int
            FIFF's number of the coil, for free orientations.
        seed : int
            Of all that is random.

        Returns
        -------
        x : array, shape (n_sources, n_times) or (n_sources, n_orient, n_times)
            The amplitudes in nAm.
        active : array of int, shape (nnz,)
            The active sources in the order in which they were drawn.
        """
        n_orient = count_orientations(orientation_type, coil_type)
        return simulate_sources(
            n_sources, nnz, n_orient=n_orient, options=self.options, seed=seed
        )


class SensorSimulator:
    """Project sources to sensors, and add noise.

    Parameters
    ----------
    logger : Logger | None
        Accepted, and not used.

    Attributes
    ----------
    kind, units, unitmult, coil_type : int | None
        FIFF's numbers of the sensors; they are kept, and change nothing.

    Examples
    --------
    >>> clean, noisy, noise, eta = SensorSimulator().simulate(
    ...     np.ones((3, 5)), np.eye(4, 3), alpha_SNR=1.0
    ... )
    >>> noisy.shape, eta
    ((4, 5), 0.0)
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logger
        self.kind: int | None = None
        self.units: int | None = None
        self.unitmult: int | None = None
        self.coil_type: int | None = None

    def set_sensor_metadata(
        self,
        *,
        kind: int | None = None,
        units: int | None = None,
        unitmult: int | None = None,
        coil_type: int | None = None,
    ) -> None:
        """Keep what is known about the sensors; None leaves it as it is."""
        given = {"kind": kind, "units": units}
        given |= {"unitmult": unitmult, "coil_type": coil_type}
        vars(self).update({k: one for k, one in given.items() if one is not None})

    def simulate(
        self,
        x: np.ndarray,
        L: np.ndarray,
        alpha_SNR: float = 0.5,
        sensor_white_noise_std: float = 1.0,
        seed: int = 42,
    ) -> SensorSimulation:
        """Simulate measurements; see `simulate_sensors`.

        Parameters
        ----------
        x : array, shape (n_sources, n_times) or (n_sources, n_orient, n_times)
            The amplitudes.
        L : array, shape (n_sensors, n_sources) or (n_sensors, n_sources, n_orient)
            The leadfield.
        alpha_SNR : float
            Share of the signal, from 0 to 1.
        sensor_white_noise_std : float
            Of the noise before it is scaled; it cancels out of the measurements.
        seed : int
            Of the noise.

        Returns
        -------
        SensorSimulation
            The signal, what is measured, the noise in it, and its scale eta.
        """
        return simulate_sensors(
            x, L, alpha_snr=alpha_SNR, noise_std=sensor_white_noise_std, seed=seed
        )
