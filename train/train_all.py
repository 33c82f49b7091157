"""Train the image encoder and all models, with one or more seeds, and evaluate them on val.

    python train/train_all.py --data DIR --second DIR --backbone-weights FILE --jobs 2

Run again with the same folders, an interrupted call goes on where it was.
"""

import tyro

from rrg.errors import InputError
from training.all_models import Everything, train_everything

if __name__ == "__main__":
    try:
        train_everything(tyro.cli(Everything, description=__doc__))
    except InputError as error:
        raise SystemExit(str(error)) from error
