"""The example architecture in CONTRIBUTING works unchanged and passes the checks of every architecture."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import rrg.models
from rrg.data.phantom import make_phantom
from rrg.data.tokenizer import ReportTokenizer
from rrg.inference.reporter import Reporter
from rrg.models import ARCHITECTURES, Architecture
from rrg.models.base import ReportModel

PAGE = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
LIMIT = 12


@pytest.fixture
def architecture() -> Iterator[Architecture]:
    """The example, in the table of architectures for as long as a test runs."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (line,) = re.findall(r"`(Architecture\(.*?\))`", PAGE)
    entry: Architecture = eval(line, {"Architecture": Architecture})
    module = types.ModuleType(f"rrg.models.{entry.name}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        patch.setattr(rrg.models, entry.name, module, raising=False)
        patch.setitem(ARCHITECTURES, entry.name, entry)
        exec(compile(source, module.__name__, "exec"), module.__dict__)
        yield entry


@pytest.fixture
def tokenizer() -> ReportTokenizer:
    return ReportTokenizer.build([make_phantom(seed, size=64).study.report or "" for seed in range(5)], threshold=1)


@pytest.fixture
def model(architecture: Architecture, tokenizer: ReportTokenizer) -> ReportModel:
    torch.manual_seed(0)
    kind = architecture.load()
    assert kind.config_class.model_type == architecture.name
    model = kind(
        kind.config_class(
            vocab_size=len(tokenizer),
            backbone="test_efficientnet",
            image_size=64,
            hidden_size=32,
            ffn_size=32,
            num_heads=4,
            num_encoder_layers=1,
            num_decoder_layers=2,
            dropout=0.0,
            loss_weights={"findings": 1.0},
        )
    )
    with torch.no_grad():  # the reports must differ between studies, or the checks prove nothing
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter) * parameter.std().nan_to_num(0.1).clamp(min=0.1))
    return model.eval()


@pytest.fixture
def batch(model: ReportModel) -> dict[str, Tensor]:
    """Feature maps of three studies, the second without its lateral view."""
    features = torch.randn(3, 2, model.image_encoder.num_features, 3, 4, generator=torch.Generator().manual_seed(0))
    return {"features": features.relu(), "view_mask": torch.tensor([[True, True], [True, False], [True, True]])}


def written(model: ReportModel, batch: dict[str, Tensor], **settings: object) -> Tensor:
    ids = model.generate(**batch, max_length=LIMIT, do_sample=False, **settings)
    return F.pad(ids, (0, LIMIT - ids.shape[1]))


def test_it_trains(model: ReportModel) -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(3, 2, 3, 64, 64, generator=generator)
    labels = torch.randint(1, model.config.vocab_size, (3, 7), generator=generator)
    outputs = model.train()(pixel_values=images, labels=labels, findings=torch.ones(3, 14))
    assert outputs.losses.keys() == {"words", "findings"}
    outputs.loss.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert {name.rpartition(".")[0] for name in without} == {"image_encoder.views"}, "trained with the encoder alone"


@pytest.mark.parametrize("beams", [1, 3])
def test_it_writes_the_same_with_and_without_a_cache(model: ReportModel, batch: dict[str, Tensor], beams: int) -> None:
    kept = written(model, batch, num_beams=beams, use_cache=True)
    assert torch.equal(kept, written(model, batch, num_beams=beams, use_cache=False))
    assert len(kept.unique(dim=0)) > 1, "the studies must differ for this to prove anything"
    alone = {name: value[1:2] for name, value in batch.items()}
    assert torch.equal(written(model, alone, num_beams=beams)[0], kept[1])


def test_saved_it_is_loaded_by_its_name_and_reports_with_maps(
    model: ReportModel, tokenizer: ReportTokenizer, batch: dict[str, Tensor], tmp_path: Path
) -> None:
    model.generation_config.update(max_length=LIMIT, pad_token_id=0, eos_token_id=0, bos_token_id=0)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    reporter = Reporter.from_pretrained(tmp_path, device="cpu")
    assert type(reporter.model) is type(model)
    assert torch.equal(written(reporter.model, batch), written(model, batch))
    study = make_phantom(0, size=64).study
    report = reporter.report(study)
    explanation = reporter.explain(study, report)
    assert len(explanation.words) == len(report.words) > 0
    for heatmap in explanation.words:
        assert heatmap.values.sum() == pytest.approx(1, abs=1e-4)
