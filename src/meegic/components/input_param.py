"""The files that tell Fortran AMICA what to do, ``input.param``."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from meegic.base.alerts import warn_user
from meegic.base.checks import check_count, did_you_mean
from meegic.base.errors import DataWarning, FileFormatError, OptionError
from meegic.base.files import write_text
from meegic.components.options import AmicaOptions

FLAGS = {
    "use_grad_norm": True, "use_min_dll": True, "do_newton": False, "do_rho": True,
    "dble_data": False, "print_debug": False, "share_comps": False, "do_mean": True,
    "do_sphere": True, "do_approx_sphere": True, "write_nd": False, "write_LLt": True,
    "do_reject": False, "do_history": False, "do_opt_block": True, "fix_init": False,
    "doscaling": True, "update_A": True, "update_c": True, "update_gm": True,
    "update_alpha": True, "update_mu": True, "update_beta": True, "load_rej": False,
    "load_A": False, "load_W": False, "load_c": False, "load_gm": False,
    "load_alpha": False, "load_mu": False, "load_beta": False, "load_rho": False,
    "load_mean": False, "load_sphere": False, "load_comp_list": False,
    "load_all_param": False, "doPCA": False,
}  # fmt: skip
"""Keys that are 0 or 1, with what the program does where they are not given."""

COUNTS = {
    "data_dim": None, "num_models": 1, "num_mix_comps": 3, "num_mix": 3,
    "max_iter": None, "num_comps": -1, "pcakeep": None, "newt_start": 20,
    "newt_ramp": 10, "max_decs": 5, "numrej": 1, "rejstart": 2, "rejint": 3,
    "pdftype": 1, "scalestep": 1, "writestep": 100, "histstep": 10, "share_start": 100,
    "share_iter": 100, "kurt_start": None, "num_kurt": None, "kurt_int": None,
    "decwindow": 1, "max_threads": 24, "block_size": 128, "blk_min": 128,
    "blk_max": 1024, "blk_step": 128, "byte_size": 4, "filter_length": None,
    "dft_length": 256, "field_blocksize": None,
}  # fmt: skip
"""Keys that are whole numbers; ``None`` is no default, or one that has no use."""

NUMBERS = {
    "lrate": 0.1, "minlrate": 1e-12, "lratefact": 0.5, "newtrate": 0.5, "rho0": 1.5,
    "minrho": 1.0, "maxrho": 2.0, "rholrate": 0.05, "rholratefact": 0.1,
    "invsigmin": 1e-4, "invsigmax": 1000.0, "min_dll": 1e-9, "min_grad_norm": 1e-7,
    "rejsig": 3.0, "mineig": 1e-15, "pcadb": None, "comp_thresh": 0.99,
}  # fmt: skip
"""Keys that are real numbers."""

TEXTS = ("outdir", "indir")
LISTS = ("files", "num_samples", "field_dim")

FIELDS = {
    "num_models": "n_models", "num_mix_comps": "n_mix", "max_iter": "max_iter",
    "do_sphere": "do_sphere", "lrate": "lrate", "lratefact": "lratefact",
    "minlrate": "minlrate", "rho0": "rho0", "minrho": "minrho", "maxrho": "maxrho",
    "rholrate": "rholrate", "rholratefact": "rholratefact", "do_newton": "do_newton",
    "newt_start": "newt_start", "newtrate": "newtrate", "newt_ramp": "newt_ramp",
    "doscaling": "doscaling", "min_dll": "min_dll", "min_grad_norm": "min_nd",
    "use_grad_norm": "use_grad_norm", "use_min_dll": "use_min_dll",
    "max_decs": "maxdecs", "invsigmin": "invsigmin", "invsigmax": "invsigmax",
    "fix_init": "fix_init", "do_reject": "do_reject", "rejsig": "reject_sigma",
    "numrej": "num_reject", "rejstart": "reject_start", "rejint": "reject_int",
}  # fmt: skip
"""Which option a key is."""

RUN = {"maxincs": 5, "n_restarts": 1, "dtype": "float64", "compat": "fortran",
       "newton_fallback": "model", "safeguard": False}  # fmt: skip
"""Options without a key, as the program has them."""

ALWAYS = {
    "pdftype": 0, "share_comps": False, "num_comps": -1, "do_mean": True,
    "scalestep": 1, "update_A": True, "update_c": True, "update_gm": True,
    "update_alpha": True, "update_mu": True, "update_beta": True, "load_rej": False,
    "load_A": False, "load_c": False, "load_gm": False, "load_alpha": False,
    "load_mu": False, "load_beta": False, "load_rho": False, "load_mean": False,
    "load_sphere": False, "load_comp_list": False, "load_all_param": False,
}  # fmt: skip
"""Keys that change a run, and for which there is no option here."""

KNOWN = (*FLAGS, *COUNTS, *NUMBERS, *TEXTS, *LISTS)

_DEFAULTS = {**FLAGS, **COUNTS, **NUMBERS}
_WIDTH = 15  # characters of a real number that the program reads
_LINE = 500  # characters of a line that the program reads
_MAX_BYTES = 1 << 20
_UNSAFE = re.compile(r"[\s;&|<>$`'\"()]")  # the program hands its folder to a shell


@dataclass(frozen=True)
class InputParam:
    """What a file tells Fortran AMICA to do.

    Attributes
    ----------
    options : AmicaOptions
        The fit that it asks for; where it says nothing, what the program does then.
    values : mapping of str to value
        Every key of the file that the program or EEGLAB knows: numbers, flags, the
        folder ``outdir``, the lists ``files``, ``num_samples`` and ``field_dim``.
    """

    options: AmicaOptions
    values: Mapping[str, Any]


def read_input_param(path: os.PathLike[str] | str) -> InputParam:
    r"""Read a file that Fortran AMICA was, or is to be, run with.

    Parameters
    ----------
    path : path-like
        The file, of EEGLAB's plugin or written by hand.

    Returns
    -------
    InputParam
        Every key, and the options of the same fit, with ``compat='fortran'``.

    Raises
    ------
    FileFormatError
        It is no such file, or a value is not of the kind of its key.

    Warns
    -----
    DataWarning
        A key is not known, a number is written in a way that the program takes
        otherwise, or something is asked for that is not done here.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from meegic.base.files import write_text
    >>> with TemporaryDirectory() as folder:
    ...     digest = write_text(f"{folder}/a", "lrate 0.05\npdftype 0")
    ...     read_input_param(f"{folder}/a").options.lrate
    0.05
    """
    path = Path(path)
    values: dict[str, Any] = {}
    for number, line in enumerate(_read_lines(path), 1):
        key, _, rest = line.strip().partition(" ")
        if not key or key.startswith("#"):
            continue
        where = f"{path}, line {number}"
        if key not in KNOWN:
            _warn(f"{where}: {key!r} is not a key of AMICA. {did_you_mean(key, KNOWN)}")
            continue
        values[key] = _parse(where, key, rest.strip())
    if not values:
        raise FileFormatError(
            f"{path} has no line that AMICA understands.",
            hint="Pass the file input.param, which has a key and its value per line.",
        )
    _warn_of_the_rest(path, values)
    return InputParam(_make_options(values), MappingProxyType(values))


def write_input_param(
    options: AmicaOptions,
    path: os.PathLike[str] | str,
    *,
    data_file: str,
    n_channels: int,
    n_times: int,
    folder: str = "amicaout",
    n_threads: int = 2,
) -> str:
    """Write a file with which Fortran AMICA makes the same fit.

    Its rank is that of an absolute bound: give ``n_components`` where channels are
    not independent.

    Parameters
    ----------
    options : AmicaOptions
        Made with ``compat='fortran'``, for the program has no other solver.
    path : path-like
        Where to write, usually ``input.param``.
    data_file : str
        The data, little-endian float32, channel by channel within each sample.
    n_channels, n_times : int
        Their size.
    folder : str
        Where the program writes, for `read_amicaout`.
    n_threads : int
        How many threads it takes.

    Returns
    -------
    str
        The sha256 of the file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from meegic.components.options import AmicaOptions
    >>> options = AmicaOptions(compat="fortran", n_components=20)
    >>> size = {"n_channels": 32, "n_times": 30504}
    >>> with TemporaryDirectory() as folder:
    ...     path = f"{folder}/input.param"
    ...     digest = write_input_param(options, path, data_file="a.fdt", **size)
    ...     read_input_param(path).values["pcakeep"]
    20
    """
    _check_options(options)
    check_count("n_channels", n_channels)
    check_count("n_times", n_times)
    check_count("n_threads", n_threads)
    values = {
        "files": _check_name("data_file", data_file),
        "outdir": _check_name("folder", folder),
        "num_samples": 1,
        "data_dim": n_channels,
        "field_dim": n_times,
        "pcakeep": options.n_components or n_channels,
        "mineig": 1e-12,
        "max_threads": n_threads,
        "block_size": 512,
        "do_opt_block": False,
        "writestep": options.max_iter,
        "write_LLt": True,
        **ALWAYS,
        **{key: getattr(options, name) for key, name in FIELDS.items()},
    }
    values["min_dll"] = 1e-9 if options.min_dll is None else options.min_dll
    lines = [f"{key} {_format(key, value)}\n" for key, value in values.items()]
    return write_text(Path(path), "".join(lines))


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        raise FileFormatError(
            f"{path} must be a file that AMICA is run with, but there is none.",
            hint="EEGLAB writes it as input.param to the folder of the output.",
        )
    with path.open("rb") as stream:
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES or b"\0" in content:
        raise FileFormatError(
            f"{path} must be text of at most {_MAX_BYTES} bytes, but it is not.",
            hint="Pass the file input.param, which has a key and its value per line.",
        )
    return content.decode(errors="surrogateescape").expandtabs(1).splitlines()


def _parse(where: str, key: str, text: str) -> Any:
    try:
        if key in TEXTS:
            return text
        if key == "files":
            return tuple(text.split())
        words = text.split()
        if key in LISTS:
            return tuple(int(one) for one in words)
        if key in FLAGS:
            return int(words[0]) == 1
        return int(words[0]) if key in COUNTS else _parse_number(where, key, words[0])
    except (IndexError, ValueError, OverflowError) as error:
        kind = "a number" if key in NUMBERS else "a whole number"
        raise FileFormatError(
            f"{where}: {key} must be {kind}, but it is {text!r}.",
            hint="The program would stop there too.",
        ) from error


def _parse_number(where: str, key: str, word: str) -> float:
    """Read a number as it is meant; the program has rules of its own."""
    number = float(word.lower().replace("d", "e"))
    if len(word) > _WIDTH and float(word[:_WIDTH].lower().rstrip("de+-")) != number:
        _warn(
            f"{where}: of {key} {word} the program reads {_WIDTH} characters only. "
            f"It is taken as {number:g} here."
        )
    elif "." not in word and number and key in FIELDS:
        _warn(
            f"{where}: {key} {word} has no decimal point, and the program would put "
            f"one before its last 12 digits. It is taken as {number:g} here."
        )
    return number


def _warn_of_the_rest(path: Path, values: Mapping[str, Any]) -> None:
    asked = {key: values.get(key, _DEFAULTS[key]) for key in ALWAYS}
    other = [f"{key} {int(asked[key])}" for key in ALWAYS if asked[key] != ALWAYS[key]]
    if other:
        _warn(
            f"{path} asks for what is not done here: {', '.join(other)}. "
            "Of starts, pass the loaded model to the fit."
        )


def _make_options(values: Mapping[str, Any]) -> AmicaOptions:
    given = {key: values.get(key, _DEFAULTS[key]) for key in FIELDS}
    if "num_mix" in values:  # another word for the same
        given["num_mix_comps"] = values["num_mix"]
    if not values.get("do_rho", True):
        given["rholrate"] = 0.0
    chosen = {FIELDS[key]: one for key, one in given.items() if one is not None}
    kept, n_channels = values.get("pcakeep"), values.get("data_dim")
    if given["do_sphere"] and kept != n_channels:
        chosen["n_components"] = kept
    return AmicaOptions(**RUN, solver="em", lrate0=chosen["lrate"], **chosen)


def _check_options(options: AmicaOptions) -> None:
    wanted = {**RUN, "lrate0": options.lrate}
    for name, value in wanted.items():
        if getattr(options, name) != value:
            raise OptionError(
                f"{name} must be {value!r} for the Fortran program, but got "
                f"{getattr(options, name)!r}.",
                hint="Make options of the program: AmicaOptions(compat='fortran').",
            )


def _check_name(name: str, text: str) -> str:
    if not text or _UNSAFE.search(text) or len(text) > _LINE - 10:
        raise OptionError(
            f"{name} must be a path of at most {_LINE - 10} characters without spaces, "
            f"quotes and brackets, which the program cannot read, but got {text!r}.",
            hint="Go to its folder, and pass the path from there.",
        )
    if text[-1] in "/\\" and name == "data_file":
        raise OptionError(f"data_file must be a file, but got the folder {text!r}.")
    return text


def _format(key: str, value: Any) -> str:
    if key not in NUMBERS:
        return str(int(value) if isinstance(value, bool) else value)
    word = repr(float(value))
    if "." not in word:  # the program would put one before the last digits
        word = word.replace("e", ".0e")
    if len(word) > _WIDTH:
        raise OptionError(
            f"{FIELDS.get(key, key)} must have at most {_WIDTH} characters, which is "
            f"what the program reads of a number, but got {word}.",
            hint="Round it.",
        )
    return word


def _warn(message: str) -> None:
    warn_user(message.rstrip(), DataWarning)
