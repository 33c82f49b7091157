"""Made-up results of an evaluation, as `results.json` stores them."""

from __future__ import annotations

from typing import Any

from rrg.evaluate.language import METRICS

FLOORS = (
    "nearest neighbour",
    "random",
    "most frequent",
    "normal template",
    "best constant (BLEU-4)",
    "best constant (CIDEr)",
)
CLINICAL = (
    "micro-F1-13",
    "macro-F1-13",
    "micro-F1-5",
    "macro-F1-5",
    "clinical-terms-F1",
    "micro-precision-13",
    "micro-recall-13",
)


def example_results(model: str, digest: str, level: float, **changes: Any) -> dict[str, Any]:
    """Results of a model whose figures all equal `level`; floors have .3, and constants find nothing."""

    def figure(value: float) -> dict[str, float]:
        return {"value": value, "low": 0.9 * value, "high": 1.1 * value}

    def row(system: str, metrics: tuple[str, ...]) -> dict[str, dict[str, float]]:
        return {metric: figure(level if system == model else 0.3) for metric in metrics}

    systems = (model, *FLOORS)
    groups = {"r2gen": METRICS, "raw": METRICS, "clinical": CLINICAL}
    figures = {group: {system: row(system, metrics) for system in systems} for group, metrics in groups.items()}
    for system in ("normal template", "most frequent", "best constant (BLEU-4)", "best constant (CIDEr)"):
        figures["clinical"][system] = {metric: figure(0.0) for metric in CLINICAL}
    score = {"precision": 0.5, "recall": 0.25, "f1": 0.5, "support": 40, "predicted": 12}
    return {
        "model": model,
        "weights_sha256": digest,
        "decoding": {"num_beams": 3, "length_penalty": 2.0, "no_repeat_ngram_size": 6},
        "seconds_per_report": 0.25,
        "studies": 296,
        "left_out_without_reference": 0,
        "systems": dict.fromkeys(systems, "a description"),
        "protocols": {"r2gen": "as published", "raw": "as read"},
        "labeler": "rules",
        "intervals": "bootstrap",
        "figures": figures,
        "findings": {model: {"Cardiomegaly": score, "Lung Lesion": score | {"recall": 0.0, "support": 14}}},
        "subsets": {"reference with a finding": {"studies": 95, "figures": figures}},
        "model_minus_floor": {
            group: {floor: {metric: figure(level - 0.3) | {"p": 0.01} for metric in metrics} for floor in FLOORS}
            for group, metrics in groups.items()
        },
        "behaviour": {
            "distinct_reports": 90,
            "distinct_references": 200,
            "most_common_report": "Normal.",
            "most_common_share": 0.2,
            "distinct_by_system": dict.fromkeys(systems, 1) | {model: 90},
            "black_images": {"studies": 230, "changed": 210, "share": 210 / 230},
            "shuffled_images": {"studies": 120, "changed": 100, "share": 100 / 120},
        },
        "classifier_auroc": {
            "Cardiomegaly": {"value": 0.5 + level, "positives": 40, "studies": 296},
            "Lung Lesion": {"value": 0.604, "positives": 14, "studies": 296},
            "Pneumothorax": {"value": 0.9, "positives": 2, "studies": 296},
        },
        "not_computed": {},
        "warnings": [],
        "data": "iu_xray",
        "annotation_sha256": "a" * 64,
        "split": "val",
        "limit": None,
        "train_studies": 2069,
        "command": f"python -m rrg evaluate --data data/iu_xray --split val --model {model} --out out",
        "created_at": "2026-12-01T10:00:00+00:00",
        "machine": "a CPU with 2 threads",
        "versions": {"python": "3.11.9", "rrg": "0.1.0", "torch": "2.12.1"},
    } | changes
