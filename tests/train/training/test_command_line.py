"""The command line of training: a subcommand for each architecture, each with its own options."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from recipes import RECIPES, default_options
from recipes.csr_lmca import CSRLMCAOptions
from recipes.sgrrg import SGRRGOptions
from recipes.vit_gpt2 import ViTGPT2Options
from recipes.xpronet import XProNetOptions
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
        assert run == Run(name, data=Path("data"), out=Path("out"))
        assert run.options == default_options(name)


@pytest.mark.parametrize(("name", "flag"), OWN)
def test_an_option_belongs_to_its_architecture_and_others_refuse_it(
    name: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parse([name, *PATHS, flag, "a"]).options == OWN[name, flag]
    assert flag in shown([name, "--help"], capsys)
    for other in RECIPES.keys() - {name}:
        assert flag not in shown([other, "--help"], capsys)
        assert f"Unrecognized or misplaced options: {flag}" in shown([other, *PATHS, flag, "a"], capsys)


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
    assert (run.size, run.seed, run.work, run.epochs, run.limit) == ("published_iu", 3, Path("work"), 2, 10)
