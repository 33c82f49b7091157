"""The serving process on a CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a GPU, for which Triton is wanted")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux wheels of torch bring Triton")
def test_models_run_without_triton(tiny_weights: Path) -> None:
    code = (
        "from rrg.inference.cpu import configure_cpu; configure_cpu()\n"
        "import sys; from pathlib import Path; from rrg.inference.library import ModelLibrary\n"
        "from rrg.data.phantom import make_phantom\n"
        f"reporter = ModelLibrary(Path({str(tiny_weights)!r})).reporter('r2gen_cmn')\n"
        "assert reporter.report(make_phantom(0, size=64).study).text\n"
        "assert sys.modules['triton'] is None"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
