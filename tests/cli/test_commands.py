"""What each command prints, writes and answers."""

import json
import os
import warnings
from pathlib import Path

import mne
import numpy as np
import pytest
import typer

import meegic as package
from meegic.pipeline.demo.state import Demo
from meegic.pipeline.doctor import Examination


def save(raw, path, change=None):
    data = raw.get_data()
    if change:
        data = change(data)
    changed = mne.io.RawArray(data, raw.info, verbose="error")
    changed.save(path, verbose="error", overwrite=True)
    return path


@pytest.fixture(scope="module")
def raw():
    return package.simulate_recording(
        "eeg19", duration_s=60, n_bad_channels=0, artifacts=["blink"]
    )[0]


def lose(data):
    data[3, 1000] = np.nan
    return data


def unplug(data):
    data[5] = 0
    return data


def lift(data):
    data[:19] *= 1e6
    return data


def center(data):
    data[:19] -= data[:19].mean(axis=0)
    return data


@pytest.mark.parametrize(
    ("change", "code", "verdict", "words"),
    [
        (None, 0, "ok", "ok: nothing implausible"),
        (lose, 4, "error", "the first is F3 at 4.000 s"),
        (unplug, 0, "warning", "F4 is flat."),
        (lift, 4, "error", "µV stored as V: multiply by 1e-6"),
        (center, 0, "note", "average-referenced: 19 channels have rank 18"),
    ],
    ids=["plain", "nan", "flat", "microvolt", "average"],
)
def test_check_says_the_right_thing(
    meegic, raw, tmp_path, change, code, verdict, words
):
    path = save(raw, tmp_path / "a_raw.fif", change)
    done = meegic("check", path)
    assert done.code == code, done.err
    assert done.out == f"{verdict}\t{path}\n"
    assert words in done.err


def test_check_refuses_a_truncated_file(meegic, raw, tmp_path):
    path = save(raw, tmp_path / "a_raw.fif")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    done = meegic("check", path)
    assert done.code == 4
    assert done.out == f"unreadable\t{path}\n"
    assert f"of {len(whole)} bytes" in done.err or "truncated" in done.err
    assert "hint: " in done.err


def test_check_goes_on_after_a_bad_recording_and_exits_with_three(
    meegic, raw, tmp_path
):
    good = save(raw, tmp_path / "good_raw.fif")
    bad = save(raw, tmp_path / "bad_raw.fif", lose)
    done = meegic("check", tmp_path / "none_raw.fif", bad, good)
    assert done.code == 3
    verdicts = [line.split("\t")[0] for line in done.out.splitlines()]
    assert verdicts == ["unreadable", "error", "ok"]


def test_check_takes_a_bids_folder_as_its_recordings(meegic, raw, tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"Name": "x"}')
    for subject in ("01", "02"):
        folder = tmp_path / f"sub-{subject}" / "eeg"
        folder.mkdir(parents=True)
        save(raw, folder / f"sub-{subject}_task-rest_eeg.fif")
    done = meegic("check", tmp_path)
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 2


def test_check_prints_one_json_document(meegic, raw, tmp_path):
    path = save(raw, tmp_path / "a_raw.fif", unplug)
    done = meegic("check", "--json", path, tmp_path / "none.fif")
    document = json.loads(done.out)
    assert document["schema"] == 1
    first, second = document["recordings"]
    assert first["ranks"] == {"eeg": 18}
    assert first["found"][0]["code"] == "flat"
    assert second["verdict"] == "unreadable"
    assert second["error"].startswith("no such file")


def test_row_87_file_names_with_escapes_are_shown_harmlessly(meegic, tmp_path):
    done = meegic("check", tmp_path / "\x1b[31mx.fif")
    assert done.out == f"unreadable\t{tmp_path}/?[31mx.fif\n"
    path, checking, error, *_ = sorted(done.err.splitlines())
    assert (path, checking) == (
        f"{tmp_path}/?[31mx.fif",
        "checking 1 of 1: ?[31mx.fif ...",
    )
    assert error.startswith("error: no such file")
    assert "\x1b" not in done.err


def test_row_87_names_with_escapes_are_shown_harmlessly(meegic, raw, tmp_path):
    evil = raw.copy().rename_channels({"F4": "\x1b[31m<b>F4"})
    path = save(evil, tmp_path / "a_raw.fif", unplug)
    done = meegic("check", path)
    assert "\x1b" not in done.err
    assert "?[31m<b>F4 is flat." in done.err


def test_simulate_writes_recording_and_truth(meegic, tmp_path):
    out = tmp_path / "simulated_raw.fif"
    done = meegic(
        *("simulate", "-o", out, "--layout", "eeg19", "--duration", 6),
        *("--n-models", 2, "--artifacts", "blink,line", "--seed", 7),
        *("--sfreq", 200, "--bad-channels", 2, "--line-freq", 60),
    )
    truth_path = tmp_path / "simulated_raw_truth.npz"
    assert done.code == 0, done.err
    assert done.out == f"{out}\n{truth_path}\n"
    raw = package.read_recording(out)
    truth = package.read_truth(truth_path)
    again, _ = package.simulate_recording(
        "eeg19",
        duration_s=6,
        sfreq=200,
        n_models=2,
        artifacts=["blink", "line"],
        n_bad_channels=2,
        line_freq_hz=60,
        random_state=7,
    )
    assert raw.ch_names == again.ch_names
    # the file holds float32
    assert np.allclose(raw.get_data(), again.get_data(), rtol=1e-6, atol=1e-12)
    assert truth.seed == 7
    assert set(truth.kinds) == {"brain", "eye blink", "line noise"}
    assert set(raw.annotations.description) == {"stimulus"}


def test_simulate_takes_a_name_for_the_truth_and_no_artifacts(meegic, tmp_path):
    done = meegic(
        *("simulate", "-o", tmp_path / "a_raw.fif", "--truth", tmp_path / "t.npz"),
        *("--artifacts", "none", "--duration", 5),
    )
    assert done.code == 0
    assert set(package.read_truth(tmp_path / "t.npz").kinds) == {"brain"}


def test_simulate_refuses_unknown_artifact_and_layout(meegic, tmp_path):
    out = tmp_path / "a_raw.fif"
    done = meegic("simulate", "-o", out, "--artifacts", "blink,muscles")
    assert done.code == 2
    assert "hint: Did you mean 'muscle'?" in done.err
    done = meegic("simulate", "-o", out, "--layout", "eeg63")
    assert done.code == 2
    assert "layout must be 'eeg19', 'eeg32'" in done.err
    assert not out.exists()


def test_simulate_names_the_options_that_were_typed(meegic, tmp_path):
    out = tmp_path / "a_raw.fif"
    assert "error: --seed must be" in meegic("simulate", "-o", out, "--seed", -1).err
    assert (
        "--bad-channels must" in meegic("simulate", "-o", out, "--bad-channels", 9).err
    )
    done = meegic("simulate", "-o", out, "--duration", "1e5", "--sfreq", "1e4")
    assert "hint: Lower --duration or --sfreq." in done.err


def test_simulate_takes_blanks_between_artifacts(meegic, tmp_path):
    out = tmp_path / "a_raw.fif"
    done = meegic("simulate", "-o", out, "--duration", 5, "--artifacts", "blink, ecg")
    assert done.code == 0


def test_check_of_a_name_that_is_too_long_is_no_bug(meegic):
    done = meegic("check", "a" * 300 + ".fif")
    assert done.code == 4
    assert "File name too long" in done.err


def test_simulate_refuses_another_format_by_name(meegic, tmp_path):
    done = meegic("simulate", "-o", tmp_path / "a.edf", "--duration", 5)
    assert done.code == 2
    assert "error: --out must end in .fif, but got 'a.edf'.\n" in done.err
    assert "hint: Use 'a.fif'.\n" in done.err


def test_simulate_refuses_to_write_the_truth_over_the_recording(meegic, tmp_path):
    out = tmp_path / "a_raw.fif"
    done = meegic("simulate", "-o", out, "--truth", out, "--duration", 5)
    assert done.code == 2
    assert "error: --truth must end in .npz, but got 'a_raw.fif'.\n" in done.err
    assert not out.exists()


def test_check_of_a_damaged_recording_leaves_the_others_alone(meegic, raw, tmp_path):
    good = save(raw, tmp_path / "good_raw.fif")
    huge = raw.copy().apply_function(lambda row: 1e200 * row, picks=["Fz"])
    huge.save(tmp_path / "huge_raw.fif", fmt="double", verbose="error")
    done = meegic("check", tmp_path / "huge_raw.fif", good)
    assert done.code == 3
    assert [line.split("\t")[0] for line in done.out.splitlines()] == ["error", "ok"]


def test_check_of_a_bids_folder_without_recordings_is_a_usage_error(meegic, tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"Name": "x"}')
    done = meegic("check", tmp_path)
    assert (done.code, done.out) == (2, f"unreadable\t{tmp_path}\n")
    assert "error: " in done.err


def test_check_passes_on_what_the_reader_said(meegic, raw, tmp_path, monkeypatch):
    def read(path):
        warnings.warn("two lines\nof a reader", RuntimeWarning, stacklevel=1)
        warnings.warn("old name", DeprecationWarning, stacklevel=1)
        return raw

    monkeypatch.setattr("meegic.pipeline.check.read_recording", read)
    done = meegic("check", "--json", tmp_path / "a_raw.fif")
    (found,) = json.loads(done.out)["recordings"][0]["found"]
    assert (found["code"], found["level"]) == ("reader", "warning")
    assert found["message"] == "two lines\nof a reader"


def test_a_name_with_a_line_break_stays_one_line(meegic, tmp_path):
    done = meegic("check", tmp_path / "no\nsuch.fif")
    assert done.out == f"unreadable\t{tmp_path}/no?such.fif\n"


def test_row_61_output_folder_that_is_missing_exits_with_five(meegic, tmp_path):
    done = meegic("simulate", "-o", tmp_path / "no" / "a_raw.fif", "--duration", 5)
    assert done.code == 5
    assert "cannot be written: No such file or directory" in done.err


def test_row_62_output_folder_that_is_a_file_exits_with_five(meegic, tmp_path):
    (tmp_path / "out").write_text("mine")
    done = meegic("demo", "--out", tmp_path / "out")
    assert done.code == 5
    assert (tmp_path / "out").read_text() == "mine"
    assert "cannot be written" in done.err


def test_doctor_shows_a_line_each_and_json(meegic):
    done = meegic("doctor")
    assert done.code == 0
    assert "Python" in done.err
    document = json.loads(meegic("doctor", "--json").out)
    assert document["schema"] == 1
    assert {one["verdict"] for one in document["rows"]} <= {"ok", "info", "warn"}


@pytest.mark.parametrize(("verdict", "code"), [("ok", 0), ("warn", 0), ("fail", 2)])
@pytest.mark.parametrize("json_too", [False, True])
def test_doctor_looks_at_the_folder_and_exits_with_two_on_a_fail(
    meegic, monkeypatch, verdict, code, json_too
):
    asked = []

    def examine(out):
        asked.append(out)
        return (Examination("Python", verdict, "3.11", "Do it right."),)

    monkeypatch.setattr("meegic.pipeline.doctor.examine", examine)
    done = meegic("doctor", "--out", "results", *["--json"] * json_too)
    assert done.code == code
    assert asked == [Path("results")]
    assert verdict in (done.out if json_too else done.err)


def test_progress_is_plain_lines_without_a_terminal(meegic, tmp_path):
    done = meegic("simulate", "-o", tmp_path / "a_raw.fif", "--duration", 5)
    assert done.err == "simulating ...\n"


def test_demo_meets_its_bounds_and_leaves_a_report(meegic, tmp_path):
    done = meegic("demo", "--out", tmp_path / "demo")
    assert done.code == 0, done.err
    assert done.out == f"{tmp_path / 'demo' / 'report.html'}\n"
    assert sorted(os.listdir(tmp_path / "demo")) == [
        "demo_raw.fif",
        "demo_truth.npz",
        "report.html",
    ]
    assert "missed" not in done.err


@pytest.mark.parametrize("asked", [True, False])
def test_demo_opens_its_page_only_when_asked(meegic, monkeypatch, tmp_path, asked):
    opened = []

    def run_demo(out, *, announce):
        return Demo(out, None, None)

    monkeypatch.setattr("meegic.pipeline.demo.run.run_demo", run_demo)
    monkeypatch.setattr(typer, "launch", opened.append)
    assert meegic("demo", "--out", tmp_path, *["--open"] * asked).code == 0
    assert opened == [str(tmp_path / "report.html")] * asked


def test_demo_that_misses_a_bound_exits_with_one(meegic, tmp_path, monkeypatch):
    def miss(demo):
        demo.compare_near("Something", 1.0, 2.0, 0.5, "Hz")

    monkeypatch.setattr("meegic.pipeline.demo.run.STEPS", (("missing", miss),))
    done = meegic("demo", "--out", tmp_path)
    assert done.code == 1
    assert "missed" in done.err
    assert "missed: Something." in (tmp_path / "report.html").read_text()
