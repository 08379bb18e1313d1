"""Tables as tab-separated text: read as people leave them, changed cell by cell."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from meegic.base.errors import FileFormatError, InputError
from meegic.base.files import blame, open_checked

MISSING = "n/a"
"""What BIDS writes where nothing is known."""

MAX_BYTES = 64 << 20

_MARK = "\ufeff"  # the byte order mark that some editors put first


class Line(NamedTuple):
    """One line: its cells as they stand there, and what ends it.

    Attributes
    ----------
    number : int
        Counted from 1, as editors do.
    cells : tuple of str
        With the spaces around them.
    end : str
        A newline of either kind; nothing for the last line of some files.
    """

    number: int
    cells: tuple[str, ...]
    end: str


def read_lines(path: Path) -> list[Line]:
    r"""Read the lines of a table, of which the first one is the header.

    Nothing is guessed: every cell is text. Empty lines stay, but for those above.

    Parameters
    ----------
    path : Path
        A file in UTF-8 of at most 64 MiB.

    Returns
    -------
    list of Line
        At least the header.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.tsv")
    ...     _ = path.write_bytes(b"component\tstatus\r\n0\tgood\r\n")
    ...     [line.cells for line in read_lines(path)]
    [('component', 'status'), ('0', 'good')]
    """
    if not path.exists():
        raise InputError(f"no such file: {path}.")
    with open_checked(path, digest=None, max_bytes=MAX_BYTES) as stream:
        content = stream.read()
    with blame(f"{path}"):
        text = content.decode()
    lines = list(_cut(text))
    while lines and is_blank(lines[0]):
        lines.pop(0)
    if not lines:
        raise FileFormatError(f"{path} is empty: it must begin with the column names.")
    return lines


def _cut(text: str) -> Iterator[Line]:
    parts = text.split("\n")  # str.splitlines would cut at other characters as well
    for index, part in enumerate(parts):
        end = "\n" if index < len(parts) - 1 else ""
        if part.endswith("\r"):
            part, end = part[:-1], f"\r{end}"
        if part or end:
            yield Line(index + 1, tuple(part.split("\t")), end)


def is_blank(line: Line) -> bool:
    """Tell whether a line holds nothing.

    Examples
    --------
    >>> is_blank(Line(3, (" ", ""), ""))
    True
    """
    return not any(one.strip().strip(_MARK) for one in line.cells)


def take_cell(line: Line, place: int) -> str:
    """Give a cell without the spaces around it; ``'n/a'`` where there is none.

    Examples
    --------
    >>> take_cell(Line(2, ("0", " bad "), ""), 1), take_cell(Line(2, ("0",), ""), 1)
    ('bad', 'n/a')
    """
    cell = line.cells[place] if place < len(line.cells) else ""
    return cell.strip().lstrip(_MARK).strip() or MISSING


def put_cells(line: Line, cells: dict[int, str]) -> Line:
    """Change some cells of a line, by their places.

    Examples
    --------
    >>> put_cells(Line(2, ("0", "bad", "x"), ""), {1: "good"}).cells
    ('0', 'good', 'x')
    """
    wide = [*line.cells, *[MISSING] * (max(cells, default=0) + 1 - len(line.cells))]
    for place, cell in cells.items():
        wide[place] = cell
    return line._replace(cells=tuple(wide))


def join_lines(lines: Sequence[Line]) -> str:
    r"""Give the text of lines, each as it was unless it was changed.

    Examples
    --------
    >>> join_lines([Line(1, ("component", "status"), "\r\n")])
    'component\tstatus\r\n'
    """
    return "".join("\t".join(one.cells) + one.end for one in lines)
