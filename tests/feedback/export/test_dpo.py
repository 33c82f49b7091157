"""Preference pairs: the newest text of each reader over the generated one, where they differ."""

from __future__ import annotations

import json
from pathlib import Path

from rrg.feedback import FeedbackStore
from rrg.feedback.export import export_corrections
from tests.feedback.export.conftest import CORRECTED


def test_pairs_are_of_changed_reports(study: FeedbackStore, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert export_corrections(study, out, "dpo").rows == 2
    pairs = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    generated = "Heart is normal. No effusion. =Stable."
    assert [(pair["prompt"], pair["chosen"], pair["rejected"], pair["reader"]) for pair in pairs] == [
        ("study-1", CORRECTED, generated, "A"),
        ("study-2", "-Other.", generated, "A"),
    ]
