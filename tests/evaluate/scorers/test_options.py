"""Which scorers are opened."""

from pathlib import Path

import pytest

from rrg.errors import InputError
from rrg.evaluate.scorers import ScorerOptions, open_scorers


def test_no_scorer_by_default() -> None:
    assert open_scorers(ScorerOptions()) == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ScorerOptions(bertscore_layer=3), "need a model. Name it by --bertscore"),
        (ScorerOptions(bertscore_baseline=Path("x.tsv")), "need a model. Name it by --bertscore"),
        (ScorerOptions(chexbert_tokenizer="x"), "needs a checkpoint. Name it by --chexbert"),
        (ScorerOptions(chexbert=Path("absent.pth")), "There is no absent.pth"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: ScorerOptions, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_scorers(options)


def test_options_as_words_of_the_command_line() -> None:
    options = ScorerOptions(chexbert=Path("c.pth"), bertscore_layer=2, radeval=("green", "radgraph"))
    assert [*options.arguments()] == ["--chexbert", "c.pth", "--bertscore-layer", "2", "--radeval", "green", "radgraph"]
    assert [*ScorerOptions().arguments()] == []
