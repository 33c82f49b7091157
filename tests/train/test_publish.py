"""Figures, cards and tables from made-up results, and those of this checkout against what publishing gives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cards import card, recipe_of
from figures import FLOORS, Published, compact, number, to_json
from publish import publish, published
from recipes import RECIPES
from results_block import with_results
from safetensors.numpy import save_file

from rrg.errors import InputError
from rrg.evaluate.language import METRICS
from rrg.inference.weights import weights_digest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("r2gen_cmn", "camanet")
CLINICAL = (
    "micro-F1-13",
    "macro-F1-13",
    "micro-F1-5",
    "macro-F1-5",
    "clinical-terms-F1",
    "micro-precision-13",
    "micro-recall-13",
)


def write_weights(folder: Path, name: str) -> str:
    """A folder that looks like weights; gives its digest."""
    folder.mkdir(parents=True)
    sizes = {"hidden_size": 256, "num_encoder_layers": 2, "num_decoder_layers": 2, "image_size": 224}
    config = {"model_type": name, "backbone": "mobilenetv2_100", "dtype": "float16", **sizes}
    recipe = json.loads(json.dumps(RECIPES[name]["small"].config))
    (folder / "config.json").write_text(json.dumps(config | recipe))
    save_file({"x": np.full((1_000, 1_200), len(name), dtype=np.float16)}, folder / "model.safetensors")
    (folder / "README.md").write_text("an old card")
    return weights_digest(folder)


def made_up(model: str, digest: str, level: float, **changes: Any) -> dict[str, Any]:
    """`results.json` of a model whose every figure is `level`; floors have .3, constants find nothing."""

    def figure(value: float) -> dict[str, float]:
        return {"value": value, "low": 0.9 * value, "high": 1.1 * value}

    def row(system: str, metrics: tuple[str, ...]) -> dict[str, dict[str, float]]:
        return {metric: figure(level if system == model else 0.3) for metric in metrics}

    systems = (model, *FLOORS)
    groups = {"r2gen": METRICS, "raw": METRICS, "clinical": CLINICAL}
    figures = {group: {system: row(system, metrics) for system in systems} for group, metrics in groups.items()}
    for system in ("normal template", "most frequent", "best constant (BLEU-4)", "best constant (CIDEr)"):
        figures["clinical"][system] = {metric: figure(0.0) for metric in CLINICAL}
    score = {"precision": 0.5, "f1": 0.5, "recall": 0.25, "support": 40, "predicted": 12}
    return {
        "model": model,
        "weights_sha256": digest,
        "data": "iu_xray",
        "annotation_sha256": "a" * 64,
        "split": "val",
        "limit": None,
        "studies": 296,
        "left_out_without_reference": 0,
        "train_studies": 2069,
        "command": f"python -m rrg evaluate --data data/iu_xray --split val --model {model} --out out",
        "created_at": "2026-12-01T10:00:00+00:00",
        "machine": "a CPU with 2 threads",
        "seconds_per_report": 0.25,
        "versions": {"python": "3.11.9", "rrg": "0.1.0", "torch": "2.12.1"},
        "decoding": {"num_beams": 3, "length_penalty": 2.0, "no_repeat_ngram_size": 6},
        "systems": dict.fromkeys(systems, "a description"),
        "protocols": {"r2gen": "as published", "raw": "as read"},
        "labeler": "rules",
        "intervals": "bootstrap",
        "figures": figures,
        "findings": {model: {"Cardiomegaly": score, "Lung Lesion": score | {"recall": 0.0, "support": 14}}},
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
    } | changes


class Checkout:
    """Weights, results and a page, as `publish` finds them."""

    def __init__(self, folder: Path):
        self.weights, self.out, self.readme = folder / "weights", folder / "out", folder / "README.md"
        self.readme.write_text("# Page\n<!-- results: old -->\nold figures\n<!-- /results -->\nThe end.\n")
        self.digests = {name: write_weights(self.weights / name, name) for name in NAMES}

    def measure(self, name: str, level: float, **changes: Any) -> None:
        target = self.out / f"{name}-{changes.get('split', 'val')}"
        target.mkdir(parents=True, exist_ok=True)
        text = json.dumps(made_up(name, self.digests[name], level, **changes))
        (target / "results.json").write_text(text)

    def publish(self, split: str = "val") -> list[str]:
        return publish(self.out, self.weights, self.readme, split)

    def pages(self) -> dict[str, str]:
        files = [self.readme, *self.weights.glob("*/README.md"), *self.weights.glob("*/results.json")]
        return {str(file.relative_to(self.readme.parent)): file.read_text() for file in files}

    def rows(self, label: str) -> list[list[str]]:
        """The cells of each line of README's tables that begins with this label."""
        lines = [line.strip("|").split("|") for line in self.readme.read_text().splitlines() if line.startswith("| ")]
        return [[cell.strip() for cell in line[1:]] for line in lines if line[0].strip() == label]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_every_model_and_floor_is_a_row_of_each_table(checkout: Checkout) -> None:
    for name, level in zip(NAMES, (0.2, 0.4), strict=True):
        checkout.measure(name, level)
    assert checkout.publish() == []
    for label in (*(f"`{name}`" for name in NAMES), *FLOORS.values()):
        assert [len(row) for row in checkout.rows(label)] == [7, 7, 10], label
    page = checkout.readme.read_text()
    assert page.startswith("# Page\n<!-- results: ") and page.endswith("<!-- /results -->\nThe end.\n")
    assert "old figures" not in page


def test_cells_show_figures_intervals_and_the_best(checkout: Checkout) -> None:
    checkout.measure("r2gen_cmn", 0.2)
    checkout.measure("camanet", 0.4)
    checkout.publish()
    weak, strong = (checkout.rows(f"`{name}`") for name in NAMES)
    bleu_1, bleu_4 = METRICS.index("BLEU-1"), METRICS.index("BLEU-4")
    assert weak[0][bleu_4] == ".200 [.180, .220]"
    assert strong[0][bleu_4] == "**.400** [.360, .440]"
    assert (weak[0][bleu_1], strong[0][bleu_1]) == (".200", "**.400**")
    assert strong[2][1] == "**.400** [.360, .440]"
    assert strong[2][5:] == ["90", "**210 of 230**", "**100 of 120**", "**1.2**", "**0.25**"]
    floor = checkout.rows("best constant report by BLEU-4")
    assert floor[0][bleu_4] == ".300 [.270, .330]"
    assert floor[2] == ["0"] * 5 + ["1", "", "", "", ""]


def test_what_is_said_follows_from_the_figures(checkout: Checkout) -> None:
    checkout.measure("r2gen_cmn", 0.2)
    checkout.measure("camanet", 0.4)
    checkout.publish()
    page = checkout.readme.read_text()
    assert "Val split of IU X-Ray (296 studies), by `make evaluate DATA=data/iu_xray SPLIT=val`" in page
    assert "one constant report beats 1 of 2 models on BLEU-4" in page
    assert "cardiomegaly .70 to .90 (40), lung lesion .60 (14)." in page
    assert "Do not trust it with lung lesion." in page
    assert "pneumothorax" not in page
    checkout.measure("r2gen_cmn", 0.35)
    checkout.publish()
    assert "one constant report beats no model on BLEU-4" in checkout.readme.read_text()


def test_a_missing_figure_is_an_empty_cell_with_its_reason(checkout: Checkout) -> None:
    figures = made_up("camanet", "", 0.4)["figures"]
    for group in ("r2gen", "raw"):
        for row in figures[group].values():
            del row["METEOR"]
    checkout.measure("camanet", 0.4, figures=figures, not_computed={"METEOR": "not computed: no Java"})
    checkout.publish()
    assert checkout.rows("`camanet`")[0][METRICS.index("METEOR")] == ""
    assert "An empty cell: not computed: no Java." in checkout.readme.read_text()


def test_the_card_says_how_reports_are_decoded(checkout: Checkout) -> None:
    consensus = {"samples": 16, "temperature": 0.7, "findings_weight": 0.2, "findings_bars": [0.1] * 13}
    checkout.measure("r2gen_cmn", 0.2)
    checkout.measure("camanet", 0.4, decoding={"consensus": consensus, "no_repeat_ngram_size": 6})
    checkout.publish()
    beams, agreed = ((checkout.weights / name / "README.md").read_text() for name in ("r2gen_cmn", "camanet"))
    assert "Beam search of 3, the log-probability divided by the length to the power of 2" in beams
    assert "Sentences of 16 sampled reports (temperature 0.7), put together" in agreed
    assert "Beam search" not in agreed


def test_the_card_has_its_own_command_figures_and_limits(checkout: Checkout) -> None:
    checkout.measure("camanet", 0.4)
    checkout.publish()
    text = (checkout.weights / "camanet" / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: transformers\n")
    for said in (
        "# camanet, small",
        "CAMANet: Wang et al.",
        "MobileNetV2 image encoder on 224 x 224 pixels, hidden size 256, 2 encoder and 2 decoder layers",
        "1.2 M numbers in half precision",
        "`python -m rrg evaluate --data data/iu_xray --split val --model camanet --out out`",
        "learning rate 8e-4",
        "| this model | **.400** |",
        "it names 40 %",
        "Never named where the reference has them (studies): lung lesion (14).",
        "pneumothorax .900 (2)",
        "CC BY-NC-ND 4.0: research use only",
        "Apache-2.0",
    ):
        assert said in text, said


def test_publishing_twice_or_without_the_measurements_changes_nothing(checkout: Checkout) -> None:
    for name, level in zip(NAMES, (0.2, 0.4), strict=True):
        checkout.measure(name, level)
    checkout.publish()
    first = checkout.pages()
    checkout.publish()
    assert checkout.pages() == first
    for results in checkout.out.glob("*/results.json"):
        results.unlink()
    checkout.publish()
    assert checkout.pages() == first


def test_results_of_other_weights_or_of_a_few_studies_are_not_published(checkout: Checkout) -> None:
    checkout.measure("camanet", 0.4)
    checkout.measure("r2gen_cmn", 0.2, weights_sha256="0" * 64)
    assert checkout.publish() == ["r2gen_cmn is left out: no figures of its weights"]
    assert checkout.rows("`r2gen_cmn`") == []
    assert (checkout.weights / "r2gen_cmn" / "README.md").read_text() == "an old card"
    checkout.measure("r2gen_cmn", 0.2, limit=12, studies=12)
    checkout.publish()
    assert not (checkout.weights / "r2gen_cmn" / "results.json").exists()


def test_models_measured_on_other_studies_do_not_share_a_table(checkout: Checkout) -> None:
    checkout.measure("r2gen_cmn", 0.2, annotation_sha256="b" * 64)
    checkout.measure("camanet", 0.4, created_at="2026-12-02T10:00:00+00:00")
    assert checkout.publish() == ["r2gen_cmn is left out: measured on other studies"]
    checkout.measure("camanet", 0.4, split="test")
    assert checkout.publish("test") == ["r2gen_cmn is left out: measured on other studies"]
    assert "The test split is not reported here" not in checkout.readme.read_text()


def test_a_floor_that_differs_between_models_is_shown_for_each(checkout: Checkout) -> None:
    checkout.measure("r2gen_cmn", 0.2)
    figures = made_up("camanet", "", 0.4)["figures"]
    for figure in figures["r2gen"]["nearest neighbour"].values():
        figure["value"] = 0.35
    checkout.measure("camanet", 0.4, figures=figures)
    checkout.publish()
    assert len(checkout.rows("nearest neighbour by image")) == 2
    assert len(checkout.rows("nearest neighbour by image, for camanet")) == 1


def test_nothing_to_publish_and_no_place_for_it_are_said(checkout: Checkout) -> None:
    with pytest.raises(InputError, match="No model"):
        checkout.publish()
    checkout.measure("camanet", 0.4)
    checkout.readme.write_text("# Page\n")
    with pytest.raises(InputError, match="it has 0"):
        checkout.publish()


def test_the_compact_file_has_a_line_for_each_figure() -> None:
    figures = compact(made_up("camanet", "f" * 64, 0.123456789))
    text = to_json(figures)
    assert json.loads(text) == figures
    assert '"BLEU-4": [0.123457, 0.111111, 0.135802]' in text


def test_numbers() -> None:
    assert [number(value) for value in (0.0, 0.0004, 0.1236, 1.0, 1.25)] == ["0", ".000", ".124", "1.000", "1.250"]


# This checkout

BUNDLED = sorted(path.parent for path in (ROOT / "weights").glob("*/config.json"))


@pytest.fixture(params=BUNDLED, ids=lambda folder: folder.name)
def bundled(request: pytest.FixtureRequest) -> Path:
    if not (request.param / "results.json").is_file():
        pytest.skip(f"no figures of {request.param.name} are published: make evaluate MODEL={request.param.name}")
    return request.param


def test_published_figures_are_of_the_bundled_weights(bundled: Path) -> None:
    figures = json.loads((bundled / "results.json").read_text(encoding="utf-8"))
    assert figures["weights_sha256"] == weights_digest(bundled)
    assert figures["model"] == bundled.name


def bundled_model(folder: Path) -> Published:
    models, left_out = published(ROOT / "weights")
    assert folder.name in {model.info.name for model in models}, left_out
    return next(model for model in models if model.info.name == folder.name)


def test_each_card_is_what_publishing_gives(bundled: Path) -> None:
    assert (bundled / "README.md").read_text(encoding="utf-8") == card(bundled_model(bundled))


def test_the_recipe_that_a_card_names_has_the_sizes_of_the_weights(bundled: Path) -> None:
    model = bundled_model(bundled)
    recipe = json.loads(json.dumps(recipe_of(model).config))
    recipe.pop("prototype_size", None)  # a file of prototypes has its own
    assert {key: model.config[key] for key in recipe} == recipe


def test_the_tables_of_the_page_are_what_publishing_gives() -> None:
    models, _ = published(ROOT / "weights")
    if not models:
        pytest.skip("no figures are published: make evaluate")
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_results(page, models) == page
    block = re.search(r"<!-- results.*?<!-- /results -->", page, re.DOTALL)
    assert block and all(f"| `{model.info.name}` |" in block[0] for model in models)
