"""Publish the results of an evaluation: results.json and card of each model, README's table and docs/results.md.

    python train/publish.py --out out --split val

`make evaluate` evaluates the models and then calls this. For each model it uses OUT/MODEL-SPLIT/results.json if that
file has the hash of the present weights, else the results published before. Equal files give equal pages.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import tyro

from publishing.publication import publish
from rrg.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


def main(out: Path = Path("out"), split: str = "val") -> None:
    """Write weights/*/results.json, weights/*/README.md, README's table and docs/results.md.

    Args:
        out: Folder that `python -m rrg evaluate` wrote.
        split: The split that is published.
    """
    try:
        left_out: Sequence[str] = publish(
            out, ROOT / "weights", ROOT / "README.md", ROOT / "docs" / "results.md", split
        )
    except InputError as error:
        sys.exit(str(error))
    done = "Written: the table in README.md, docs/results.md, and card and results.json of each model in them."
    for line in (*left_out, done):
        print(line)


if __name__ == "__main__":
    tyro.cli(main)
