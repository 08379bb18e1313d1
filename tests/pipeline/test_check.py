"""Recordings are checked by path: what is said of each, and the exit code of all."""

import warnings

import pytest

from meegic.base import errors
from meegic.pipeline import check
from meegic.pipeline.check import check_paths, exit_code, to_document
from meegic.simulation.edge.recording import simulate_recording


@pytest.fixture(scope="module")
def raw():
    """Nothing is implausible here."""
    return simulate_recording("eeg19", duration_s=30, artifacts=[], n_bad_channels=0)[0]


@pytest.fixture(scope="module")
def loud(raw):
    return raw.copy().apply_function(lambda row: 1e6 * row, picks="eeg")


@pytest.fixture
def checked(monkeypatch):
    """Check recordings whose reader returns, warns or raises these."""

    def run(*outcomes):
        waiting = iter(outcomes)

        def read(_path):
            outcome = next(waiting)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(check, "read_recording", read)
        return check_paths([f"{number}.fif" for number in range(len(outcomes))])

    return run


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.OptionError, 2),
        (errors.MissingDependencyError, 2),
        (errors.FileFormatError, 4),
        (errors.InputError, 4),
    ],
)
def test_single_refusal_keeps_its_words_and_its_exit_code(checked, kind, code):
    result = checked(kind("It went wrong.", hint="Do it right."))
    assert exit_code(result) == code
    assert to_document(result)["recordings"] == [
        {
            "path": "0.fif",
            "verdict": "unreadable",
            "error": "It went wrong.",
            "hint": "Do it right.",
        }
    ]


def test_system_error_is_a_refusal_of_the_recording(checked):
    (result,) = checked(OSError(5, "Input/output error"))
    assert result.error.message == "0.fif cannot be opened: Input/output error."


@pytest.mark.parametrize("error", [errors.OutputError("full"), ZeroDivisionError()])
def test_fault_that_is_not_of_the_recording_is_not_blamed_on_it(checked, error):
    with pytest.raises(type(error)):
        checked(error)


def test_batch_with_a_refusal_goes_on_and_has_its_own_exit_code(checked, raw):
    result = checked(errors.OptionError("It went wrong."), raw)
    assert [one.verdict for one in result] == ["unreadable", "ok"]
    assert exit_code(result) == 3


def test_warning_is_no_failure_but_an_error_is(checked, raw, loud):
    flat = raw.copy().apply_function(lambda row: 0 * row, picks=[3])
    (result,) = checked(flat)
    assert (result.verdict, exit_code([result])) == ("warning", 0)
    (result,) = checked(loud)
    assert (result.verdict, exit_code([result])) == ("error", 4)


def test_reader_is_quoted_once_for_each_warning_and_after_the_errors(monkeypatch, loud):
    said = [
        ("first", errors.DataWarning),
        ("first", errors.DataWarning),
        ("second", RuntimeWarning),
        ("third", DeprecationWarning),
    ]

    def read(_path):
        for words, kind in said:
            warnings.warn(words, kind, stacklevel=1)
        return loud

    monkeypatch.setattr(check, "read_recording", read)
    (result,) = check_paths(["a.fif"])
    assert [one.message for one in result.findings.found[1:]] == ["first", "second"]
    assert result.findings.codes() == ("unit", "reader", "reader")
    assert result.verdict == "error"


def test_folder_that_is_no_data_set_is_a_refused_recording(tmp_path):
    (result,) = check_paths([tmp_path])
    assert result.verdict == "unreadable"


def test_data_set_without_recordings_leaves_the_others_alone(tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"Name": "x"}')
    result = check_paths([tmp_path, "none.fif"])
    assert [one.path for one in result] == [str(tmp_path), "none.fif"]
    assert [one.verdict for one in result] == ["unreadable"] * 2
    assert exit_code(result[:1]) == 2


def test_every_recording_is_announced_with_its_number(monkeypatch, raw):
    said = []
    monkeypatch.setattr(check, "read_recording", lambda _path: raw)
    check_paths(["in/a.fif", "in/b.fif"], announce=said.append)
    assert said == ["checking 1 of 2: a.fif", "checking 2 of 2: b.fif"]
