"""Import of Gradio without its stub files, which saves a third of the time of `import gradio`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_MODULE, _WRITER = "gradio.component_meta", "create_or_modify_pyi"


def skip_stub_files() -> None:
    """Keep Gradio from writing stub files. Call it before the first `import gradio`; later it has no effect.

    For each class of a component Gradio parses its source and writes a `.pyi` file beside it, at every import. Only
    editors read these files. A version of Gradio without this step is imported as it is.
    """
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the one module that writes the files, and have its writer removed when it is loaded."""
        if fullname != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_without_writer(module: ModuleType) -> None:
            load(module)
            if hasattr(module, _WRITER):
                setattr(module, _WRITER, lambda *_: None)

        spec.loader.exec_module = load_without_writer
        return spec
