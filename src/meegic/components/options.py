"""Every option of an AMICA fit, with its default and what is allowed."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from meegic.base.checks import check_count, check_option, check_range, list_words
from meegic.base.errors import OptionError

SCHEDULE = (
    "lrate", "lrate0", "lratefact", "rholrate", "rholratefact", "do_newton",
    "newt_start", "newtrate", "newt_ramp", "maxdecs", "minlrate", "fix_init",
    "newton_fallback", "safeguard",
)  # fmt: skip
"""Options that only the EM solver knows: with one of them ``'auto'`` takes it."""


@dataclass(frozen=True, kw_only=True)
class AmicaOptions:
    """How a mixture of independent component models is fitted.

    Attributes
    ----------
    n_components : int | None
        Components; ``None`` takes the numerical rank of the data.
    do_sphere : bool
        Whiten first; else only divide by the channels' RMS.
    sfreq : float | None
        Sampling rate in Hz, for warnings about parts of the recording.
    n_models, n_mix : int
        Models, and terms in the density of each source.
    max_iter : int
        EM: iterations; quasi-Newton: passes over the data.
    lrate, lrate0, lratefact, minlrate : float
        EM: first rate, ceiling before Newton, factor of a reduction, smallest rate.
    rho0, minrho, maxrho : float
        Shape of the terms: start and bounds (1 Laplace, 2 Gauss).
    rholrate, rholratefact : float
        Rate of the shapes and its factor of a reduction.
    do_newton : bool
        EM: Newton steps from iteration ``newt_start`` on, with the ceiling
        ``newtrate``, approached within ``newt_ramp`` iterations.
    doscaling : bool
        Keep the columns of the mixing at unit length.
    min_dll, min_nd : float | None, float
        Smallest gain of likelihood per iteration, smallest gradient. ``min_dll=None``
        is the solver's own rule: 1e-9 for EM, and for quasi-Newton less than 2e-5
        over 25 passes, once the first 35 steps are made.
    use_grad_norm, use_min_dll : bool
        Whether to stop by them.
    maxdecs, maxincs : int
        Falls that lower the ceilings; small gains in a row that end the fit.
    invsigmin, invsigmax : float
        Bounds of the inverse scales.
    fix_init : bool
        Start without the random part.
    do_reject : bool
        Leave out samples whose log-likelihood is ``reject_sigma`` standard deviations
        below the mean, ``num_reject`` times, from iteration ``reject_start`` on every
        ``reject_int``.
    solver : 'auto' | 'em' | 'quasi-newton'
        ``'auto'`` is quasi-Newton unless an option of EM's schedule is set.
    newton_fallback : 'pair' | 'model' | 'all'
        What a pair of sources without a positive Hessian block spoils.
    safeguard : bool
        EM: return from a step that lowers the likelihood.
    compat : None | 'fortran' | 'pyamica'
        Reproduce the numbers of a reference program, faults included: EM without
        safeguard, with its fallback rule and bounds where those have their defaults.
    n_restarts : int
        Random starts; the best after 50 passes goes on.
    polish : int
        Steps in float64 at the end of a fit in float32.
    kernel, dtype, device, chunk_t
        Who passes over the data, in which precision, where and in what blocks.
    """

    n_components: int | None = None
    do_sphere: bool = True
    sfreq: float | None = None
    n_models: int = 1
    n_mix: int = 3
    max_iter: int = 2000
    lrate: float = 0.1
    lrate0: float = 0.1
    lratefact: float = 0.5
    rho0: float = 1.5
    minrho: float = 1.0
    maxrho: float = 2.0
    rholrate: float = 0.05
    rholratefact: float = 0.5
    do_newton: bool = True
    newt_start: int = 50
    newtrate: float = 1.0
    newt_ramp: int = 10
    doscaling: bool = True
    min_dll: float | None = None
    min_nd: float = 1e-6
    use_grad_norm: bool = True
    use_min_dll: bool = True
    maxdecs: int = 3
    maxincs: int = 5
    minlrate: float = 1e-8
    invsigmax: float = 100.0
    invsigmin: float = 1e-8
    fix_init: bool = False
    do_reject: bool = False
    reject_sigma: float = 3.0
    num_reject: int = 5
    reject_start: int = 1
    reject_int: int = 1
    solver: str = "auto"
    newton_fallback: str = "pair"
    safeguard: bool = True
    compat: str | None = None
    n_restarts: int = 1
    polish: int = 10
    kernel: str = "auto"
    dtype: str = "float64"
    device: str = "cpu"
    chunk_t: int | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            if isinstance(value := getattr(self, one.name), np.generic):
                object.__setattr__(self, one.name, value.item())
        self._follow_reference()
        for name, low in _COUNTS.items():
            check_count(name, getattr(self, name), low=low)
        for name in _POSITIVE:
            check_range(name, getattr(self, name), low=0.0, open_low=True)
        for name in _FRACTIONS:
            check_range(name, getattr(self, name), low=0.0, open_low=True, high=1.0)
        for name in ("min_nd", "invsigmin", "rholrate"):
            check_range(name, getattr(self, name), low=0.0)
        for name, allowed in _WORDS.items():
            check_option(name, getattr(self, name), allowed)
        for name in _FLAGS:
            check_option(name, getattr(self, name), [True, False])
        check_range("minrho", self.minrho, low=1.0, high=2.0)
        check_range("maxrho", self.maxrho, low=self.minrho, high=2.0)
        check_range("rho0", self.rho0, low=self.minrho, high=self.maxrho)
        check_range("invsigmax", self.invsigmax, low=self.invsigmin, open_low=True)
        self._check_optional()
        self._check_together()

    def _follow_reference(self) -> None:
        """Set what a reference program needs, where nothing else was asked for."""
        rules: dict[str, dict[str, Any]] = {
            "fortran": {"newton_fallback": "model", "invsigmin": 0.0},
            "pyamica": {"newton_fallback": "all"},
        }
        if self.compat not in rules:
            return
        rule = {"solver": "em", "safeguard": False, **rules[self.compat]}
        for name, value in rule.items():
            if not self._is_set(name):
                object.__setattr__(self, name, value)

    def _check_optional(self) -> None:
        if self.min_dll is not None:
            check_range("min_dll", self.min_dll)
        if self.sfreq is not None:
            check_range("sfreq", self.sfreq, low=0.0, open_low=True, unit="Hz")
        if self.n_components is not None:
            check_count("n_components", self.n_components)
        if self.chunk_t is not None:
            check_count("chunk_t", self.chunk_t)

    def _check_together(self) -> None:
        if self.compat is not None and self.solver == "quasi-newton":
            raise OptionError(
                f"solver must be 'em' with compat={self.compat!r}, but got "
                "'quasi-newton': the reference programs have no such steps."
            )
        odd = [name for name in SCHEDULE if self._is_set(name)]
        odd = [name for name in odd if name != "fix_init"]  # a start for both solvers
        if self.solver == "quasi-newton" and odd:
            raise OptionError(
                f"solver 'quasi-newton' has no {list_words(odd, last='or')}.",
                hint="Leave them at their defaults, or use solver='em'.",
            )
        if self.kernel == "numba" and self.device != "cpu":
            raise OptionError(
                f"kernel must be 'jax' on device {self.device!r}, but got 'numba'."
            )
        if self.fix_init and self.n_models > 1:
            raise OptionError(
                f"fix_init must be False with n_models={self.n_models}: without the "
                "random part of the start all models would stay equal for ever.",
                hint="Pass random_state to make the start repeatable.",
            )
        if self.fix_init and self.n_restarts > 1:
            raise OptionError(
                f"n_restarts must be 1 with fix_init, but got {self.n_restarts}: "
                "every start would be the same."
            )

    @property
    def picked_solver(self) -> str:
        """The solver that ``'auto'`` stands for."""
        if self.solver != "auto":
            return self.solver
        asked = self.compat is not None or any(map(self._is_set, SCHEDULE))
        return "em" if asked else "quasi-newton"

    def _is_set(self, name: str) -> bool:
        """Tell whether an option has another value than its default."""
        return getattr(self, name) != self.__dataclass_fields__[name].default


_COUNTS = {
    "n_models": 1, "n_mix": 1, "max_iter": 1, "newt_start": 0, "newt_ramp": 1,
    "maxdecs": 1, "maxincs": 0, "num_reject": 0, "reject_start": 1, "reject_int": 1,
    "n_restarts": 1, "polish": 0,
}  # fmt: skip
_POSITIVE = ("lrate", "lrate0", "newtrate", "minlrate", "reject_sigma")
_FRACTIONS = ("lratefact", "rholratefact")
_FLAGS = (
    "do_sphere", "do_newton", "doscaling", "use_grad_norm", "use_min_dll", "fix_init",
    "do_reject", "safeguard",
)  # fmt: skip
_WORDS = {
    "solver": ["auto", "em", "quasi-newton"],
    "newton_fallback": ["pair", "model", "all"],
    "compat": [None, "fortran", "pyamica"],
    "kernel": ["auto", "numba", "jax"],
    "dtype": ["float64", "float32"],
    "device": ["cpu", "gpu"],
}
