"""METEOR 1.5 by the jar of pycocoevalcap, in one Java process with a time limit.

pycocoevalcap's wrapper exchanges single lines with the jar under a lock. A line break in a text, another locale or a
crashed Java leaves the lock held, and the interpreter never ends. Here the jar reads files and prints the sufficient
statistics of every pair. The score is computed from their sums (Denkowski and Lavie, 2014), so intervals and subsets
need no second run.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75  # English, task "rank"
MODULE_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])  # exact, stem, synonym, paraphrase
STATISTICS = 23
TIMEOUT_SECONDS = 900


class MeteorUnavailable(RuntimeError):
    """METEOR cannot be computed; the message is the reason, worded for a results table."""


def meteor_statistics(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """float64 [N, 23]: sufficient statistics of each hypothesis against its best-matching reference.

    Texts are single lines (see `language.clean_line`). Raises MeteorUnavailable with the reason.
    """
    java = shutil.which("java")
    if java is None:
        raise MeteorUnavailable("not computed: no Java")
    package = importlib.util.find_spec("pycocoevalcap")
    if package is None or not package.submodule_search_locations:
        raise MeteorUnavailable("not computed: pycocoevalcap is not installed")
    jar = Path(package.submodule_search_locations[0]) / "meteor" / "meteor-1.5.jar"
    # The jar needs equally many references for each text. It scores the best one, so repeating one changes nothing.
    most = max(len(texts) for texts in references)
    reference_lines = [text for texts in references for text in [*texts, *[texts[-1]] * (most - len(texts))]]
    # The jar cannot parse numbers in a locale with a decimal comma. These flags override JAVA_TOOL_OPTIONS.
    locale = ["-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8"]
    options = ["-l", "en", "-norm", "-r", str(most), "-ssOut"]
    with tempfile.TemporaryDirectory() as folder:
        hypothesis_file, reference_file = Path(folder, "hypotheses.txt"), Path(folder, "references.txt")
        hypothesis_file.write_text("".join(f"{line}\n" for line in hypotheses), encoding="utf-8", newline="\n")
        reference_file.write_text("".join(f"{line}\n" for line in reference_lines), encoding="utf-8", newline="\n")
        command = [java, *locale, "-Xmx2G", "-jar", str(jar), str(hypothesis_file), str(reference_file), *options]
        try:
            # A timeout kills a Java process that hangs.
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MeteorUnavailable(f"not computed: METEOR's Java process failed ({type(error).__name__})") from error
    try:
        rows = np.array([[float(field) for field in line.split()] for line in done.stdout.splitlines()])
    except ValueError:
        rows = np.empty(0)
    # The jar prints its errors as text and exits with 0, so the shape is checked.
    if done.returncode != 0 or rows.shape != (len(hypotheses), STATISTICS):
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise MeteorUnavailable(f"not computed: METEOR's Java process failed ({reason[:200]})")
    # As in the jar's own sum over pairs: two equal texts, matched in one chunk, count as no chunk (no penalty).
    equal = (rows[:, 20] == 1) & (rows[:, 21:23] == rows[:, 0:2]).all(axis=1)
    rows[equal, 20] = 0
    return rows


def meteor_figure(sums: np.ndarray) -> np.ndarray:
    """METEOR [...] from summed statistics [..., 23].

    The columns: words (hypothesis, reference), function words (both), then for each of four modules the matches as
    content (both) and as function words (both), then chunks and matched words (both).
    """
    words, function_words = sums[..., 0:2], sums[..., 2:4]
    modules = sums[..., 4:20].reshape(*sums.shape[:-1], 4, 2, 2)  # [..., module, content | function, side]
    chunks, matched = sums[..., 20], sums[..., 21:23]
    kind_weights = np.array([DELTA, 1 - DELTA])
    weighted_matches = np.einsum("...mks,m,k->...s", modules, MODULE_WEIGHTS, kind_weights)
    weighted_words = DELTA * (words - function_words) + (1 - DELTA) * function_words
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = np.moveaxis(weighted_matches / weighted_words, -1, 0)
        f_mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
        fragmentation = chunks / matched.mean(axis=-1)
        score = f_mean * (1 - GAMMA * fragmentation**BETA)
    return np.nan_to_num(score, nan=0.0)  # no match at all, or an empty text
