"""Train a report model.

    python train/train.py r2gen_cmn --data DIR --encoder runs/encoder/image_encoder.safetensors --out weights/r2gen_cmn
    python train/train.py r2gen_cmn --stage scst --start-from weights/r2gen_cmn --out weights/r2gen_cmn ...
    accelerate launch train/train.py r2gen_cmn --size published_mimic ...      # several GPUs

Each architecture has its own options: `python train/train.py NAME --help` lists all.

After each epoch, reports are generated for the val split and scored. The best checkpoint is written to --out, as a
folder that the app, the command line and `rrg.Reporter` load. Run again with the same --work, an interrupted training
resumes.
"""

from rrg.errors import InputError
from training.command_line import parse
from training.run import train

if __name__ == "__main__":
    try:
        train(parse(description=__doc__))
    except InputError as error:
        raise SystemExit(str(error)) from error
