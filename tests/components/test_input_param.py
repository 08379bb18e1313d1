"""The files of Fortran AMICA: what they ask for, and what we ask for with them."""

import re

import pytest

from meegic.base.errors import DataWarning, FileFormatError, OptionError
from meegic.components.input_param import (
    ALWAYS,
    COUNTS,
    FIELDS,
    FLAGS,
    KNOWN,
    NUMBERS,
    RUN,
    read_input_param,
    write_input_param,
)
from meegic.components.options import AmicaOptions

SIZE = {"data_file": "data/a.fdt", "n_channels": 32, "n_times": 30504}

# as EEGLAB's plugin writes it, with its rounding of 1e-8 to 0
EEGLAB = """\
files eeglab_data.fdt
outdir amicaouttmp/
block_size 512
do_opt_block 0
num_models 2
max_threads 4
min_dll 1.000000e-09
min_grad_norm 1.000000e-07
num_mix_comps 3
pdftype 0
max_iter 200
num_samples 1
data_dim 32
field_dim 30504
field_blocksize 1
share_comps 0
lrate 0.050000
minlrate 1.000000e-08
mineig 1.000000e-12
lratefact 0.500000
rholrate 0.050000
rho0 1.500000
minrho 1.000000
maxrho 2.000000
rholratefact 0.500000
do_newton 1
newt_start 50
newt_ramp 10
newtrate 1.000000
do_reject 1
numrej 3
rejsig 3.000000
rejstart 2
rejint 4
max_decs 3
fix_init 0
update_A 1
invsigmax 100.000000
invsigmin 0.000000
do_rho 1
load_W 0
do_mean 1
do_sphere 1
doPCA 1
pcakeep 32
byte_size 4
doscaling 1
scalestep 1
"""


def write(path, text):
    path.write_text(text)
    return path


def make_fortran(**given):
    return AmicaOptions(compat="fortran", min_dll=1e-9, **given)


@pytest.mark.parametrize(
    "options",
    [
        make_fortran(),
        make_fortran(n_models=3, n_mix=2, n_components=20, max_iter=7),
        make_fortran(lrate=0.05, lrate0=0.05, lratefact=0.25, minlrate=1.5e-12),
        make_fortran(rho0=1.75, minrho=1.25, maxrho=1.875, rholrate=0, rholratefact=1),
        make_fortran(do_newton=False, newt_start=3, newtrate=0.375, newt_ramp=4),
        make_fortran(min_nd=3e-7, use_grad_norm=False, use_min_dll=False, maxdecs=9),
        make_fortran(doscaling=False, fix_init=True, do_sphere=False, invsigmax=1e5),
        make_fortran(
            do_reject=True, reject_sigma=2.5, num_reject=2, reject_start=9, reject_int=6
        ),
    ],
)
def test_options_are_read_back_from_what_they_wrote(tmp_path, options):
    write_input_param(options, tmp_path / "input.param", **SIZE)
    assert read_input_param(tmp_path / "input.param").options == options


def test_an_own_inverse_scale_is_read_back(tmp_path):
    options = AmicaOptions(
        **RUN, solver="em", invsigmin=1e-8, invsigmax=50.0, min_dll=1e-9
    )
    write_input_param(options, tmp_path / "input.param", **SIZE)
    assert read_input_param(tmp_path / "input.param").options == options


def test_the_solvers_own_rule_of_gain_is_written_as_its_number(tmp_path):
    write_input_param(AmicaOptions(compat="fortran"), tmp_path / "a", **SIZE)
    assert read_input_param(tmp_path / "a").options.min_dll == 1e-9


def test_a_file_of_eeglab_is_read(tmp_path):
    found = read_input_param(write(tmp_path / "a", EEGLAB))
    assert found.options == make_fortran(
        n_models=2, max_iter=200, lrate=0.05, lrate0=0.05, min_nd=1e-7,
        do_reject=True, num_reject=3, reject_start=2, reject_int=4,
    )  # fmt: skip
    assert found.values["files"] == ("eeglab_data.fdt",)
    assert found.values["field_dim"] == (30504,)
    assert found.values["outdir"] == "amicaouttmp/"
    assert found.values["mineig"] == 1e-12
    assert found.values["do_sphere"] is True
    assert len(found.values) == len(EEGLAB.splitlines())
    with pytest.raises(TypeError):
        found.values["lrate"] = 1.0


def test_keys_that_are_not_given_have_the_values_of_the_program(tmp_path):
    path = write(tmp_path / "a", "# a note\n\n   pdftype 0  \n")
    options = read_input_param(path).options
    assert (options.lrate, options.rholratefact, options.newtrate) == (0.1, 0.1, 0.5)
    assert (options.do_newton, options.newt_start, options.maxdecs) == (False, 20, 5)
    assert (options.invsigmin, options.invsigmax) == (1e-4, 1000.0)
    assert (options.num_reject, options.reject_start, options.reject_int) == (1, 2, 3)
    assert (options.minlrate, options.min_nd, options.n_mix) == (1e-12, 1e-7, 3)


def test_every_key_of_the_program_is_read(tmp_path):
    texts = dict.fromkeys(FLAGS, "0") | dict.fromkeys(COUNTS, "7")
    texts |= dict.fromkeys(NUMBERS, "1.25") | {"outdir": "o", "indir": "i"}
    texts |= {"files": "a b", "num_samples": "1 1", "field_dim": "8 9"}
    texts |= {"invsigmax": "2.5", "lratefact": "0.5", "rholratefact": "0.5"}
    path = write(tmp_path / "a", "".join(f"{k} {v}\n" for k, v in texts.items()))
    with pytest.warns(DataWarning) as caught:
        values = read_input_param(path).values
    assert len(caught) == 1  # what is not done; no key is unknown
    assert set(values) == set(KNOWN) == set(texts)
    assert len(KNOWN) == 91
    assert set(FIELDS) < set(KNOWN)
    assert values["num_samples"] == (1, 1)
    assert (values["writestep"], values["print_debug"]) == (7, False)


def test_an_unknown_key_is_named_with_the_one_that_was_meant(tmp_path):
    path = write(tmp_path / "a", "pdftype 0\nnewt_strat 7\nlrate 0.25\n")
    message = r"line 2: 'newt_strat' is not a key of AMICA\. Did you mean 'newt_start'"
    with pytest.warns(DataWarning, match=message):
        assert read_input_param(path).options.lrate == 0.25


@pytest.mark.parametrize("key", sorted(ALWAYS))
def test_what_is_not_done_here_is_named(tmp_path, key):
    other = 1 if key == "pdftype" else int(not ALWAYS[key])
    path = write(tmp_path / "a", f"pdftype 0\n{key} {other}\n")
    with pytest.warns(DataWarning, match=f"not done here: {key} {other}\\."):
        read_input_param(path)


def test_without_a_family_of_densities_the_program_takes_another(tmp_path):
    with pytest.warns(DataWarning, match="not done here: pdftype 1"):
        read_input_param(write(tmp_path / "a", "lrate 0.1\n"))


def test_shapes_that_are_not_updated_have_the_rate_zero(tmp_path):
    path = write(tmp_path / "a", "pdftype 0\nrholrate 0.05\ndo_rho 0\n")
    assert read_input_param(path).options.rholrate == 0


def test_another_word_for_the_terms_and_fewer_components_are_understood(tmp_path):
    text = "pdftype 0\nnum_mix 4\ndata_dim 32\npcakeep 30\n"
    options = read_input_param(write(tmp_path / "a", text)).options
    assert (options.n_mix, options.n_components) == (4, 30)
    options = read_input_param(write(tmp_path / "a", f"{text}do_sphere 0\n")).options
    assert options.n_components is None  # the program does not reduce, then


@pytest.mark.parametrize(
    ("word", "number", "message"),
    [
        ("1", 1.0, "lrate 1 has no decimal point"),
        ("1e-2", 0.01, "no decimal point"),
        ("1.0000000000000000e-02", 0.01, "the program reads 15 characters only"),
        ("0.0100000000000000", 0.01, None),
        ("1.0d-2", 0.01, None),
        ("0.01", 0.01, None),
    ],
)
@pytest.mark.filterwarnings("error")
def test_numbers_that_the_program_takes_otherwise_are_named(
    tmp_path, word, number, message
):
    path = write(tmp_path / "a", f"pdftype 0\nlrate {word}\n")
    if message is None:
        assert read_input_param(path).options.lrate == number
        return
    with pytest.warns(DataWarning, match=re.escape(message)):
        assert read_input_param(path).options.lrate == number


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lrate fast", r"line 2: lrate must be a number, but it is 'fast'"),
        ("lrate", r"line 2: lrate must be a number, but it is ''"),
        ("max_iter 20.0", "max_iter must be a whole number, but it is '20.0'"),
        ("do_newton yes", "do_newton must be a whole number"),
        ("field_dim 1 x", "field_dim must be a whole number"),
    ],
)
def test_a_value_of_another_kind_is_refused(tmp_path, line, message):
    with pytest.raises(FileFormatError, match=message):
        read_input_param(write(tmp_path / "a", f"pdftype 0\n{line}\n"))


def test_what_cannot_be_is_refused_as_an_option(tmp_path):
    path = write(tmp_path / "a", "pdftype 0\nnum_models 0\n")
    with pytest.raises(OptionError, match="n_models must be a whole number >= 1"):
        read_input_param(path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="but there is none"):
        read_input_param(tmp_path / "nowhere")
    with pytest.raises(FileFormatError, match="but there is none"):
        read_input_param(tmp_path)
    (tmp_path / "a").write_bytes(bytes(80))
    with pytest.raises(FileFormatError, match="must be text of at most 1048576 bytes"):
        read_input_param(tmp_path / "a")
    with pytest.raises(FileFormatError, match="must be text of at most"):
        read_input_param(write(tmp_path / "b", "lrate 0.1\n" * 120_000))
    with pytest.raises(FileFormatError, match="has no line that AMICA understands"):
        read_input_param(write(tmp_path / "c", "# only a note\n\n"))


def test_lines_are_as_the_program_reads_them(tmp_path):
    """Names before counts; numbers with a point, and within fifteen characters."""
    options = make_fortran(minlrate=1e-8, min_nd=5e-7, n_components=30)
    write_input_param(options, tmp_path / "a", folder="out", n_threads=3, **SIZE)
    lines = dict(one.split(" ") for one in (tmp_path / "a").read_text().splitlines())
    order = list(lines)
    assert order.index("files") < order.index("num_samples")
    assert order.index("files") < order.index("field_dim")
    for key in NUMBERS.keys() & lines.keys():
        assert re.fullmatch(r"-?\d+\.\d+(e-?\d+)?", lines[key]), key
        assert len(lines[key]) <= 15
    assert lines["minlrate"] == "1.0e-08"
    assert (lines["outdir"], lines["max_threads"]) == ("out", "3")
    assert (lines["files"], lines["data_dim"]) == ("data/a.fdt", "32")
    assert (lines["pcakeep"], lines["do_newton"], lines["fix_init"]) == ("30", "1", "0")
    assert set(lines) < set(KNOWN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"compat": None}, "compat must be 'fortran' .*, but got None"),
        ({"newton_fallback": "all"}, "newton_fallback must be 'model'"),
        ({"maxincs": 6}, "maxincs must be 5"),
        ({"n_restarts": 2}, "n_restarts must be 1"),
        ({"dtype": "float32"}, "dtype must be 'float64'"),
        ({"lrate0": 0.2}, r"lrate0 must be 0\.1"),
        ({"lrate": 1 / 3, "lrate0": 1 / 3}, "lrate must have at most 15 characters"),
    ],
)
def test_options_that_the_program_does_not_have_are_refused(tmp_path, change, message):
    options = AmicaOptions(**{**RUN, "solver": "em", **change})
    with pytest.raises(OptionError, match=message):
        write_input_param(options, tmp_path / "a", **SIZE)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_file": "my data.fdt"}, "data_file must be a path .*without spaces"),
        ({"data_file": "x" * 500}, "at most 490 characters"),
        ({"data_file": "folder/"}, "data_file must be a file, but got the folder"),
        ({"folder": "out;rm"}, "folder must be a path"),
        ({"folder": ""}, "folder must be a path"),
        ({"n_channels": 0}, "n_channels must be a whole number"),
        ({"n_times": -1}, "n_times must be a whole number"),
        ({"n_threads": 0}, "n_threads must be a whole number"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_the_program_cannot_read_is_refused(tmp_path, change, message):
    given = {**SIZE, **change}
    with pytest.raises(OptionError, match=message):
        write_input_param(make_fortran(), tmp_path / "a", **given)
