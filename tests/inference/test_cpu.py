"""The settings of a process that runs models on a CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a GPU, for which nothing is configured"),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has glibc's allocator and wheels with Triton"),
]

CONFIGURE = "from rrg.inference.cpu import configure_cpu; configure_cpu()\n"
MAPPED = """
import ctypes, sys
libc = ctypes.CDLL(None)
if not hasattr(libc, "mallinfo2"):
    sys.exit(3)
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]
libc.mallinfo2.restype = Info
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
before = libc.mallinfo2().hblkhd
libc.malloc(16 * 2**20)
print(libc.mallinfo2().hblkhd - before)
"""
"""Prints how many bytes of a block of 16 MB are newly mapped instead of taken from the heap."""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.slow
def test_models_run_without_triton(tiny_weights: Path) -> None:
    done = run(
        f"{CONFIGURE}"
        "import sys; from pathlib import Path; from rrg.inference.library import ModelLibrary\n"
        "from rrg.data.phantom import make_phantom\n"
        f"reporter = ModelLibrary(Path({str(tiny_weights)!r})).reporter('r2gen_cmn')\n"
        "assert reporter.report(make_phantom(0, size=64).study).text\n"
        "assert sys.modules['triton'] is None"
    )
    assert done.returncode == 0, done.stderr


def test_large_tensors_come_from_the_heap_whose_pages_are_reused() -> None:
    plain, configured = run(MAPPED), run(CONFIGURE + MAPPED)
    if plain.returncode == 3:
        pytest.skip("the C library does not report its allocations")
    assert int(plain.stdout) >= 16 * 2**20, "without the setting such a block is newly mapped"
    assert int(configured.stdout) == 0, configured.stderr
