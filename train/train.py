"""Train a report model.

    python train/train.py r2gen_cmn --data DIR --encoder runs/encoder/image_encoder.safetensors --out weights/r2gen_cmn
    python train/train.py r2gen_cmn --stage scst --start-from weights/r2gen_cmn --out weights/r2gen_cmn ...
    accelerate launch train/train.py r2gen_cmn --size published_mimic ...      # several GPUs

Each architecture has options of its own: `python train/train.py NAME --help` lists all.

After each epoch, reports are generated for the val split and scored. The best checkpoint is written to --out, as a
folder that the app, the command line and `rrg.Reporter` load. Run again with the same --work, an interrupted training
resumes.
"""

from collections.abc import Sequence

import tyro
from recipes import OPTIONS, RECIPES, ModelOptions
from training.run import Run, train

from rrg.errors import InputError
from rrg.models import ARCHITECTURES


def parse(arguments: Sequence[str] | None = None) -> Run:
    """The run that the command line asks for: one subcommand an architecture, with the options that it has."""
    runs = {
        name: (
            f"Train {ARCHITECTURES[name].title}.",
            Run(name, tyro.MISSING, tyro.MISSING, options=OPTIONS.get(name, ModelOptions())),
        )
        for name in RECIPES
    }
    return tyro.extras.overridable_config_cli(runs, description=__doc__, args=arguments)


if __name__ == "__main__":
    try:
        train(parse())
    except InputError as error:
        raise SystemExit(str(error)) from error
