"""The file formats of recordings, told apart by extension."""

from pathlib import Path

FORMATS: dict[str, tuple[str, ...]] = {
    ".ahdr": (),
    ".asc": (),
    ".bdf": (),
    ".bin": (),
    ".cdt": (),
    ".cdt.cef": (),
    ".cdt.dpa": (),
    ".cef": (),
    ".cnt": (),
    ".con": (),
    ".dap": (),
    ".dat": (),
    ".data": (),
    ".ds": (),
    ".edf": (),
    ".eeg": (),
    ".fif": (),
    ".fif.gz": (),
    ".gdf": (),
    ".hdr": (),
    ".lay": (),
    ".mat": ("pymatreader",),
    ".mefd": (),
    ".mff": ("mffpy", "defusedxml"),
    ".nedf": ("defusedxml",),
    ".ns3": (),
    ".nxe": (),
    ".rs3": (),
    ".set": (),
    ".snirf": ("h5py",),
    ".sqd": (),
    ".txt": (),
    ".vhdr": (),
}
"""Every extension that is opened, and the packages of the extra `io` it needs."""

HDF5_NEEDS = ("pymatreader", "h5py")
"""What a ``.mat`` or ``.set`` of MATLAB 7.3 needs, which is an HDF5 file."""

FOLDERS = (".ds", ".mefd", ".mff")
"""Formats whose recording is a folder."""

UNLISTED = (".cdt.cef", ".cdt.dpa", ".cef", ".dap", ".rs3", ".txt")
"""Opened when they are named; in a folder they are companions of Curry, or notes."""


def get_extension(path: Path) -> str:
    """Give the extension of a recording, in lower case; two suffixes where known.

    Parameters
    ----------
    path : Path
        Any path; it need not exist.

    Returns
    -------
    str
        A key of `FORMATS` where there is one, else the last suffix.

    Examples
    --------
    >>> get_extension(Path("sub-01_raw.FIF.gz"))
    '.fif.gz'
    """
    suffixes = [one.lower() for one in path.suffixes[-2:]]
    both = "".join(suffixes)
    return both if both in FORMATS else "".join(suffixes[-1:])
