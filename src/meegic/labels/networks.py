"""The published networks: where their weights lie, and how they are run.

The weights come with the installed package mne-icalabel, which is not imported for
them. They run in onnxruntime, whose sessions stay open for the next call.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from meegic.base.alerts import warn_user
from meegic.base.checks import list_words
from meegic.base.errors import (
    DataWarning,
    FileFormatError,
    InputError,
    IntegrityError,
    MissingDependencyError,
)
from meegic.base.threads import count_threads
from meegic.labels.classes import get_vocabulary

LOG = logging.getLogger("meegic.labels")
CARRIER, CARRIER_VERSION = "mne-icalabel", "0.10.0"
REINSTALL = f"pip install --force-reinstall {CARRIER}=={CARRIER_VERSION}"
REINSTALL_RUNTIME = "pip install --force-reinstall onnxruntime"
# Without it onnxruntime writes a device id into the home folder and reports home.
NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True)
class Weights:
    """What is known of the weights of a published network.

    Attributes
    ----------
    name : str
        The network's name, as its authors write it.
    file : str
        Where the weights lie inside the package that carries them.
    digest : str
        The sha256 of that file.
    licence : str
        What one may do with it.
    notice : str
        What a user of it is told, once; nothing where it is empty.
    """

    name: str
    file: str
    digest: str
    licence: str
    notice: str = ""


WEIGHTS = {
    "iclabel": Weights(
        "ICLabel",
        "iclabel/network/assets/ICLabelNet.onnx",
        "b7dc72bc3fa5960b2843fc6d5ba60add842b0a240c6371598be09b595182c04b",
        "BSD-3-Clause",
    ),
    "megnet": Weights(
        "MEGNet",
        "megnet/assets/megnet.onnx",
        "1a6a5b7ac025c35a30534d5687f7123bdd93fa50e0946f5d1f547686ba3574f2",
        "for academic and research use only",
        "The weights of MEGNet are for academic and research use only, say its authors "
        "(Treacher et al. 2021, NeuroImage 241:118402).",
    ),
}


@dataclass(frozen=True)
class Network:
    """A network that is ready to run.

    Attributes
    ----------
    session : onnxruntime.InferenceSession
        What runs it.
    digest : str
        The sha256 of its weights.
    source : str
        Which package and version brought them, or ``'model_path'``.
    """

    session: Any
    digest: str
    source: str


def run_network(
    method: str,
    inputs: Mapping[str, np.ndarray],
    *,
    model_path: Path | str | None = None,
) -> np.ndarray:
    """Run a network once, on all that it is given.

    Memory grows with the batch, so callers with many components or windows pass them
    in blocks.

    Parameters
    ----------
    method : 'iclabel' | 'megnet'
        The network.
    inputs : mapping of str to array
        Every input by the network's own name for it, in any real dtype.
    model_path : path | None
        Other weights for the same network, as an ONNX file. ``None`` takes those of
        the installed mne-icalabel.

    Returns
    -------
    array, shape (n, n_classes)
        Probabilities in float32.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shapes = {"topo": (1, 32, 32), "psds": (1, 1, 100), "autocorr": (1, 1, 100)}
    >>> inputs = {name: rng.uniform(-1, 1, (4, *one)) for name, one in shapes.items()}
    >>> run_network("iclabel", inputs).shape
    (1, 7)
    """
    network = load_network(method, model_path)
    wanted = [one.name for one in network.session.get_inputs()]
    if set(inputs) != set(wanted):
        raise InputError(
            f"inputs of {WEIGHTS[method].name} must be {list_words(wanted)}, but got "
            f"{list_words(inputs)}."
        )
    arrays = {name: np.asarray(one, np.float32) for name, one in inputs.items()}
    for name, one in arrays.items():
        if not np.isfinite(one).all():
            raise InputError(
                f"{name} contains NaN or Inf, about which {WEIGHTS[method].name} says "
                "nothing.",
                hint="Leave those components out.",
            )
    (probabilities,) = network.session.run(None, arrays)
    if not np.isfinite(probabilities).all():
        raise IntegrityError(
            f"{WEIGHTS[method].name} gave NaN or Inf for finite inputs.",
            hint=REINSTALL_RUNTIME,
        )
    return probabilities


def load_network(method: str, model_path: Path | str | None = None) -> Network:
    """Open a network, once per process and file.

    Parameters
    ----------
    method : 'iclabel' | 'megnet'
        The network.
    model_path : path | None
        Other weights for the same network, as an ONNX file. ``None`` takes those of
        the installed mne-icalabel.

    Returns
    -------
    Network
        The open network, with the digest of its weights.

    Examples
    --------
    >>> load_network("iclabel").digest == WEIGHTS["iclabel"].digest
    True
    """
    method = get_vocabulary(method).method
    own = None if model_path is None else Path(model_path).absolute()
    return _load(method, own, os.getpid())  # threads do not survive a fork


def find_weights(method: str) -> Path:
    """Find the weights of a network in the installed mne-icalabel.

    Parameters
    ----------
    method : 'iclabel' | 'megnet'
        The network.

    Returns
    -------
    path
        The file, of whatever digest.

    Examples
    --------
    >>> find_weights("megnet").name
    'megnet.onnx'
    """
    weights = WEIGHTS[get_vocabulary(method).method]
    spec = find_spec("mne_icalabel")  # importing it would take a second
    if spec is None or spec.origin is None:
        raise MissingDependencyError(
            f"The weights of {weights.name} come with {CARRIER} {CARRIER_VERSION}, "
            "which is absent.",
            hint=REINSTALL,
        )
    path = Path(spec.origin).parent / weights.file
    if not path.is_file():
        raise MissingDependencyError(
            f"{CARRIER} {version(CARRIER)} lacks the weights of {weights.name}, "
            f"{weights.file}.",
            hint=REINSTALL,
        )
    return path


@cache
def _load(method: str, own: Path | None, process: int) -> Network:
    path = find_weights(method) if own is None else own
    if not path.is_file():
        raise InputError(f"model_path must be an ONNX file, but {path} is none.")
    content = path.read_bytes()  # what is hashed is what runs
    digest = hashlib.sha256(content).hexdigest()
    session = _open_session(path, content)
    if own is not None:
        return Network(session, digest, "model_path")
    _warn_of_other_weights(method, digest)
    if WEIGHTS[method].notice:
        LOG.warning(WEIGHTS[method].notice)
    return Network(session, digest, f"{CARRIER} {version(CARRIER)}")


def _warn_of_other_weights(method: str, digest: str) -> None:
    weights = WEIGHTS[method]
    if digest != weights.digest:
        warn_user(
            f"The weights of {weights.name} in {CARRIER} {version(CARRIER)} have the "
            f"digest {digest[:8]}, but those of {CARRIER_VERSION}, for which the "
            f"features are made, have {weights.digest[:8]}. For the latter: "
            f"{REINSTALL}",
            DataWarning,
        )


def _open_session(path: Path, content: bytes) -> Any:
    runtime = _import_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = count_threads()
    # Threads that spin after a run take half of the next features' time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong is raised as well
    refusals = runtime.capi.onnxruntime_pybind11_state
    try:
        return runtime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except (
        refusals.Fail,
        refusals.InvalidArgument,
        refusals.InvalidGraph,
        refusals.InvalidProtobuf,
        refusals.NotImplemented,
    ) as error:
        raise FileFormatError(
            f"{path} holds no network that onnxruntime can run: {error}."
        ) from error


def _import_runtime() -> ModuleType:
    """Import onnxruntime so that it neither notes nor tells who uses it."""
    try:
        with _environment(NO_TELEMETRY):
            import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"onnxruntime, which runs the networks, cannot be imported: {error}.",
            hint=REINSTALL_RUNTIME,
        ) from error
    return onnxruntime


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set what the user has not set, for a while."""
    added = variables.keys() - os.environ.keys()
    os.environ.update({name: variables[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
