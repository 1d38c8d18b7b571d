"""Gradio's import without what the page has no use for, which takes more than half of its time."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Any


@contextmanager
def imports() -> Iterator[None]:
    """While Gradio is imported: no type stubs and no texts of help are written for its components, and pandas
    is imported by whoever uses it first, which in the studio is nobody."""
    if "gradio" in sys.modules:
        yield
        return
    finder = _Lean()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def _no_stubs(module: ModuleType) -> None:
    module.create_or_modify_pyi = _nothing  # type: ignore[attr-defined]


def _no_help(module: ModuleType) -> None:
    module.EventListener.set_doc = _nothing


def _nothing(*_: Any, **__: Any) -> None:
    """In the place of what is left out."""


_CHANGES: dict[str, Callable[[ModuleType], None]] = {
    "gradio.component_meta": _no_stubs,
    "gradio.events": _no_help,
}
_LATER = "pandas"


class _Lean(MetaPathFinder):
    """Finds the modules that are changed once they are loaded, and those that are loaded when first used."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As Python does, with another loader."""
        if name not in _CHANGES and name != _LATER:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            change = _CHANGES.get(name)
            spec.loader = _Changing(spec.loader, change) if change else LazyLoader(spec.loader)
        return spec


class _Changing(Loader):
    def __init__(self, loader: Loader, change: Callable[[ModuleType], None]) -> None:
        self._loader, self._change = loader, change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the loader does, then the change."""
        self._loader.exec_module(module)
        self._change(module)
