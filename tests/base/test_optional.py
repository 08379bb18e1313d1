"""Optional packages: found, missing or broken, and each is told apart."""

import json
import sys

import pytest

from meegic.base.errors import MissingDependencyError
from meegic.base.optional import import_optional


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make a package of the given source importable for one test."""

    def make(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        return name

    yield make
    for name in {path.stem for path in tmp_path.glob("*.py")} & set(sys.modules):
        del sys.modules[name]


def test_an_installed_module_is_returned():
    assert import_optional("json", extra="io") is json
    assert import_optional("os.path", extra="io") is sys.modules["os.path"]


@pytest.mark.parametrize("name", ["meegic_absent", "meegic_absent.part"])
def test_a_missing_module_tells_what_to_install(name):
    words = rf"^{name} is not installed\. pip install 'meegic\[bids\]'$"
    with pytest.raises(MissingDependencyError, match=words) as caught:
        import_optional(name, extra="bids")
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import meegic_inner", "No module named 'meegic_inner'"),
        ("import meegic_broke", "No module named 'meegic_broke'"),
        ("from json import absent", "cannot import name 'absent' from 'json'"),
        ("raise ImportError('no libfoo.so')", "no libfoo.so"),
        ("raise ModuleNotFoundError('moved')", "moved"),
    ],
)
def test_a_broken_module_is_not_called_missing(package, source, words):
    name = package("meegic_broken", source)
    words = rf"^{name} is installed, but its import fails: {words}.*meegic\[bids\]"
    with pytest.raises(MissingDependencyError, match=words) as caught:
        import_optional(name, extra="bids")
    assert type(caught.value.__cause__) in (ImportError, ModuleNotFoundError)


def test_other_errors_of_a_module_are_not_hidden(package):
    name = package("meegic_wrong", "1 / 0")
    with pytest.raises(ZeroDivisionError):
        import_optional(name, extra="bids")
