"""Language metrics against published figures, pycocoevalcap, naive formulas, and input that breaks the scorers."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.meteor.meteor import Meteor

from rrg.errors import InputError
from rrg.evaluate import meteor
from rrg.evaluate.language import METRICS, LanguageScores, clean_line, language_scores

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
WORDS = ["the", "lungs", "are", "clear", "."]
NO_JAVA = pytest.mark.skipif(shutil.which("java") is None, reason="METEOR needs Java, which is not installed")


def needs_java(test: Callable[..., None]) -> Callable[..., None]:
    """Skip without Java; slow, because Java loads METEOR's paraphrases for eight seconds."""
    return pytest.mark.slow(NO_JAVA(test))


def score(hypotheses: dict[str, str], references: dict, *, meteor: bool = False) -> LanguageScores:
    return language_scores({"model": hypotheses}, references, meteor=meteor)["model"]


def random_texts(seed: int, count: int, longest: int = 20) -> dict[str, str]:
    generator = random.Random(seed)
    return {str(i): " ".join(generator.choices(WORDS, k=generator.randint(1, longest))) for i in range(count)}


def naive_bleu(hypotheses: list[str], references: list[list[str]], order: int) -> float:
    """BLEU by the formula of Papineni et al. 2002 (closest reference length, no smoothing)."""
    matched, total = [0] * order, [0] * order
    length = reference_length = 0
    for hypothesis, texts in zip(hypotheses, references, strict=True):
        words, targets = hypothesis.split(), [text.split() for text in texts]
        length += len(words)
        reference_length += min((len(target) for target in targets), key=lambda n: (abs(n - len(words)), n))
        for n in range(1, order + 1):
            grams = Counter(zip(*(words[i:] for i in range(n)), strict=False))
            best: Counter[tuple[str, ...]] = Counter()
            for target in targets:
                best |= Counter(zip(*(target[i:] for i in range(n)), strict=False))
            matched[n - 1] += sum((grams & best).values())
            total[n - 1] += sum(grams.values())
    if min(matched) == 0:
        return 0.0
    brevity = min(1.0, math.exp(1 - reference_length / length))
    return brevity * math.exp(sum(math.log(m / t) for m, t in zip(matched, total, strict=True)) / order)


@needs_java
def test_published_example(shared_data: Path) -> None:
    example = json.loads((shared_data / "metrics" / "nlg_eval_example.json").read_text())
    hypotheses = {str(i): text for i, text in enumerate(example["hypotheses"])}
    references = {str(i): texts for i, texts in enumerate(example["references"])}
    scores = score(hypotheses, references, meteor=True)
    assert scores.not_computed == {}
    assert {name: round(value, 6) for name, value in scores.values.items()} == example["expected"]


def test_golden_figures() -> None:
    golden = json.loads((FIXTURES / "language_golden.json").read_text())
    values = score(golden["hypotheses"], golden["references"]).values
    assert values == pytest.approx({name: golden["expected"][name] for name in METRICS if name != "METEOR"}, abs=1e-9)


@needs_java
def test_golden_meteor_in_any_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """A German Java writes and reads 0,5, with which pycocoevalcap's wrapper fails."""
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    golden = json.loads((FIXTURES / "language_golden.json").read_text())
    values = score(golden["hypotheses"], golden["references"], meteor=True).values
    assert values["METEOR"] == pytest.approx(golden["expected"]["METEOR"], abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_bleu_equals_the_paper_and_the_package(seed: int) -> None:
    hypotheses = random_texts(seed, 40)
    references = {i: [a, random_texts(seed + 200, 40)[i]] for i, a in random_texts(seed + 100, 40).items()}
    values = score(hypotheses, references).values
    package, _ = Bleu(4).compute_score(references, {i: [text] for i, text in hypotheses.items()}, verbose=0)
    for order in (1, 2, 3, 4):
        naive = naive_bleu(list(hypotheses.values()), list(references.values()), order)
        assert naive > 0
        assert values[f"BLEU-{order}"] == pytest.approx(naive, abs=1e-7)
        assert values[f"BLEU-{order}"] == pytest.approx(package[order - 1], abs=1e-12)


@needs_java
def test_meteor_of_sums_is_the_jars_own_final_score() -> None:
    """The jar's score of a set is not the mean of its scores. One pair is equal, a special case of the jar."""
    hypotheses = ["no effusion is seen", "the heart is big", "clear lungs", "old rib fracture", ""]
    references = ["no effusion is seen", "the heart is enlarged", "the lungs are clear", "no fracture", "normal"]
    rows = meteor.meteor_statistics(hypotheses, [[text] for text in references])
    expected, pairs = Meteor().compute_score(
        {i: [text] for i, text in enumerate(references)}, {i: [text] for i, text in enumerate(hypotheses)}
    )
    assert float(meteor.meteor_figure(rows.sum(axis=0))) == pytest.approx(expected, abs=1e-12)
    assert meteor.meteor_figure(rows) == pytest.approx(pairs, abs=1e-12)
    assert pairs[0] == 1.0
    assert abs(expected - np.mean(pairs)) > 0.01


def test_perfect_texts_and_bounds() -> None:
    texts = random_texts(3, 50)
    values = score(texts, texts).values
    assert all(values[f"BLEU-{n}"] == pytest.approx(1) for n in (1, 2, 3, 4))
    assert values["ROUGE-L"] == pytest.approx(1)
    assert values["CIDEr"] > 1


@pytest.mark.parametrize(
    "separator", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\u2028", "\u2029", "\x85", "\x00", "\t", " ||| "]
)
def test_separators_change_nothing(separator: str) -> None:
    plain, references = random_texts(4, 6), random_texts(5, 6)
    hostile = {i: text.replace(" ", separator) for i, text in plain.items()}
    hostile_references = {i: text.replace(" ", separator) for i, text in references.items()}
    assert score(hostile, hostile_references).values == score(plain, references).values


@needs_java
def test_meteor_survives_hostile_texts() -> None:
    """Pairs with line breaks, "|||", a lone surrogate, NUL, an emoji or no text are scored as if alone."""
    texts = ["the heart\nis normal", "lungs\rclear", "a ||| b", "no \ud800 effusion", "x\x00y", "🫁 clear", "", ". , ;"]
    hypotheses = {str(i): text for i, text in enumerate([*texts, "the heart is normal"])}
    references = {i: clean_line(text) or "reference" for i, text in hypotheses.items()}
    scores = score(hypotheses, references, meteor=True)
    assert scores.not_computed == {}
    rows = scores.measures["METEOR"].per_study
    assert meteor.meteor_figure(rows[0]) == meteor.meteor_figure(rows[8]) == 1.0
    assert meteor.meteor_figure(rows[6]) == 0.0


def fake_java(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    java = folder / "java"
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_without_java_meteor_has_a_reason_and_is_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    scores = score(random_texts(6, 5), random_texts(7, 5), meteor=True)
    assert scores.not_computed == {"METEOR": "not computed: no Java"}
    assert "METEOR" not in scores.values
    assert set(scores.values) == set(METRICS) - {"METEOR"}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "exit status 3"),
        ("echo 'Error: specify SCORE or EVAL'", "Error: specify SCORE"),
        ("echo 'OutOfMemoryError' >&2; exit 1", "OutOfMemoryError"),
        ("echo '1.0 2.0 3.0'", "failed"),
        ("sleep 60", "TimeoutExpired"),
    ],
)
def test_a_broken_java_ends_in_a_reason(
    tmp_path: Path, script: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_java(tmp_path, f"exec {script}" if script.startswith("sleep") else script, monkeypatch)
    monkeypatch.setattr(meteor, "TIMEOUT_SECONDS", 0.5)
    scores = score(random_texts(8, 5), random_texts(9, 5), meteor=True)
    assert "METEOR" not in scores.values
    assert scores.not_computed["METEOR"].startswith("not computed: ")
    assert reason in scores.not_computed["METEOR"]


def test_nothing_is_written_into_the_package() -> None:
    """pycocoevalcap's own tokenizer writes beside its jar, which fails in a read-only installation."""
    import pycocoevalcap.bleu as package

    folder = Path(next(iter(package.__path__))).parent
    before = {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    score(random_texts(10, 5), random_texts(11, 5))
    assert {path for path in folder.rglob("*") if "__pycache__" not in path.parts} == before


def test_overlong_text_is_cut_with_a_warning() -> None:
    hypotheses = random_texts(12, 3) | {"long": "clear " * 20_000}
    references = random_texts(13, 3) | {"long": "the lungs are clear"}
    scores = score(hypotheses, references)
    assert any("1 studies: text cut to 1000 tokens" in warning for warning in scores.warnings)
    assert scores.measures["BLEU-1"].per_study[3, 0] == 1000


def test_cider_of_few_studies_carries_a_warning() -> None:
    assert any("CIDEr" in warning for warning in score(random_texts(1, 29), random_texts(2, 29)).warnings)
    assert score(random_texts(1, 30), random_texts(2, 30)).warnings == ()


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ({}, {}, "nothing to score"),
        ({"a": "x"}, {"a": "x", "b": "y"}, "1 without a text"),
        ({"a": "x", "b": "y"}, {"a": "x"}, "1 without a reference"),
        ({"a": "x"}, {"a": ""}, "no reference text"),
        ({"a": "x"}, {"a": []}, "no reference text"),
        ({"a": "x"}, {"a": " \n\x00"}, "no reference text"),
    ],
)
def test_unusable_input_is_refused(hypotheses: dict[str, str], references: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score(hypotheses, references)


def test_several_systems_score_as_if_alone() -> None:
    references = random_texts(20, 10)
    systems = {name: random_texts(seed, 10) for name, seed in {"a": 21, "b": 22}.items()}
    together = language_scores(systems, references, meteor=False)
    for name, texts in systems.items():
        assert together[name].values == score(texts, references).values


def test_more_matching_words_score_higher() -> None:
    references = {str(i): "the heart is normal in size . the lungs are clear ." for i in range(40)}
    references["0"] = "a large effusion is seen ."
    better = dict.fromkeys(references, "the heart is normal . the lungs are clear .")
    worse = dict.fromkeys(references, "the heart is large . a mass is seen .")
    high, low = score(better, references).values, score(worse, references).values
    assert all(high[name] > low[name] for name in high)
    assert np.isfinite(list(low.values())).all()
