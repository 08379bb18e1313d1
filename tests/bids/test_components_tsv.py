import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from meegic.base import files
from meegic.base.errors import (
    DataWarning,
    FileFormatError,
    InputError,
    IntegrityError,
    OptionError,
    OutputError,
)
from meegic.bids.components_columns import FIXED, LAST, PROBABILITIES
from meegic.bids.components_table import read_components_tsv
from meegic.bids.components_tsv import mark_component, write_components_tsv
from meegic.labels.result import ComponentLabels

PROBA = np.array(
    [
        [0.02, 0.0, 0.95, 0.0, 0.0, 0.0, 0.03],
        [0.75, 0.05, 0.1, 0.0, 0.0, 0.0, 0.1],
        [0.3, 0.05, 0.05, 0.0, 0.0, 0.0, 0.6],
    ]
)
# Written by mne-icalabel 0.10.0: one `write_components_tsv`, two `mark_component`.
REFERENCE = (
    "\tUnnamed: 0\tcomponent\ttype\tdescription\tstatus\tstatus_description"
    "\tannotate_method\tannotate_author\tic_type\n"
    "0\t0\t0\tica\tIndependent Component\tbad\tManually-annotated: eye blink"
    "\tmanual\tme\teye blink\n"
    "1\t1\t1\tica\tIndependent Component\tgood\t\t\t\tbrain\n"
    "2\t2\t2\tica\tIndependent Component\tbad\tAuto-detected with iclabel: "
    "muscle artifact\ticlabel\tme\tmuscle artifact\n"
)


class Ica:
    """What a table needs of an ICA."""

    def __init__(self, maps=None, **labels):
        maps = np.eye(4)[:, :3] if maps is None else np.asarray(maps, dtype=float)
        self.maps = maps
        self.n_components_ = maps.shape[1]
        self.ch_names = ["Fz", "Cz", "Pz", "Oz"]
        self.labels_ = labels

    def get_components(self):
        return self.maps


@pytest.fixture
def labels():
    return ComponentLabels("iclabel", PROBA, variance_explained=np.array([0.5, 0.2, 0]))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sub-01" / "sub-01_task-rest_components.tsv"


@pytest.fixture
def written(path, labels):
    write_components_tsv(Ica(), path, labels=labels, author="us")
    return path


def without_dates(path):
    """The cells of a file, the last own column apart."""
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    place = rows[0].index("annotate_date")
    return [[*row[:place], *row[place + 1 :]] for row in rows]


def rewrite(path, change):
    path.write_bytes(change(path.read_bytes().decode()).encode())


def journal_of(path):
    return path.with_name("sub-01_task-rest_decisions.jsonl")


def test_table_holds_all_that_the_network_said(written):
    table = read_components_tsv(written)
    assert written.read_text().splitlines()[0].split("\t") == list(table.columns)
    assert table["component"] == ("0", "1", "2")
    assert table["ic_type"] == table["label_auto"] == ("eye blink", "brain", "other")
    assert table["status"] == ("bad", "good", "good")
    assert table["annotate_method"] == ("iclabel",) * 3
    assert table["annotate_author"] == ("us",) * 3
    assert table["status_description"][0] == "Auto-detected with iclabel: eye blink"
    assert table["label_manual"] == ("n/a",) * 3
    assert table["prob_eye_blink"] == ("0.95", "0.1", "0.05")
    assert table["variance_explained"] == ("0.5", "0.2", "0")
    assert table["dipolarity"] == ("n/a",) * 3
    assert table["annotate_date"][0].endswith("+00:00")
    assert table.annotators == ("us",)
    assert table.columns[-3:] == LAST


def test_every_column_is_described_beside_what_was_there(path, labels):
    path.parent.mkdir()
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps({"ic_type": "a text", "mine": {"Units": "V"}}))
    write_components_tsv(Ica(), path, labels=labels)
    described = json.loads(sidecar.read_text())
    assert described["mine"] == {"Units": "V"}
    for column in read_components_tsv(path).columns:
        assert described[column]["Description"].endswith(".")
    assert set(described["ic_type"]["Levels"]) == set(PROBABILITIES.values())
    assert set(described["status"]["Levels"]) == {"good", "bad"}


def test_writing_twice_changes_nothing_but_the_date(written, labels):
    journal = journal_of(written).read_bytes()
    before = without_dates(written)
    write_components_tsv(Ica(), written, labels=labels, author="us")
    assert without_dates(written) == before
    assert journal_of(written).read_bytes() == journal


def test_ica_that_was_never_labelled_gives_good_rows(path):
    write_components_tsv(Ica(), path)
    table = read_components_tsv(path)
    assert table["status"] == ("good",) * 3
    assert table["ic_type"] == ("n/a",) * 3
    assert table["annotate_date"] == ("n/a",) * 3
    assert table.columns == FIXED


def test_labels_on_the_ica_are_written_with_their_probabilities(path):
    ica = Ica(eog=[0], brain=[1], other=[2], **{"eog/0/EOG": [1]})
    ica.labels_scores_ = PROBA
    write_components_tsv(ica, path)
    table = read_components_tsv(path)
    assert table["annotate_method"] == ("iclabel",) * 3
    assert table["prob_brain"] == ("0.02", "0.75", "0.3")
    ica.labels_ = {"eog": [0], "muscle": [1], "other": [2]}  # somebody has moved one
    write_components_tsv(ica, path)
    table = read_components_tsv(path)
    assert table["ic_type"] == ("eye blink", "muscle artifact", "other")
    assert table["label_auto"] == ("eye blink", "brain", "other")
    assert table["annotate_method"] == ("iclabel", "manual", "iclabel")
    assert table["status"] == ("bad", "bad", "good")


def test_component_in_two_classes_is_what_the_network_says_or_refused(path):
    ica = Ica(eog=[0, 1], brain=[1])
    with pytest.raises(InputError, match=r"component 1 stands .* \['brain', 'eog'\]"):
        write_components_tsv(ica, path)
    ica.labels_scores_ = PROBA
    write_components_tsv(ica, path)
    assert read_components_tsv(path)["ic_type"] == ("eye blink", "brain", "other")


def test_who_says_what_is_bad(path, labels):
    write_components_tsv(Ica(), path, labels=labels, bad_labels=["other"])
    assert read_components_tsv(path)["status"] == ("good", "good", "bad")
    with pytest.raises(OptionError, match="Did you mean 'other'"):
        write_components_tsv(Ica(), path, labels=labels, bad_labels=["othr"])


def test_models_have_rows_of_their_own(path):
    models = [Ica(), Ica(np.eye(4)[:, 1:])]
    both = SimpleNamespace(n_models=2, get_mne_ica=lambda h: models[h])
    proba = np.array([PROBA, PROBA[::-1]])
    proba[1, 2] = np.nan
    write_components_tsv(both, path, labels=ComponentLabels("iclabel", proba))
    table = read_components_tsv(path)
    assert table["model"] == ("0",) * 3 + ("1",) * 3
    assert table["ic_type"][3:] == ("other", "brain", "n/a")
    assert table["prob_brain"][5] == "n/a"
    mark_component(1, path, "manual", "heart beat", "me", model=1)
    table = read_components_tsv(path)
    assert table.find(1, 1)["ic_type"] == "heart beat"
    assert table.find(1, 0)["ic_type"] == "brain"
    with pytest.raises(InputError, match="labels are for 2 models of 3 components"):
        write_components_tsv(Ica(), path, labels=ComponentLabels("iclabel", proba))


def test_mark_changes_one_row_and_keeps_what_the_network_said(written):
    before = written.read_bytes().split(b"\n")
    mark_component(2, written, "manual", "heart beat", "me")
    after = written.read_bytes().split(b"\n")
    assert [one == two for one, two in zip(before, after, strict=True)] == [
        *(True, True, True, False, True)
    ]  # fmt: skip
    row = read_components_tsv(written).find(2)
    assert row["ic_type"] == row["label_manual"] == "heart beat"
    assert row["label_auto"] == "other"
    assert row["prob_other"] == "0.6"
    assert (row["status"], row["annotate_method"]) == ("bad", "manual")
    assert row["annotate_author"] == "me"
    assert row["status_description"] == "Manually-annotated: heart beat"


def test_marking_twice_is_marking_once(written):
    mark_component(2, written, "manual", "heart beat", "me")
    once = written.read_bytes(), journal_of(written).read_bytes()
    mark_component(2, written, "manual", "heart beat", "me")
    assert (written.read_bytes(), journal_of(written).read_bytes()) == once


def test_network_does_not_overrule_a_person(written):
    mark_component(1, written, "manual", "eye blink", "me")
    mark_component(1, written, "iclabel", "other", "machine")
    row = read_components_tsv(written).find(1)
    assert row["label_auto"] == "other"
    assert row["ic_type"] == "eye blink"
    assert (row["annotate_method"], row["annotate_author"]) == ("manual", "me")


def test_every_decision_of_every_author_is_kept(written):
    start = written.read_bytes()
    mark_component(2, written, "manual", "heart beat", "me")
    mark_component(2, written, "manual", "brain", "you")
    mark_component(0, written, "manual", "brain", "you")
    table = read_components_tsv(written)
    assert [one.author for one in table.decisions] == ["me", "you", "you"]
    assert table.decisions[1].before["ic_type"] == "heart beat"
    assert table.annotators == ("me", "us", "you")
    assert table["ic_type"] == ("brain", "brain", "brain")
    written.write_bytes(start)  # as if the table had been lost
    again = read_components_tsv(written)
    assert again["ic_type"] == ("eye blink", "brain", "other")
    assert again.replay().rows == table.rows


def test_row_88_half_a_line_is_ignored_and_then_replaced(written):
    mark_component(2, written, "manual", "heart beat", "me")
    journal = journal_of(written)
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines()[-1][:30])
    assert len(read_components_tsv(written).decisions) == 1
    mark_component(0, written, "manual", "brain", "you")
    assert journal.read_bytes().startswith(whole)
    assert [one.author for one in read_components_tsv(written).decisions] == [
        *("me", "you")
    ]  # fmt: skip
    journal.write_bytes(journal.read_bytes()[:-1])  # only the line end is missing
    assert len(read_components_tsv(written).decisions) == 2
    mark_component(1, written, "manual", "other", "me")
    assert len(read_components_tsv(written).decisions) == 3


@pytest.mark.parametrize(
    "line",
    [
        *(b"{", b"\xff", b"[]", b"3", b'{"time": "now"}'),
        b'{"time": "n", "author": "me", "model": 0, "component": "3", "before": {},'
        b' "after": {}}',
        b'{"schema": 1, "channels": ["Fz"], "maps": [[[1, 2]]]}',
    ],
)
def test_row_88_broken_line_inside_is_refused(written, line):
    journal = journal_of(written)
    journal.write_bytes(line + b"\n" + journal.read_bytes())
    with pytest.raises(IntegrityError, match=r"line 1 of .*decisions\.jsonl cannot be"):
        read_components_tsv(written)


def test_journal_of_a_newer_meegic_is_refused(written):
    journal = journal_of(written)
    journal.write_bytes(b'{"schema": 2, "maps": []}\n')
    with pytest.raises(IntegrityError, match="schema 2, but this meegic reads 1"):
        read_components_tsv(written)


def test_row_88_decision_is_in_the_journal_before_the_table(written, monkeypatch):
    def fail(*_):
        raise OutputError("the disk is full")

    monkeypatch.setattr("meegic.bids.components_tsv.write_text", fail)
    with pytest.raises(OutputError, match="disk is full"):
        mark_component(2, written, "manual", "heart beat", "me")
    table = read_components_tsv(written)
    assert table["ic_type"][2] == "other"
    assert table.replay()["ic_type"][2] == "heart beat"


def test_row_86_tables_edited_by_hand_are_read(written):
    lines = written.read_text().splitlines()
    del lines[2]  # component 1
    text = (
        "\ufeff" + "\r\n".join(one.replace("\t", " \t ") for one in lines) + "\r\n\r\n"
    )
    written.write_bytes(text.encode())
    table = read_components_tsv(written)
    assert table["component"] == ("0", "2")
    assert table["ic_type"] == ("eye blink", "other")
    mark_component(2, written, "manual", "brain", "me")
    after = written.read_bytes().decode()
    assert read_components_tsv(written)["ic_type"] == ("eye blink", "brain")
    assert after.split("\r\n")[:2] == text.split("\r\n")[:2]
    assert after.endswith("\r\n\r\n")
    assert after.count("\r\n") == after.count("\n") == 4


def test_row_86_label_that_somebody_typed_is_a_persons(written):
    rewrite(
        written, lambda text: text.replace("iclabel\tus\tother", "iclabel\tus\tbrain")
    )
    row = read_components_tsv(written).find(2)
    assert row["ic_type"] == row["label_manual"] == "brain"
    assert row["label_auto"] == "other"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("component\tic_type\n0\tbrain\n1\tblnk\n", "line 3: column 'ic_type': 'blnk'"),
        ("component\tic_type\n0\tbrian\n", "Did you mean 'brain'"),
        ("component\tmodel\n0\t0\n0\t1\n\n0\t0\n", "line 5: column 'component': 0 of"),
        ("component\tic_type\n\tbrain\n", "line 2: column 'component' must be a numb"),
        ("component\n-1\n", "line 2: column 'component' must be a number"),
        ("component\n\u0663\n", "line 2: column 'component' must be a number"),
        ("component\tmodel\n0\tx\n", "line 2: column 'model' must be a number"),
        ("component\tstatus\n0\tmaybe\n", "line 2: column 'status' must be good"),
        ("component\tcomponent\n0\t1\n", "line 1: column 'component' is there twice"),
        ("component\tic_type\n0\tbrain\tx\n", "line 2: it has more cells than the 2"),
        ("name\n0\n", "line 1: there is no column 'component'"),
        ("\n \n", "is empty"),
    ],
)  # fmt: skip
def test_row_86_what_cannot_be_right_is_named_by_line_and_column(path, text, message):
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_components_tsv(path)


def test_files_of_the_reference_come_out_clean(path):
    path.parent.mkdir()
    path.write_text(REFERENCE)
    table = read_components_tsv(path)
    assert table.columns == FIXED
    assert table["ic_type"] == ("eye blink", "brain", "muscle artifact")
    assert table["label_manual"] == ("eye blink", "n/a", "n/a")
    assert table["label_auto"] == ("n/a", "brain", "muscle artifact")
    assert table["annotate_author"] == ("me", "n/a", "me")
    mark_component(1, path, "manual", "brain", "you")
    header = path.read_text().splitlines()[0].split("\t")
    assert header == list(FIXED)
    assert read_components_tsv(path)["ic_type"] == table["ic_type"]


def test_words_of_mne_become_ours(path):
    path.parent.mkdir()
    words = ("eog", "ecg", "muscle", "line_noise", "ch_noise", "brain_other", "")
    rows = "".join(f"{k}\t{one}\n" for k, one in enumerate(words))
    path.write_text(f"component\tic_type\n{rows}")
    assert read_components_tsv(path)["ic_type"] == (
        *("eye blink", "heart beat", "muscle artifact", "line noise", "channel noise"),
        *("brain/other", "n/a"),
    )


def test_table_of_mne_bids_pipeline_keeps_its_own_columns(path):
    path.parent.mkdir()
    path.write_text(
        "component\ttype\tdescription\tstatus\tstatus_description\tmne_icalabel_labels\n"
        "0\tica\tIndependent Component\tbad\tAuto-detected EOG artifact\teye blink\n"
        "1\tica\tIndependent Component\tgood\tn/a\t brain \n"
    )
    table = read_components_tsv(path)
    assert table["status"] == ("bad", "good")
    assert table["mne_icalabel_labels"] == ("eye blink", " brain ")
    mark_component(1, path, "manual", "eye blink", "me")
    table = read_components_tsv(path)
    assert table.columns == (*FIXED, "mne_icalabel_labels")
    assert table["status_description"][0] == "Auto-detected EOG artifact"
    assert table["mne_icalabel_labels"] == ("eye blink", " brain ")


def test_foreign_columns_survive_a_new_labelling(written, labels):
    extra = ["comment", " see 12 s ", '"quoted', "=1+1"]
    lines = written.read_text().splitlines()
    added = [f"{one}\t{x}" for one, x in zip(lines, extra, strict=True)]
    written.write_text("\n".join(added) + "\n")
    write_components_tsv(Ica(), written, labels=labels)
    table = read_components_tsv(written)
    assert table["comment"] == tuple(extra[1:])
    assert table.columns[-1] == "comment"


def test_what_people_said_survives_a_new_labelling(written, labels):
    mark_component(2, written, "manual", "heart beat", "me")
    row = read_components_tsv(written).find(2)
    write_components_tsv(Ica(), written, labels=labels)
    assert read_components_tsv(written).find(2) == row


def test_row_90_decisions_follow_the_map_to_a_new_fit(written, labels):
    mark_component(0, written, "manual", "heart beat", "me")
    mark_component(2, written, "manual", "brain", "you")
    # The maps in another order and with other signs; the last one is gone.
    maps = np.column_stack([[0, 0, 0, 1], [0, 1, 0, 0], [-1, 0.1, 0, 0]])
    with pytest.warns(DataWarning, match="1 labels that people gave .* for components"):
        write_components_tsv(Ica(maps), written, labels=labels)
    table = read_components_tsv(written)
    assert table["label_manual"] == ("n/a", "n/a", "heart beat")
    assert table["ic_type"] == ("eye blink", "brain", "heart beat")
    assert table["annotate_author"][2] == "me"
    assert [(one.author, one.component) for one in table.stale] == [("you", 2)]
    assert table.replay().rows == table.rows
    write_components_tsv(Ica(maps), written, labels=labels)
    assert read_components_tsv(written)["label_manual"][2] == "heart beat"


def test_row_90_label_of_a_file_without_maps_is_kept_in_the_journal(path, labels):
    path.parent.mkdir()
    path.write_text(REFERENCE)
    with pytest.warns(DataWarning, match="1 labels that people gave"):
        write_components_tsv(Ica(), path, labels=labels)
    table = read_components_tsv(path)
    assert table["label_manual"] == ("n/a",) * 3
    (kept,) = table.stale
    assert (kept.component, kept.after["ic_type"]) == (0, "eye blink")


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "=cmd|' /C calc'!A0", "a\x1b[31m\x0b\x85b"]
)
def test_row_87_names_stand_literally_in_the_table(written, name):
    mark_component(0, written, "manual", "brain", name)
    assert read_components_tsv(written).find(0)["annotate_author"] == name
    assert len(read_components_tsv(written)) == 3


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\rb", " "])
def test_row_87_what_would_break_the_table_is_refused(written, text):
    before = written.read_bytes()
    with pytest.raises(InputError, match="author must be text without tabs"):
        mark_component(0, written, "manual", "brain", text)
    with pytest.raises(InputError, match="label must be text without tabs"):
        mark_component(0, written, "manual", text, "me", strict_label=False)
    assert written.read_bytes() == before


def test_new_words_are_allowed_by_the_sidecar(written):
    with pytest.raises(OptionError, match=r"label must be .* but got 'saccade'"):
        mark_component(0, written, "manual", "saccade", "me")
    mark_component(0, written, "manual", "saccade", "me", strict_label=False)
    row = read_components_tsv(written).find(0)
    assert (row["ic_type"], row["status"]) == ("saccade", "bad")
    described = json.loads(written.with_suffix(".json").read_text())
    assert "saccade" in described["label_manual"]["Levels"]
    mark_component(1, written, "manual", "saccade", "me", strict_label=False)
    mark_component(2, written, "manual", "brain", "me")
    assert read_components_tsv(written)["ic_type"] == ("saccade", "saccade", "brain")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"method": "banana"}, OptionError, "method must be 'manual', 'iclabel' or"),
        ({"component": 7}, InputError, "has no component 7 of model 0; it has 3 rows"),
        ({"model": 1}, InputError, "has no component 0 of model 1"),
        ({"component": True}, OptionError, "component must be a whole number"),
        ({"component": -1}, OptionError, "component must be a whole number"),
        ({"author": None}, TypeError, "author must be text"),
        ({"label": "eog"}, OptionError, "label must be"),
        ({"fname": "a.csv"}, OptionError, r"fname must end in \.tsv"),
        ({"fname": "nowhere.tsv"}, InputError, "no such file: nowhere.tsv"),
    ],
)  # fmt: skip
def test_wrong_marks_are_refused_and_change_nothing(written, given, error, message):
    before = written.read_bytes(), journal_of(written).read_bytes()
    call = {
        "component": 0, "fname": written, "method": "manual", "label": "brain",
        "author": "me",
    }  # fmt: skip
    with pytest.raises(error, match=message):
        mark_component(**call | given)
    assert (written.read_bytes(), journal_of(written).read_bytes()) == before


def test_component_is_found_by_its_value(path):
    path.parent.mkdir()
    path.write_text("component\n7\n3\n")
    mark_component(3, path, "manual", "brain", "me")
    assert read_components_tsv(path)["ic_type"] == ("n/a", "brain")
    with pytest.raises(InputError, match="no component 0"):
        mark_component(0, path, "manual", "brain", "me")


def test_paths_of_mne_bids_are_taken(written):
    named = SimpleNamespace(fpath=written)
    mark_component(0, named, "manual", "brain", "me")
    assert read_components_tsv(named)["ic_type"][0] == "brain"


def test_what_is_no_ica_is_refused(path):
    with pytest.raises(TypeError, match="ica must be a fitted"):
        write_components_tsv(np.zeros(3), path)


def test_megnet_has_columns_of_its_own(path):
    proba = np.eye(4)[:3]
    write_components_tsv(Ica(), path, labels=ComponentLabels("megnet", proba))
    table = read_components_tsv(path)
    assert table["ic_type"] == ("brain/other", "eye blink", "heart beat")
    assert table["status"] == ("good", "bad", "bad")
    assert [one for one in table.columns if one.startswith("prob_")] == [
        *("prob_brain_other", "prob_eye_blink", "prob_heart_beat", "prob_eye_movement")
    ]  # fmt: skip
    assert table["prob_brain_other"] == ("1", "0", "0")


def test_damaged_tables_are_read_or_refused(written):
    mark_component(2, written, "manual", "heart beat", "me")
    table = read_components_tsv(written)
    whole = {one: one.read_bytes() for one in (written, journal_of(written))}
    rng = np.random.default_rng(0)
    for k in range(150):
        path = list(whole)[k % 2]
        damaged = bytearray(whole[path])
        for place in rng.integers(len(damaged), size=rng.integers(1, 6)):
            damaged[place] = rng.integers(256)
        damaged = damaged[: rng.integers(1, len(damaged) + 1)]
        path.write_bytes(bytes(damaged))
        try:
            found = read_components_tsv(written)
        except (InputError, IntegrityError):
            continue
        finally:
            path.write_bytes(whole[path])
        assert len(found) <= len(table)
        assert found.columns[:11] == table.columns[:11]


def test_table_that_is_too_large_is_not_read(written, monkeypatch):
    monkeypatch.setattr("meegic.bids.tsv.MAX_BYTES", 100)
    with pytest.raises(IntegrityError, match="and 100 are allowed"):
        read_components_tsv(written)


def test_table_that_is_no_text_is_refused(path):
    path.parent.mkdir()
    path.write_bytes(b"component\n\xff\n")
    with pytest.raises(IntegrityError, match="cannot be used"):
        read_components_tsv(path)


def test_row_88_two_annotators_at_once_lose_nothing(tmp_path):
    path = tmp_path / "sub-01_components.tsv"
    write_components_tsv(SimpleNamespace(n_components_=24, labels_={}), path)

    def mark(annotator):
        for component in range(annotator, 24, 3):
            mark_component(component, path, "manual", "eye blink", f"one {annotator}")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(mark, range(3)))
    table = read_components_tsv(path)
    assert set(table["status"]) == {"bad"}
    assert len(table.decisions) == 24
    assert {one.name for one in tmp_path.iterdir()} == {
        "sub-01_components.tsv", "sub-01_components.json", "sub-01_decisions.jsonl",
    }  # fmt: skip


def test_row_61_full_disk_leaves_the_journal_readable(tmp_path, monkeypatch):
    path = tmp_path / "sub-01_components.tsv"
    write_components_tsv(SimpleNamespace(n_components_=2, labels_={}), path)
    mark_component(0, path, "manual", "eye blink", "me")
    text = path.read_text()

    def write_half(descriptor, content):
        monkeypatch.undo()
        os.write(descriptor, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "write", write_half)
    with pytest.raises(OutputError, match=r"bytes more.*No space left"):
        mark_component(1, path, "manual", "brain", "me")
    assert path.read_text() == text
    assert len(read_components_tsv(path).decisions) == 1
    mark_component(1, path, "manual", "brain", "me")
    assert [one.component for one in read_components_tsv(path).decisions] == [0, 1]


@pytest.mark.parametrize("edited", ["ic_type", "label_manual"])
def test_row_86_label_that_was_edited_last_counts(tmp_path, edited):
    path = tmp_path / "sub-01_components.tsv"
    write_components_tsv(SimpleNamespace(n_components_=2, labels_={}), path)
    mark_component(0, path, "manual", "other", "me")
    header, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    rows[0][header.index(edited)] = "brain"  # mne-icalabel changes ic_type alone
    path.write_text("\n".join("\t".join(one) for one in [header, *rows]) + "\n")
    table = read_components_tsv(path)
    assert table["ic_type"][0] == table["label_manual"][0] == "brain"
    mark_component(1, path, "manual", "heart beat", "you")
    assert read_components_tsv(path)["ic_type"] == ("brain", "heart beat")
