"""The command line of training: a subcommand for each architecture, each with its own options."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from recipes import RECIPES, default_options
from recipes.csr_lmca import CSRLMCAOptions
from recipes.recipe import self_critical
from recipes.sgrrg import SGRRGOptions
from recipes.vit_gpt2 import ViTGPT2Options
from recipes.xpronet import XProNetOptions
from rrg.decoding.mbr import MBRConfig
from rrg.errors import InputError
from rrg.models import ARCHITECTURES
from training.command_line import parse
from training.run import Run

OWN = {
    ("xpronet", "--prototypes"): XProNetOptions(Path("a")),
    ("csr_lmca", "--sdam"): CSRLMCAOptions(Path("a")),
    ("sgrrg", "--scene-graphs"): SGRRGOptions(Path("a")),
    ("vit_gpt2", "--vision-model"): ViTGPT2Options(vision_model=Path("a")),
    ("vit_gpt2", "--language-model"): ViTGPT2Options(language_model=Path("a")),
}
"""Architecture and option -> the options that it gives."""
PATHS = ["--data", "data", "--out", "out"]


def shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is printed before the command line ends the program, without the frames of its boxes."""
    with pytest.raises(SystemExit):
        parse(arguments)
    printed = capsys.readouterr()
    return re.sub(r"\s+", " ", re.sub(r"[╭╮╰╯─│]", " ", printed.out + printed.err))


def test_every_architecture_has_recipes_and_a_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    assert RECIPES.keys() == ARCHITECTURES.keys()
    listed = shown(["--help"], capsys)
    for name, architecture in ARCHITECTURES.items():
        assert f"• {name} Train {architecture.title}." in listed
        run = parse([name, *PATHS])
        assert (run.architecture, run.data, run.out) == (name, Path("data"), Path("out"))
        assert run == Run(name, data=Path("data"), out=Path("out"), recipe=RECIPES[name]["small"])
        assert run.options == default_options(name)


@pytest.mark.parametrize(("name", "flag"), OWN)
def test_an_option_belongs_to_its_architecture_and_others_refuse_it(
    name: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parse([name, *PATHS, flag, "a"]).options == OWN[name, flag]
    assert flag in shown([name, "--help"], capsys)
    for other in RECIPES.keys() - {name}:
        assert flag not in shown([other, "--help"], capsys)
        assert f"Unrecognized options: {flag}" in shown([other, *PATHS, flag, "a"], capsys)


def test_an_architecture_has_its_own_options_from_python_too() -> None:
    for (name, _), given in OWN.items():
        run = Run(name, data=Path("data"), out=Path("out"))
        assert type(run.options) is type(given)
        assert replace(Run("r2gen_cmn", data=Path("data"), out=Path("out")), architecture=name) == run
        assert replace(run, options=given).options == given


def test_options_of_all_architectures_are_parsed() -> None:
    arguments = "r2gen_cmn --stage scst --start-from model --encoder file --share-encoder --size published_iu --seed 3"
    run = parse([*arguments.split(), "--work", "work", "--epochs", "2", "--limit", "10", *PATHS])
    assert (run.stage, run.start_from, run.encoder, run.share_encoder) == ("scst", Path("model"), Path("file"), True)
    assert run.recipe is not None
    assert (run.size, run.work, run.limit) == ("published_iu", Path("work"), 10)
    assert run.recipe == replace(self_critical(RECIPES["r2gen_cmn"]["published_iu"]), seed=3, epochs=2)


def test_every_field_of_a_recipe_and_of_its_parts_is_an_option() -> None:
    arguments = "--config.hidden-size 256 --config.windows 1 3 --config.discriminator resnet18 --epochs 5 --beams 5"
    further = "--betas 0.5 0.6 --no-amsgrad --reward.rouge 2 --mbr.samples 8 --mbr.cider-weight 0.5"
    run = parse(["csr_lmca", *PATHS, "--recipe", "published_iu", *arguments.split(), *further.split()])
    published = RECIPES["csr_lmca"]["published_iu"]
    assert run.recipe == replace(
        published,
        config={**published.config, "hidden_size": 256, "windows": (1, 3), "discriminator": "resnet18"},
        epochs=5,
        beams=5,
        betas=(0.5, 0.6),
        amsgrad=False,
        reward=replace(published.reward, rouge=2.0),
        mbr=MBRConfig(samples=8, cider_weight=0.5),
    )


def test_losses_and_options_of_the_backbone_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    weights = ["--config.loss-weights", '{"findings": 0.5}']
    run = parse(["r2gen_cmn", *PATHS, *weights])
    assert run.recipe is not None and run.recipe.config["loss_weights"] == {"findings": 0.5}
    refused = shown(["r2gen_cmn", *PATHS, "--config.loss-weights", "findings=1"], capsys)
    assert "Error parsing --config.loss-weights" in refused


def test_mbr_decoding_is_switched_off_by_zero_samples_and_its_options_need_samples() -> None:
    run = parse(["r2gen_cmn", *PATHS, "--mbr.samples", "0"])
    assert run.recipe == replace(RECIPES["r2gen_cmn"]["small"], mbr=None)
    with pytest.raises(InputError, match=r"--mbr\.samples"):
        parse(["r2gen_cmn", *PATHS, "--recipe", "published_iu", "--mbr.temperature", "0.5"])


def test_the_defaults_are_those_of_the_recipe_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    small = shown(["r2gen_cmn", "--help"], capsys)
    mimic = shown(["r2gen_cmn", "--size", "published_mimic", "--help"], capsys)
    assert "[our own; train/LOG.md has the runs] (default: 7)" in small
    assert "[R2GenCMN repository, run_mimic_cxr.sh] (default: 30)" in mimic
    with pytest.raises(InputError, match="There is no recipe 'huge'"):
        parse(["r2gen_cmn", *PATHS, "--size", "huge"])


def test_the_stages_of_vit_gpt2_have_their_recipes() -> None:
    first = parse(["vit_gpt2", *PATHS, "--stage", "1"])
    second = parse(["vit_gpt2", *PATHS, "--stage", "2", "--checkpoint", "first"])
    assert (first.size, first.recipe) == ("published", RECIPES["vit_gpt2"]["published_stage1"])
    assert (second.recipe, second.start_from) == (RECIPES["vit_gpt2"]["published"], Path("first"))
    minimal = parse(["vit_gpt2", *PATHS, "--stage=2", "--size=minimal"]).recipe
    assert minimal is not None and minimal.frozen_parameters == RECIPES["vit_gpt2"]["published"].frozen_parameters
    for arguments in (["vit_gpt2", *PATHS, "--stage", "1", "--size", "small"], ["xpronet", *PATHS, "--stage", "2"]):
        with pytest.raises(InputError, match="two stages"):
            parse(arguments)
