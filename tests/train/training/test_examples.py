"""The commands of docs/training.md: all are understood, and those of the two-stage training run at a tiny size."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, ViTConfig, ViTModel

import rrg.__main__
from recipes.stages import recipe_for
from rrg.data.annotation import read_annotation
from rrg.data.phantom import make_phantom, write_phantoms
from rrg.models.vit_gpt2.model import ViTGPT2
from training.command_line import parse
from training.run import Run, train

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
TINY = (
    "--config.image-size 64 --config.vit-grid 4 --config.hidden-size 32 --config.ffn-size 48 --config.num-heads 4 "
    "--config.num-encoder-layers 2 --config.num-decoder-layers 2 --config.vit-hidden-size 24 --config.vit-ffn-size 48 "
    "--config.vit-heads 3 --config.max-positions 64 --max-length 30 --epochs 1 --beams 1 "
    "--batch-size 4 --warmup-steps 0 --lr-rest 0.01 --report-to none --workers 0"
)
PARTS = {"google/vit-base-patch16-224": "vit", "gpt2": "gpt2"}


def commands(section: str) -> list[list[str]]:
    """The words of the commands in a section of the page."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.strip()]


def training_commands() -> list[list[str]]:
    lines = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    words = [shlex.split(line) for line in lines if "train/train.py" in line and "--help" not in line]
    return [command[command.index("train/train.py") + 1 :] for command in words]


@pytest.mark.parametrize("arguments", training_commands(), ids=" ".join)
def test_every_training_command_is_understood(arguments: list[str]) -> None:
    run = parse(arguments)
    assert run.architecture == arguments[0] and run.recipe is not None


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the data, the pretrained parts and the images that the page names, all tiny."""
    write_phantoms(tmp_path / "data" / "iu_xray", count=20, seed=0, size=64)
    texts = [study.report or "" for study in read_annotation(tmp_path / "data" / "iu_xray")]
    words = ByteLevelBPETokenizer()
    words.train_from_iterator(texts, vocab_size=300, special_tokens=["<|endoftext|>"])
    ends = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words._tokenizer, **ends)
    tokenizer.save_pretrained(tmp_path / "gpt2")
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 48, "n_positions": 64}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **sizes)).save_pretrained(tmp_path / "gpt2")
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 48}
    ViTModel(ViTConfig(image_size=64, **sizes), add_pooling_layer=False).save_pretrained(tmp_path / "vit")
    (tmp_path / "images").mkdir()
    for number, name in enumerate(("frontal.png", "lateral.png", "images/a.png", "images/b.png")):
        radiograph = make_phantom(number // 2, size=256).study.radiographs()[number % 2 if number < 2 else 0]
        Image.fromarray((radiograph.pixels * 255).round().astype("uint8")).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(arguments: list[str]) -> Run:
    """Train by a command of the page, at tiny sizes and with the tiny parts."""
    run = parse([*(PARTS.get(word, word) for word in arguments), *TINY.split()])
    train(run)
    return run


@pytest.mark.slow
def test_the_two_stages_train_and_write_reports(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, minimal, report, batch = commands("Two stages: ViT, mapping network, GPT-2")
    trained(first[2:])
    before = ViTGPT2.from_pretrained(place / "runs" / "stage1").state_dict()
    pretrained = GPT2LMHeadModel.from_pretrained(place / "gpt2").state_dict()
    key = "transformer.h.0.mlp.c_fc.weight"
    assert (before[f"language_model.{key}"].float() - pretrained[key]).abs().max() < 1e-3, "frozen in the first stage"
    second_run = trained(second[2:])
    after = ViTGPT2.from_pretrained(place / "runs" / "stage2").state_dict()
    assert second_run.recipe is not None
    assert second_run.recipe.frozen_parameters == recipe_for("vit_gpt2", "published", "2").frozen_parameters
    assert not after[f"language_model.{key}"].equal(before[f"language_model.{key}"]), "trained in the second"
    small = trained(minimal[2:]).recipe
    assert small is not None and small.config["mapper_layers"] == 1

    for words in (report, batch):
        monkeypatch.setattr(sys, "argv", words[2:])
        rrg.__main__.main()
    printed = capsys.readouterr().out
    assert "2 reports written to reports/reports.jsonl" in printed
    assert sorted(path.name for path in Path("reports").glob("*.txt")) == ["a.txt", "b.txt"]
