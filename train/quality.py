"""Train the checks of what an image shows, for one image encoder, and measure them.

    python train/quality.py --data DIR --second DIR --pictures DIR
    python train/quality.py --data DIR --second DIR --pictures DIR --only-table

Writes quality.safetensors beside the image encoder, and docs/quality.md.
"""

import tyro

from pretraining.quality.table import write_table
from pretraining.quality.training import QualityRecipe, train_quality
from rrg.errors import InputError

if __name__ == "__main__":
    try:
        recipe = tyro.cli(QualityRecipe, description=__doc__)
        if not recipe.only_table:
            train_quality(recipe)
        write_table(recipe)
    except InputError as error:
        raise SystemExit(str(error)) from error
