"""Published results, cards and pages from made-up results, and those of this checkout."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from publishing.cards import card, recipe_of
from publishing.encoder_figures import read_encoder_figures
from publishing.figures import PublishedModel, PublishedResults, read_published_results
from publishing.pages import readme_block, results_block, with_block
from publishing.publication import ENCODER, publish, published
from publishing.tables import FLOORS, OVERVIEW, number
from recipes import RECIPES
from rrg.errors import InputError
from rrg.evaluate.language import METRICS
from rrg.evaluate.results import Results
from rrg.inference.weights import weights_digest
from tests.example_results import example_results

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("r2gen_cmn", "camanet")


def write_weights(folder: Path, name: str) -> str:
    """Make a folder with files of weights, and return its digest."""
    folder.mkdir(parents=True)
    sizes = {"hidden_size": 256, "num_encoder_layers": 2, "num_decoder_layers": 2, "image_size": 224}
    config = {"model_type": name, "backbone": "mobilenetv2_100", "dtype": "float16", **sizes}
    recipe = json.loads(json.dumps(RECIPES[name]["small"].config))
    (folder / "config.json").write_text(json.dumps(config | recipe))
    save_file({"x": np.full((1_000, 1_200), len(name), dtype=np.float16)}, folder / "model.safetensors")
    (folder / "README.md").write_text("an old card")
    return weights_digest(folder)


class Checkout:
    """Weights, results and README, the input of `publish`."""

    def __init__(self, folder: Path):
        self.folder, self.weights, self.out = folder, folder / "weights", folder / "out"
        self.readme, self.results_page = folder / "README.md", folder / "docs" / "results.md"
        self.readme.write_text("# Page\n<!-- results: old -->\nold figures\n<!-- /results -->\nThe end.\n")
        self.digests = {name: write_weights(self.weights / name, name) for name in NAMES}

    def measure(self, name: str, level: float, **changes: Any) -> None:
        target = self.out / f"{name}-{changes.get('split', 'val')}"
        target.mkdir(parents=True, exist_ok=True)
        text = json.dumps(example_results(name, self.digests[name], level, **changes))
        (target / "results.json").write_text(text)

    def publish(self, split: str = "val") -> list[str]:
        return publish(self.out, self.weights, self.readme, self.results_page, split)

    def pages(self) -> dict[str, str]:
        patterns = ("README.md", "docs/*.md", "weights/*/README.md", "weights/*/results.json")
        files = [file for pattern in patterns for file in self.folder.glob(pattern)]
        assert len(files) == 2 + 2 * len(NAMES)
        return {str(file.relative_to(self.folder)): file.read_text() for file in files}

    def rows(self, label: str) -> list[list[str]]:
        """The cells of each row with this label in the tables of docs/results.md."""
        return _rows(self.results_page, label)

    def overview(self, label: str) -> list[list[str]]:
        """The cells of each row with this label in README's table."""
        return _rows(self.readme, label)


def _rows(page: Path, label: str) -> list[list[str]]:
    lines = [line.strip("|").split("|") for line in page.read_text().splitlines() if line.startswith("| ")]
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


def test_the_table_of_the_readme_has_five_columns_and_no_random_report(checkout: Checkout) -> None:
    for name, level in zip(NAMES, (0.2, 0.4), strict=True):
        checkout.measure(name, level)
    checkout.publish()
    (headings,) = checkout.overview("")
    assert headings == list(OVERVIEW) == ["BLEU-4", "ROUGE-L", "CIDEr", "micro-F1", "macro-F1"]
    assert checkout.overview("`r2gen_cmn`") == [[".200"] * 5]
    assert checkout.overview("`camanet`") == [["**.400**"] * 5]
    for floor, label in FLOORS.items():
        cells = {"random": [], "nearest neighbour": [[".300"] * 5]}.get(floor, [[".300"] * 3 + ["0"] * 2])
        assert checkout.overview(label) == cells, floor


def test_the_page_of_results_is_made_and_later_only_its_block_changes(checkout: Checkout) -> None:
    checkout.measure("camanet", 0.4)
    checkout.publish()
    made = checkout.results_page.read_text()
    assert made.startswith("# Results\n\n<!-- results: ")
    assert "## How to read the tables" in made and "bootstrap" in made
    checkout.results_page.write_text(made.replace("# Results", "# My results") + "\n## My notes\n")
    checkout.measure("camanet", 0.5)
    checkout.publish()
    page = checkout.results_page.read_text()
    assert page.startswith("# My results\n\n<!-- results: ") and page.endswith("<!-- /results -->\n\n## My notes\n")
    assert ("**.400** [.360, .440]" in made, "**.500** [.450, .550]" in made) == (True, False)
    assert ("**.400** [.360, .440]" in page, "**.500** [.450, .550]" in page) == (False, True)
    assert page.count("<!-- results") == page.count("## How to read the tables") == 1


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


def test_the_sentences_of_the_pages_follow_from_the_figures(checkout: Checkout) -> None:
    checkout.measure("r2gen_cmn", 0.2)
    checkout.measure("camanet", 0.4)
    checkout.publish()
    page, readme = checkout.results_page.read_text(), checkout.readme.read_text()
    for text in (page, readme):
        assert "Val split of IU X-Ray (296 studies), by `make evaluate DATA=data/iu_xray SPLIT=val`" in text
        assert "one constant report beats 1 of 2 models on BLEU-4" in text
    assert "cardiomegaly .70 to .90 (40), lung lesion .60 (14)." in page
    assert "Do not trust it with lung lesion." in page
    assert "pneumothorax" not in page
    checkout.measure("r2gen_cmn", 0.35)
    checkout.publish()
    for file in (checkout.results_page, checkout.readme):
        assert "one constant report beats no model on BLEU-4" in file.read_text()


def test_a_missing_figure_is_an_empty_cell_with_its_reason(checkout: Checkout) -> None:
    figures = example_results("camanet", "", 0.4)["figures"]
    for group in ("r2gen", "raw"):
        for row in figures[group].values():
            del row["METEOR"]
    checkout.measure("camanet", 0.4, figures=figures, not_computed={"METEOR": "not computed: no Java"})
    checkout.publish()
    assert checkout.rows("`camanet`")[0][METRICS.index("METEOR")] == ""
    assert "An empty cell: not computed: no Java." in checkout.results_page.read_text()


def test_the_card_names_the_decoding(checkout: Checkout) -> None:
    mbr = {"samples": 16, "temperature": 0.7, "findings_weight": 0.2, "findings_bars": [0.1] * 13}
    checkout.measure("r2gen_cmn", 0.2)
    checkout.measure("camanet", 0.4, decoding={"consensus": mbr, "no_repeat_ngram_size": 6})
    checkout.publish()
    beam_card, mbr_card = ((checkout.weights / name / "README.md").read_text() for name in ("r2gen_cmn", "camanet"))
    assert "Beam search with 3 beams, log-probabilities divided by the length to the power of 2" in beam_card
    assert "MBR decoding over recombined sentences of 16 samples (temperature 0.7; " in mbr_card
    assert "ROUGE-L and finding probabilities of the image classifier with weight 0.2" in mbr_card
    assert "`rrg/decoding/mbr.py`" in mbr_card
    assert "Beam search" not in mbr_card


def test_the_card_has_its_own_command_figures_and_limits(checkout: Checkout) -> None:
    checkout.measure("camanet", 0.4)
    checkout.publish()
    page = (checkout.weights / "camanet" / "README.md").read_text()
    assert page.startswith("---\nlibrary_name: transformers\n")
    for text in (
        "# camanet, small",
        "CAMANet: Wang et al.",
        "EfficientNet-Lite0 image encoder on 256 x 256 pixels, hidden size 256, 2 encoder and 2 decoder layers",
        "1.2 M parameters in half precision",
        "`python -m rrg evaluate --data data/iu_xray --split val --model camanet --out out`",
        "learning rate 8e-4",
        "| this model | **.400** |",
        "it names 40 %",
        "Never named where the reference has them (studies): lung lesion (14).",
        "pneumothorax .900 (2)",
        "CC BY-NC-ND 4.0: research use only",
        "Apache-2.0",
    ):
        assert text in page, text


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


def test_published_results_of_earlier_weights_are_left_out(checkout: Checkout) -> None:
    for name in NAMES:
        checkout.measure(name, 0.4)
    assert checkout.publish() == []
    config = checkout.weights / "r2gen_cmn" / "config.json"
    config.write_text(config.read_text() + " ")
    assert checkout.publish() == ["r2gen_cmn is left out: no figures of its weights"]
    assert checkout.rows("`r2gen_cmn`") == checkout.overview("`r2gen_cmn`") == []


def test_models_measured_on_other_studies_do_not_share_a_table(checkout: Checkout) -> None:
    checkout.measure("r2gen_cmn", 0.2, annotation_sha256="b" * 64)
    checkout.measure("camanet", 0.4, created_at="2026-12-02T10:00:00+00:00")
    assert checkout.publish() == ["r2gen_cmn is left out: measured on other studies"]
    checkout.measure("camanet", 0.4, split="test")
    assert checkout.publish("test") == ["r2gen_cmn is left out: measured on other studies"]
    assert "The test split is not reported here" not in checkout.results_page.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.pop("studies"), "missing: studies"),
        (lambda r: r.update(systems={}), "unknown: systems"),
        (lambda r: r["figures"]["raw"]["camanet"].update({"BLEU-4": [0.1, 0.0]}), "not results of this version"),
        (lambda r: r["figures"]["raw"]["camanet"].update({"BLEU-4": 0.1}), "not results of this version"),
        (lambda r: r["behaviour"]["black_images"].pop("changed"), "changed"),
        (lambda r: r["findings"]["Cardiomegaly"].update(f1=0.5), "f1"),
    ],
)
def test_published_results_of_another_shape_are_refused(
    checkout: Checkout, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    checkout.measure("camanet", 0.4)
    checkout.publish()
    file = checkout.weights / "camanet" / "results.json"
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))
    with pytest.raises(InputError, match=message) as error_info:
        read_published_results(file)
    assert str(file) in str(error_info.value) and "make evaluate" in str(error_info.value)
    assert checkout.publish() == ["r2gen_cmn is left out: no figures of its weights"]  # from `out`, which has all


def test_results_of_another_shape_in_the_output_folder_are_refused(checkout: Checkout) -> None:
    checkout.measure("camanet", 0.4, behaviour={})
    with pytest.raises(InputError, match=r"camanet-val.results\.json.*--force"):
        checkout.publish()


def test_a_floor_that_differs_between_models_is_shown_for_each(checkout: Checkout) -> None:
    checkout.measure("r2gen_cmn", 0.2)
    figures = example_results("camanet", "", 0.4)["figures"]
    for figure in figures["r2gen"]["nearest neighbour"].values():
        figure["value"] = 0.35
    checkout.measure("camanet", 0.4, figures=figures)
    checkout.publish()
    assert len(checkout.rows("nearest neighbour by image")) == 2
    assert len(checkout.rows("nearest neighbour by image, for camanet")) == 1


def test_publishing_without_results_or_without_a_block_fails(checkout: Checkout) -> None:
    with pytest.raises(InputError, match="No model"):
        checkout.publish()
    checkout.measure("camanet", 0.4)
    checkout.readme.write_text("# Page\n")
    with pytest.raises(InputError, match=r"README\.md needs one block .* it has 0"):
        checkout.publish()
    assert (checkout.weights / "camanet" / "README.md").read_text() == "an old card"


def test_the_published_file_has_one_line_per_figure() -> None:
    results = PublishedResults.of(Results.from_dict(example_results("camanet", "f" * 64, 0.123456789)))
    text = results.to_json()
    assert json.loads(text) == results.to_dict()
    assert PublishedResults.from_dict(json.loads(text)) == results
    assert '"BLEU-4": [0.123457, 0.111111, 0.135802]' in text


def test_numbers() -> None:
    assert [number(value) for value in (0.0, 0.0004, 0.1236, 1.0, 1.25)] == ["0", ".000", ".124", "1.000", "1.250"]


# The published results of this checkout

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


def test_published_results_are_equal_to_the_byte_after_reading_and_writing(bundled: Path, tmp_path: Path) -> None:
    results = read_published_results(bundled / "results.json")
    assert results is not None
    results.write(tmp_path / "results.json")
    assert (tmp_path / "results.json").read_bytes() == (bundled / "results.json").read_bytes()


def bundled_model(folder: Path) -> PublishedModel:
    models, left_out = published(ROOT / "weights")
    assert folder.name in {model.name for model in models}, left_out
    return next(model for model in models if model.name == folder.name)


def test_each_card_is_up_to_date(bundled: Path) -> None:
    assert (bundled / "README.md").read_text(encoding="utf-8") == card(
        bundled_model(bundled), read_encoder_figures(ROOT / "weights" / ENCODER)
    )


def test_the_recipe_that_a_card_names_has_the_sizes_of_the_weights(bundled: Path) -> None:
    model = bundled_model(bundled)
    recipe = json.loads(json.dumps(recipe_of(model).config))
    recipe.pop("prototype_size", None)  # a file of prototypes has its own
    assert {key: model.config[key] for key in recipe} == recipe


@pytest.mark.parametrize(("name", "make"), [("README.md", readme_block), ("docs/results.md", results_block)])
def test_the_tables_of_the_pages_are_up_to_date(name: str, make: Callable[[list[PublishedModel]], str]) -> None:
    models, _ = published(ROOT / "weights")
    if not models:
        pytest.skip("no figures are published: make evaluate")
    page = (ROOT / name).read_text(encoding="utf-8")
    assert with_block(page, make(models), name) == page
    block = re.search(r"<!-- results.*?<!-- /results -->", page, re.DOTALL)
    assert block and all(f"| `{model.name}` |" in block[0] for model in models)
