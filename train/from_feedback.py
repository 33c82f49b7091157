"""Go on training a report model on the corrections of its readers.

    python -m rrg feedback export --format jsonl --out out.jsonl
    python train/from_feedback.py --model xpronet --feedback out.jsonl --data DIR
    python train/from_feedback.py --model xpronet --feedback out.jsonl --data DIR --method dpo

The corrected reports are the training data, mixed with original studies against forgetting. Part of the corrections is
held out. The share of the most frequent errors, ROUGE-L and the findings' F1 are printed for the model before and
after, on the held-out corrections and on val. The weights are written to --out with a card and the recipe.
"""

from __future__ import annotations

import tyro

from rrg.errors import InputError
from training.feedback.run import FeedbackRun, retrain

if __name__ == "__main__":
    try:
        retrain(tyro.cli(FeedbackRun, description=__doc__))
    except InputError as error:
        raise SystemExit(str(error)) from error
