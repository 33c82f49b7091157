"""The code of one architecture as flat modules, so that transformers loads it with `trust_remote_code` alone.

transformers copies one file and the files that it imports relatively from one folder. So each module `rrg.a.b` that the
architecture needs becomes `rrg_a_b.py`, with its imports of `rrg` made relative; everything else stays as it is.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rrg.data.tokenizer import ReportTokenizer
from rrg.inference.pretrained import ReportGeneration
from rrg.inference.processing import ReportImageProcessor, ReportProcessor
from rrg.models.base import ReportModel

ENTRY = "modeling_rrg"
"""Module that the configuration files of an exported folder name."""


@dataclass(frozen=True)
class ExportedCode:
    """Source files by name, and the classes that the auto classes find in them."""

    files: dict[str, str]
    model: str
    """Reference to the model's class, as `auto_map` has it."""
    config: str
    processor: str
    image_processor: str
    tokenizer: str


def exported_code(model_class: type[ReportModel]) -> ExportedCode:
    """The code of an architecture, its processor and its decoding."""
    config_class = model_class.config_class
    name, config = model_class.__name__, config_class.__name__
    shared = (ReportGeneration, ReportImageProcessor, ReportProcessor, ReportTokenizer)
    lines = [
        f'"""{name} with its processor and tokenizer, for `trust_remote_code`. Made by `python -m rrg export`."""',
        "",
    ]
    lines += [f"from .{flat_name(kind.__module__)} import {kind.__name__}" for kind in (*shared, config_class)]
    lines += [f"from .{flat_name(model_class.__module__)} import {name} as Architecture", ""]
    lines += [f'__all__ = ["{config}", "{name}", "ReportImageProcessor", "ReportProcessor", "ReportTokenizer"]', "", ""]
    lines += [f"class {name}(ReportGeneration, Architecture):", f'    """{name} that writes whole reports."""', ""]
    files = {f"{ENTRY}.py": "\n".join(lines)}
    waiting = {kind.__module__ for kind in (*shared, config_class, model_class)}
    done: set[str] = set()
    while waiting - done:
        module = min(waiting - done)
        done.add(module)
        source, needed = flattened(Path(find_spec(module).origin).read_text(encoding="utf-8"))  # type: ignore[union-attr,arg-type]
        files[f"{flat_name(module)}.py"] = source
        waiting |= needed
    return ExportedCode(
        files,
        *(f"{ENTRY}.{kind}" for kind in (name, config, "ReportProcessor", "ReportImageProcessor", "ReportTokenizer")),
    )


def flat_name(module: str) -> str:
    """`rrg.a.b` as the name of a module without folders: `rrg_a_b`."""
    return module.replace(".", "_")


def flattened(source: str) -> tuple[str, set[str]]:
    """A module's source with relative imports in place of those of `rrg`, and the modules that it needs.

    Imports for type checkers alone are left out.
    """
    lines, needed = source.splitlines(), set[str]()
    tree = ast.parse(source)
    unused = {
        statement
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in node.body
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        first, last = node.lineno - 1, node.end_lineno or node.lineno
        indent = " " * node.col_offset
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rrg."):
            if node in unused:
                lines[first:last] = [f"{indent}pass", *[""] * (last - first - 1)]
                continue
            needed.add(node.module)
            lines[first] = lines[first].replace(f"from {node.module} import", f"from .{flat_name(node.module)} import")
        elif isinstance(node, ast.Import) and node.names[0].name.startswith("rrg."):
            module, alias = node.names[0].name, node.names[0].asname
            needed.add(module)
            # The first import is one that transformers follows; it does not follow the second form.
            lines[first] = (
                f"{indent}from .{flat_name(module)} import __name__ as _\n"
                f"{indent}from . import {flat_name(module)} as {alias}"
            )
    return "\n".join(lines) + "\n", needed
