"""The header of BrainVision recordings, held against the bytes that are there."""

from pathlib import Path

from meegic.base.damage import refuse_header
from meegic.bids.sizes import Size, parse_count
from meegic.bids.sniff import check_part

SAMPLE_BYTES = {"INT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}
"""Bytes of one number in a data file."""

MAX_BYTES = 16 << 20
"""Bytes of a header; hundreds of channels take some ten thousand."""


def measure_brainvision(path: Path) -> Size | None:
    """Read from a BrainVision header how long its data file should be.

    Parameters
    ----------
    path : Path
        The ``.vhdr``.

    Returns
    -------
    Size | None
        Length of the data file; nothing for samples written as text.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.vhdr"
    >>> size = path.write_text("DataFile=a.eeg")
    >>> measure_brainvision(path)
    Traceback (most recent call last):
    meegic.base.errors.InputError: ...a.vhdr names a.eeg, which is not there.
    """
    fields = _read_fields(path)
    if not fields.get("datafile"):
        refuse_header(path, "it names no DataFile")
    data = path.parent / fields["datafile"]
    check_part(data, owner=path)
    if fields.get("dataformat") != "BINARY":
        return None
    kind = fields.get("binaryformat", "")
    if kind not in SAMPLE_BYTES:
        refuse_header(path, f"its BinaryFormat is {kind!r}")
    n_channels = parse_count(
        path, "NumberOfChannels", fields.get("numberofchannels", "")
    )
    found, frame = data.stat().st_size, n_channels * SAMPLE_BYTES[kind]
    n_times = -(-found // frame)
    if "datapoints" in fields:
        n_times = parse_count(path, "DataPoints", fields["datapoints"])
    interleaved = fields.get("dataorientation", "").upper() == "MULTIPLEXED"
    return Size(data, found, n_times * frame, frame, interleaved=interleaved)


def _read_fields(path: Path) -> dict[str, str]:
    """Read the lines ``key=value`` of a BrainVision header; keys in lower case."""
    if (size := path.stat().st_size) > MAX_BYTES:
        refuse_header(path, f"it has {size} bytes, and {MAX_BYTES} are allowed")
    content = path.read_bytes().partition(b"[Comment]")[0]
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    pairs = (line.partition("=") for line in text.split("\n"))
    return {key.strip().lower(): value.strip() for key, _, value in pairs}
