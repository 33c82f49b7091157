"""Which scorers an evaluation uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from rrg.errors import InputError
from rrg.evaluate.scorers.scorer import Scorer


@dataclass(frozen=True)
class ScorerOptions:
    """The scorers of an evaluation; none by default."""

    chexbert: Path | None = None
    """Checkpoint of CheXbert (chexbert.pth): accuracy and F1 of its labels, over 14 and 5 findings."""
    chexbert_tokenizer: str | None = None
    """Tokenizer of bert-base-uncased: a folder, a vocab.txt or a hub id; by default that of the hub's cache."""
    bertscore: str | None = None
    """BERTScore by this model: a local folder, or a hub id such as roberta-large."""
    bertscore_layer: int | None = None
    """Layer of that model; by default the one that the package bert-score uses for it, else the last."""
    bertscore_baseline: Path | None = None
    """Table of baselines (.tsv of the package bert-score) to rescale BERTScore by."""
    radgraph: str | None = None
    """RadGraph F1 by this model of the package radgraph, such as radgraph-xl."""
    radeval: tuple[str, ...] = ()
    """Metrics of the package radeval, such as radgraph, green or ratescore."""

    def arguments(self) -> Iterator[str]:
        """The words of the command line that give these options."""
        for option in fields(self):
            value = getattr(self, option.name)
            if value is not None and value != ():
                words = value if isinstance(value, tuple) else (value,)
                yield from (f"--{option.name.replace('_', '-')}", *map(str, words))


def open_scorers(options: ScorerOptions) -> tuple[Scorer, ...]:
    """Load the scorers that are asked for. Raises InputError for one that cannot be used."""
    if options.bertscore is None and (options.bertscore_layer is not None or options.bertscore_baseline is not None):
        raise InputError("--bertscore-layer and --bertscore-baseline need a model. Name it by --bertscore.")
    if options.chexbert is None and options.chexbert_tokenizer is not None:
        raise InputError("--chexbert-tokenizer needs a checkpoint. Name it by --chexbert.")
    scorers: list[Scorer] = []
    # Imported here: each loads torch, or a package that may be missing.
    if options.chexbert is not None:
        from rrg.evaluate.scorers.chexbert import CheXbertScorer

        scorers.append(CheXbertScorer.from_file(options.chexbert, options.chexbert_tokenizer))
    if options.bertscore is not None:
        from rrg.evaluate.scorers.bertscore import BertScorer

        scorers.append(
            BertScorer.from_pretrained(options.bertscore, options.bertscore_layer, options.bertscore_baseline)
        )
    if options.radgraph is not None:
        from rrg.evaluate.scorers.packages import RadGraphScorer

        scorers.append(RadGraphScorer.load(options.radgraph))
    if options.radeval:
        from rrg.evaluate.scorers.packages import RadEvalScorer

        scorers.append(RadEvalScorer.load(options.radeval))
    return tuple(scorers)
