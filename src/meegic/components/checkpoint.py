"""States of a fit on disk, from which it goes on as if nothing had happened."""

import logging
import re
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np
from jaxtyping import Float

from meegic.base.alerts import warn_user
from meegic.base.arrays import pick_device
from meegic.base.checks import check_count, check_range
from meegic.base.errors import (
    DataWarning,
    IntegrityError,
    OptionError,
    ReproducibilityWarning,
)
from meegic.base.files import blame, check_target, remove_files
from meegic.base.flat import add_suffix, read_flat, write_flat
from meegic.base.record import Record
from meegic.components.em import EmState
from meegic.components.kernels import pick_kernel
from meegic.components.loop import FitState
from meegic.components.options import AmicaOptions
from meegic.components.whiten import Whitener

LOG = logging.getLogger("meegic.components")
SCHEMA = 1

_MAY_CHANGE = ("max_iter", "sfreq")
_ROUNDING = ("kernel", "device", "chunk_t")  # they change the last digits alone
_COMPUTING = ("meegic", "numpy", "scipy", "jax", "jaxlib")
_SAME_SPACE = 1e-6
_ENDING = (signal.SIGTERM, signal.SIGINT)
_SIGNALS = (*_ENDING, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else []))


@dataclass(frozen=True)
class Checkpoints:
    """Where and how often the state of a fit is kept.

    A fit that finds a state there goes on from it, wherever it was told to start. The
    state is also kept when the fit stops, and on the signals SIGTERM, SIGINT (Ctrl-C)
    and SIGUSR1 after the iteration that they come in; a second one of the first two
    ends at once.

    Attributes
    ----------
    path : path-like
        The stem: ``fit.npz`` gives ``fit_000020.npz`` after 20 iterations.
    every : int
        Iterations between two states; 0 keeps none by number.
    seconds : float | None
        Seconds between two states; ``None`` keeps none by time.
    keep : int
        How many states stay; the older ones are removed.

    Examples
    --------
    >>> Checkpoints("fit.npz", every=10).name(20).name
    'fit_000020.npz'
    """

    path: Path | str
    every: int = 0
    seconds: float | None = None
    keep: int = 2

    def __post_init__(self) -> None:
        if not Path(self.path).name:
            raise OptionError(
                f"path must name a file for the checkpoints, but got {self.path!r}.",
                hint="Pass for example 'amica_checkpoint.npz'.",
            )
        check_count("every", self.every, low=0)
        check_count("keep", self.keep)
        if self.seconds is not None:
            check_range("seconds", self.seconds, low=0.0, open_low=True)

    def name(self, n_iter: int) -> Path:
        """Name the file of the state after so many iterations."""
        path = add_suffix(self.path)
        return path.with_name(f"{path.stem}_{n_iter:06d}.npz")

    def find(self) -> dict[int, Path]:
        """Find the files that are there by iteration, the newest first."""
        path = add_suffix(self.path)
        pattern = re.compile(re.escape(path.stem) + r"_(\d{6,18})\.npz")
        matches = [(pattern.fullmatch(one.name), one) for one in path.parent.iterdir()]
        found = {
            int(match[1]): one for match, one in matches if match and one.is_file()
        }
        return {n_iter: found[n_iter] for n_iter in sorted(found, reverse=True)}


class _Content(NamedTuple):
    """What a file holds."""

    state: FitState
    forward: Float[np.ndarray, "components channels"]
    record: Record
    kernel: str
    n_devices: int


class CheckpointStore:
    """Keeps the states of one fit, and listens to signals while it is open."""

    def __init__(
        self, checkpoints: Checkpoints, record: Record, whitener: Whitener
    ) -> None:
        self._checkpoints, self._record = checkpoints, record
        self._forward = whitener.forward
        options = AmicaOptions(**record.options)
        self._solver = options.picked_solver
        self._sizes = (options.n_models, options.n_mix, len(whitener.forward))
        self._kernel = pick_kernel(options.kernel, options.device)
        self._n_devices = 1
        if self._kernel == "jax":
            self._n_devices = len(jax.devices(pick_device(options.device).platform))
        self._written = time.monotonic()
        self._formers: dict[int, Any] = {}
        self._pending: list[int] = []

    def __enter__(self) -> "CheckpointStore":
        if threading.current_thread() is threading.main_thread():
            formers = {one: signal.getsignal(one) for one in _SIGNALS}
            # None is a handler of another language, which could not be given back
            self._formers = {
                key: one for key, one in formers.items() if one is not None
            }
            for one in self._formers:
                signal.signal(one, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for one, former in self._formers.items():
            signal.signal(one, former)
        self._formers = {}
        self._deliver()

    def read(self) -> FitState | None:
        """Read the newest state that is whole; older ones stand in for damaged ones."""
        damaged = []
        for path in self._checkpoints.find().values():
            content = _try(path, damaged)
            if content is None:
                continue
            self._check(path, content)
            for error in damaged:
                warn_user(
                    f"{error.message} An older checkpoint takes its place.", DataWarning
                )
            LOG.info("the fit goes on from %s", path)
            return content.state
        if damaged:
            raise IntegrityError(
                f"none of the {len(damaged)} checkpoints can be used; the newest: "
                f"{damaged[0].message}",
                hint=self._advice,
            )
        return None

    def is_due(self, n_iter: int) -> bool:
        """Tell whether the state after this iteration is to be kept."""
        every, seconds = self._checkpoints.every, self._checkpoints.seconds
        if self._pending or (every and n_iter % every == 0):
            return True
        return seconds is not None and time.monotonic() - self._written >= seconds

    def write(self, state: FitState) -> None:
        """Keep the state; then end when a signal has asked for it."""
        n_iter = len(state.history)
        content = _Content(
            state, self._forward, self._record, self._kernel, self._n_devices
        )
        write_flat(self._checkpoints.name(n_iter), content, version=SCHEMA)
        self._written = time.monotonic()
        found = self._checkpoints.find()
        kept = [one for one in found if one <= n_iter][: self._checkpoints.keep]
        # what has a higher number is of a future that did not come
        remove_files(path for one, path in found.items() if one not in kept)
        self._deliver()

    def _check(self, path: Path, content: _Content) -> None:
        """Refuse a state of another fit; warn when it was computed otherwise."""
        old, new = content.record, self._record
        if old.input_digest != new.input_digest:
            self._refuse(
                path,
                f"belongs to other data: its data digest is {old.input_digest}, that "
                f"of the data and weights here is {new.input_digest}",
            )
        now = {**new.options, "solver": self._solver, "seed": new.seed}
        changed = _compare(_describe(content), now, without=_MAY_CHANGE + _ROUNDING)
        if changed:
            self._refuse(path, f"belongs to other options: {', '.join(changed)}")
        with blame(f"{path}"):
            if content.state.solver.parameters.mu.shape != self._sizes:
                raise ValueError("its parameters have not the sizes that it states")
        if not _is_same_space(content.forward, self._forward):
            self._refuse(
                path,
                "belongs to another whitening: the scale of the channels differs, or "
                "the linear algebra that computed it",
            )
        computed = _tell_computing(old, content.kernel, content.n_devices)
        changed = _compare(
            computed, _tell_computing(new, self._kernel, self._n_devices)
        )
        if changed:
            warn_user(
                f"{path} was computed otherwise: {', '.join(changed)}. The fit goes on "
                "with the same accuracy, but not to the same last digits.",
                ReproducibilityWarning,
            )

    def _refuse(self, path: Path, reason: str) -> NoReturn:
        raise IntegrityError(f"{path} {reason}.", hint=self._advice)

    @property
    def _advice(self) -> str:
        return (
            f"Remove the files {self._checkpoints.name(0).stem[:-6]}*.npz or give "
            "another path to begin anew."
        )

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Wait for the next iteration; a second wish to end is granted at once."""
        del frame
        if number in self._pending and number in _ENDING:
            self._pass_on(number)
        elif number not in self._pending:
            self._pending.append(number)

    def _deliver(self) -> None:
        pending, self._pending = self._pending, []
        for number in pending:
            if number in _ENDING:
                self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        """Raise the signal as if nobody here had listened, and listen again."""
        if number in self._formers:
            signal.signal(number, self._formers[number])
        signal.raise_signal(number)
        if number in self._formers:
            signal.signal(number, self._note)


def open_store(
    checkpoints: Checkpoints, record: Record, whitener: Whitener
) -> CheckpointStore:
    """Open the place where the states of a fit are kept.

    Parameters
    ----------
    checkpoints : Checkpoints
        Where and how often.
    record : Record
        Options, seed and digest of the data, which a state must agree with.
    whitener : Whitener
        The space of the parameters, likewise.

    Returns
    -------
    CheckpointStore
        A context manager: signals are heard inside only.

    Examples
    --------
    >>> from dataclasses import asdict
    >>> from tempfile import TemporaryDirectory
    >>> from meegic.base.record import make_record
    >>> from meegic.components.whiten import fit_whitener
    >>> whitener = fit_whitener(np.random.default_rng(0).normal(size=(2, 99)))
    >>> record = make_record(asdict(AmicaOptions()), seed=0, input_digest="ab")
    >>> with TemporaryDirectory() as folder:
    ...     with open_store(Checkpoints(f"{folder}/fit.npz"), record, whitener) as s:
    ...         print(s.read())
    None
    """
    check_target(add_suffix(checkpoints.path))
    return CheckpointStore(checkpoints, record, whitener)


def find_seed(checkpoints: Checkpoints) -> int | None:
    """Find the seed of the newest state, so that a drawn one can be used again.

    Parameters
    ----------
    checkpoints : Checkpoints
        Where to look.

    Returns
    -------
    int | None
        ``None`` where there is no state that can be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     find_seed(Checkpoints(f"{folder}/fit.npz"))
    """
    check_target(add_suffix(checkpoints.path))
    contents = (_try(path, []) for path in checkpoints.find().values())
    return next((one.record.seed for one in contents if one is not None), None)


def _try(path: Path, damaged: list[IntegrityError]) -> _Content | None:
    try:
        return read_flat(path, _Content, version=SCHEMA)
    except IntegrityError as error:
        if error.__cause__ is None:  # it is whole, but of another schema
            raise
        damaged.append(error)
        return None


def _describe(content: _Content) -> dict[str, Any]:
    solver = "em" if isinstance(content.state.solver, EmState) else "quasi-newton"
    record = content.record
    return {**record.options, "solver": solver, "seed": record.seed}


def _tell_computing(record: Record, kernel: str, n_devices: int) -> dict[str, Any]:
    """Tell what decides about the last digits."""
    versions = {name: record.versions.get(name) for name in _COMPUTING}
    chunk = record.options.get("chunk_t")
    return {"kernel": kernel, "devices": n_devices, "chunk_t": chunk, **versions}


def _compare(
    before: dict[str, Any], now: dict[str, Any], without: tuple[str, ...] = ()
) -> list[str]:
    names = sorted((set(before) | set(now)) - set(without))
    return [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in names
        if before.get(name) != now.get(name)
    ]


def _is_same_space(old: np.ndarray, new: np.ndarray) -> bool:
    """Compare by channel, for channels may have different units."""
    sizes = np.abs(new).max(axis=0)
    return old.shape == new.shape and bool(
        (np.abs(old - new) <= _SAME_SPACE * sizes).all()
    )
