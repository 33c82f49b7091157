"""The exported code is complete, and nothing of the package is left in it."""

from __future__ import annotations

import ast

import pytest

from rrg.inference.exported_code import ENTRY, exported_code, flattened
from rrg.models import ARCHITECTURES


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_import_has_its_file(name: str) -> None:
    code = exported_code(ARCHITECTURES[name].load())
    for file, source in code.files.items():
        for node in ast.walk(ast.parse(source, file)):
            if isinstance(node, ast.Import):
                assert not any(alias.name.split(".")[0] == "rrg" for alias in node.names), file
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] != "rrg", file
                named = [node.module] if node.module else [alias.name for alias in node.names]
                assert not node.level or all(f"{module}.py" in code.files for module in named), (file, named)
    classes = {reference.removeprefix(f"{ENTRY}.") for reference in (code.model, code.config, code.tokenizer)}
    assert classes == {ARCHITECTURES[name].class_name, f"{ARCHITECTURES[name].class_name}Config", "ReportTokenizer"}


def test_imports_become_relative() -> None:
    source, needed = flattened(
        '''"""A module."""
from typing import TYPE_CHECKING

import rrg.labels.cues as cues
from rrg.layers.memory import (
    Memory,
    read,
)

if TYPE_CHECKING:
    from rrg.data.radiographs import (
        Radiograph,
    )


def late():
    from rrg.errors import InputError

    return InputError, cues, Memory, read
'''
    )
    assert needed == {"rrg.labels.cues", "rrg.layers.memory", "rrg.errors"}
    assert "from .rrg_layers_memory import (\n    Memory,\n    read,\n)\n" in source
    assert "    from .rrg_errors import InputError\n" in source
    assert "from .rrg_labels_cues import __name__ as _\nfrom . import rrg_labels_cues as cues\n" in source
    assert "radiographs" not in source
    ast.parse(source)
