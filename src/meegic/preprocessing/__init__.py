"""The public names of preprocessing, under the import paths that users know."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, submodules=["ica"], submod_attrs={"ica": ["FastICA"]}
)
