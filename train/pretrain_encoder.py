"""Fine-tune the image encoder on the findings of the reports, on the views, and on further concepts.

    python train/pretrain_encoder.py --data DIR --backbone-weights efficientnet_lite0.safetensors --out runs/encoder

Give --second the folder of a second hospital (ChestX-ray14: labels.csv and images/) to train on both.

Run again with the same --out, an interrupted training resumes.
"""

import tyro

from pretraining.image_encoder import EncoderRecipe, pretrain
from rrg.errors import InputError

if __name__ == "__main__":
    try:
        pretrain(tyro.cli(EncoderRecipe, description=__doc__))
    except InputError as error:
        raise SystemExit(str(error)) from error
