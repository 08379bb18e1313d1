"""The page is whole, escapes everything and fetches nothing."""

import errno
import os
import re
from html.parser import HTMLParser

import jinja2
import pytest

from meegic.base.errors import OutputError
from meegic.pipeline.report import Section, Table, embed, write_report

EVIL = "<img src=x onerror=alert(1)>\"'&=cmd|' /C calc'!A0"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        self.sources += [values[key] for key in ("src", "href") if key in values]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def page(tmp_path):
    write_report(
        tmp_path / "report.html",
        title=EVIL,
        verdict=EVIL,
        good=False,
        sections=[
            Section(
                EVIL,
                EVIL,
                Table((EVIL,), ((EVIL,),), ("bad",)),
                ((EVIL, embed(b"picture")),),
            )
        ],
    )
    return (tmp_path / "report.html").read_text()


def test_row_87_names_are_text_wherever_they_stand(page):
    parsed = Page(page)
    assert parsed.tags.count("img") == 1
    assert "script" not in parsed.tags
    assert parsed.words.count(EVIL) >= 7


def test_nothing_is_fetched(page):
    assert all(
        one.startswith(("data:image/png;base64,", "#")) for one in Page(page).sources
    )
    assert not re.search(r"https?://", page)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert policy in page


def test_bad_verdict_is_red(page):
    assert '<p class="verdict bad">' in page


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_report(
            tmp_path / name, title="t", verdict="v", good=True, sections=[Section("s")]
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_are_marked_and_links_lead_to_every_section(tmp_path):
    table = Table(("what",), (("a",), ("b",)), ("good", "bad"))
    write_report(
        tmp_path / "report.html",
        title="t",
        verdict="v",
        good=True,
        sections=[Section("first", table=table), Section("second")],
    )
    text = (tmp_path / "report.html").read_text()
    assert '<p class="verdict">v</p>' in text
    rows = '<tr class="good"><td>a</td></tr>\n<tr class="bad"><td>b</td></tr>'
    assert rows in text
    links = re.findall(r'<a href="#([^"]+)"', text)
    assert links == re.findall(r'<section id="([^"]+)"', text) == ["part-1", "part-2"]


def test_old_page_stays_where_the_new_one_cannot_be_put(tmp_path, monkeypatch):
    def fail(*_args):
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "report.html").write_text("old")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="Input/output error"):
        write_report(
            tmp_path / "report.html", title="t", verdict="v", good=True, sections=[]
        )
    assert (tmp_path / "report.html").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_unknown_name_in_the_template_is_an_error(tmp_path, monkeypatch):
    template = jinja2.DictLoader({"report.html.j2": "{{ nobody }}"})
    monkeypatch.setattr(jinja2, "PackageLoader", lambda _package: template)
    with pytest.raises(jinja2.UndefinedError, match="'nobody' is undefined"):
        write_report(tmp_path / "a", title="t", verdict="v", good=True, sections=[])
