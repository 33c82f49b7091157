"""README's block of results: three tables of all models and floors, and what follows from them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from figures import PROTOCOLS, Published, clinical_table, language_table, protocol_line

from rrg.errors import InputError

OPENING = "<!-- results: written by `make evaluate` from the figures in weights/*/results.json -->"
CLOSING = "<!-- /results -->"
DATA = {"iu_xray": "IU X-Ray"}
"""Names of data folders as papers write them."""
FEWEST_POSITIVES = 10
"""An AUROC of fewer positive studies says too little for the front page."""
TRUSTED = 0.7
"""Below this AUROC the page warns of the classifier."""


def with_results(readme: str, models: Sequence[Published]) -> str:
    """The page with the block of these models in place of the one it has. Raises InputError when it has none."""
    block = "\n".join((OPENING, *_lines(models), CLOSING))
    page, count = re.subn(r"<!-- results.*?<!-- /results -->", lambda _: block, readme, flags=re.DOTALL)
    if count != 1:
        raise InputError(f"README.md needs one block between '<!-- results' and '{CLOSING}'; it has {count}.")
    return page


def split_name(model: Published) -> str:
    """As in "Val split of IU X-Ray (296 studies)"."""
    figures = model.figures
    return f"{figures['split']} split of {DATA.get(figures['data'], figures['data'])} ({figures['studies']} studies)"


def _lines(models: Sequence[Published]) -> Iterator[str]:
    one = models[0]
    words = shlex.split(one.figures["command"])
    command = f"make evaluate DATA={words[words.index('--data') + 1]} SPLIT={one.figures['split']}"
    name = split_name(one)
    yield f"{name[0].upper()}{name[1:]}, by `{command}`; each model's card has its own command."
    yield "In brackets 95 % bootstrap intervals over the studies; bold is the best of a column."
    if one.figures["split"] != "test":
        yield "The test split is not reported here."
    for protocol in PROTOCOLS:
        yield from ("", protocol_line(one, protocol), "")
        yield from language_table(models, protocol, _label)
    missing = sorted({why for model in models for why in model.figures["not_computed"].values()})
    if missing:
        yield from ("", f"An empty cell: {'; '.join(missing)}.")
    machines = ", ".join(dict.fromkeys(model.figures["machine"] for model in models))
    distinct = one.figures["behaviour"]["distinct_references"]
    yield ""
    yield (
        "What the reports say by the rule labeler of this project, how they vary (the radiologists' are "
        f"{distinct} distinct ones), and whether they come from the image."
    )
    yield (
        "Black images: of the reports that are not the model's most common one, those that change. Shuffled images: "
        "of the studies with a finding, those whose report changes with the images of another study."
    )
    yield (
        "These are not CheXbert's labels: published F1 cannot be compared. "
        f"Seconds on {machines}, 16 studies at a time."
    )
    yield ""
    yield from clinical_table(models, _label)
    yield ""
    yield from _reading(models)


def _reading(models: Sequence[Published]) -> Iterator[str]:
    """What the floors and the classifier say of the models, whichever way the figures go."""
    claims = (
        ("one constant report", "r2gen", "BLEU-4", "best constant (BLEU-4)", "BLEU-4"),
        ("one", "r2gen", "CIDEr", "best constant (CIDEr)", "CIDEr"),
        ("the nearest neighbour", "clinical", "macro-F1-13", "nearest neighbour", "macro-F1 over 13 findings"),
    )
    said = []
    for who, group, metric, floor, figure in claims:
        pairs = [(model.value(group, metric, floor), model.value(group, metric)) for model in models]
        known = [(of_floor, own) for of_floor, own in pairs if of_floor is not None and own is not None]
        if known:
            beaten = sum(of_floor > own for of_floor, own in known)
            said.append(f"{who} beats {_some(beaten, len(known))} on {figure}")
    if said:
        yield f"Read it with the floors: {'; '.join(said)}."
    yield from _classifier(models)


def _some(count: int, of: int) -> str:
    if count == 0:
        return "no model"
    if count == of:
        return "the model" if of == 1 else f"all {of} models"
    return f"{count} of {of} models"


def _classifier(models: Sequence[Published]) -> Iterator[str]:
    """AUROC by finding: a figure where the models share one, else the range."""
    tables = [model.figures["classifier_auroc"] for model in models if model.figures["classifier_auroc"]]
    if not tables:
        return
    said, doubtful = [], []
    for finding, auroc in tables[0].items():
        if auroc["positives"] < FEWEST_POSITIVES or not all(finding in table for table in tables):
            continue
        values = [table[finding]["value"] for table in tables]
        ends = dict.fromkeys(f"{value:.2f}".removeprefix("0") for value in (min(values), max(values)))
        said.append(f"{finding.lower()} {' to '.join(ends)} ({auroc['positives']})")
        if min(values) < TRUSTED:
            doubtful.append(finding.lower())
    if said:
        yield f"AUROC of the classifier on the images (positive studies): {', '.join(said)}."
    if doubtful:
        yield f"Do not trust it with {_and(doubtful)}."


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _label(model: Published) -> str:
    return f"`{model.info.name}`"
