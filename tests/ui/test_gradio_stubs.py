"""Import of Gradio without the stub files that it writes for editors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
COUNT = """
import ast
parsed = []
original = ast.get_source_segment
ast.get_source_segment = lambda *args, **kwargs: parsed.append(1) or original(*args, **kwargs)
{first}
import gradio
with gradio.Blocks() as blocks:
    gradio.Button("a").click(lambda: 1, None, gradio.Number())
print(len(parsed))
"""


def _classes_parsed(first: str) -> int:
    """How many classes of components Gradio parses while it is imported."""
    command = [sys.executable, "-c", COUNT.format(first=first)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    return int(answer.stdout)


@pytest.mark.slow
def test_no_class_is_parsed_for_a_stub_file() -> None:
    assert _classes_parsed("from rrg.ui.gradio_stubs import skip_stub_files; skip_stub_files()") == 0
    assert _classes_parsed("") > 30, "Gradio writes no stub files any more: delete rrg/ui/gradio_stubs.py"
