"""`rrg/layers` holds what two or more architectures share, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from rrg.models import ARCHITECTURES

ROOT = Path(__file__).resolve().parents[2]
LAYERS = sorted(path.stem for path in (ROOT / "rrg" / "layers").glob("*.py") if path.stem != "__init__")


def imported_layers(file: Path) -> set[str]:
    """Modules of rrg.layers that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {parts[2] for name in names if (parts := name.split("."))[:2] == ["rrg", "layers"] and len(parts) > 2}


def layers_of(architecture: str) -> set[str]:
    """Modules of rrg.layers that an architecture imports, directly or through other modules of rrg.layers.

    `rrg.models.base` does not count: it imports modules for all architectures, whether they use them or not.
    """
    module = ROOT / "rrg" / "models" / architecture
    files = [*module.glob("*.py")] if module.is_dir() else [module.with_suffix(".py")]
    found, new = set[str](), set[str]().union(*map(imported_layers, files))
    while new:
        found |= new
        new = set[str]().union(*(imported_layers(ROOT / "rrg" / "layers" / f"{name}.py") for name in new)) - found
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_two_architectures_import_each_module(layer: str) -> None:
    users = [name for name in ARCHITECTURES if layer in layers_of(name)]
    assert len(users) >= 2, f"rrg/layers/{layer}.py serves {users}: move it beside the architecture"


def test_every_architecture_imports_shared_layers() -> None:
    assert all(layers_of(name) for name in ARCHITECTURES)
