"""One self-contained HTML page from sections of text, tables and pictures.

Nothing is fetched: pictures are inside the page, there is no script, and a content
policy in the page forbids both to whoever might smuggle one in with a channel name.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from meegic.base.files import write_text


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes
    ----------
    head : tuple of str
        Names of the columns.
    rows : tuple of tuple of str
        The cells.
    marks : tuple of str
        One class per row: ``''``, ``'good'``, ``'warning'`` or ``'bad'``.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    title : str
        Its heading.
    text : str
        What the reader should know before looking.
    table : Table | None
        A table.
    pictures : tuple of (caption, picture)
        Pictures as data addresses, from `embed`.
    """

    title: str
    text: str = ""
    table: Table | None = None
    pictures: tuple[tuple[str, str], ...] = field(default=())


def embed(png: bytes) -> str:
    """Give a picture as an address that the page can hold.

    Examples
    --------
    >>> embed(b"")
    'data:image/png;base64,'
    """
    return "data:image/png;base64," + base64.b64encode(png).decode()


def write_report(
    path: Path | str,
    *,
    title: str,
    verdict: str,
    good: bool,
    sections: Sequence[Section],
) -> None:
    """Write the page.

    Parameters
    ----------
    path : path
        Where.
    title : str
        The heading of the page.
    verdict : str
        One line that says how it went.
    good : bool
        Whether it went well; otherwise the line is red.
    sections : sequence of Section
        The parts of the page.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_report(
    ...         f"{folder}/report.html",
    ...         title="A recording",
    ...         verdict="All is well.",
    ...         good=True,
    ...         sections=[Section("Facts", "There are none.")],
    ...     )
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("meegic.pipeline"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2")
    write_text(
        path,
        page.render(title=title, verdict=verdict, good=good, sections=sections),
    )
