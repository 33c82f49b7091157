"""Compute the statistics of the training data that the app's badges need, for all bundled models.

    python train/training_statistics.py --data DIR

Writes weights/training_statistics.safetensors. Run it again after a change of the image encoder or of weights.
"""

import tyro

from publishing.training_statistics import StatisticsRecipe, make_statistics
from rrg.errors import InputError

if __name__ == "__main__":
    try:
        print(f"Written: {make_statistics(tyro.cli(StatisticsRecipe, description=__doc__))}")
    except InputError as error:
        raise SystemExit(str(error)) from error
