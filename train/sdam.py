"""Choose the thresholds of CSR-LMCA's saliency masks, and train a discriminator for them unless --encoder is given.

    python train/sdam.py --data DIR --encoder runs/encoder/image_encoder.safetensors --out FILE.safetensors
    python train/sdam.py --data DIR --discriminator resnet34 --backbone-weights resnet34.safetensors --out FILE
    python train/train.py csr_lmca --data DIR --encoder ... --sdam FILE.safetensors --out weights/csr_lmca

Run again with the same --out, an interrupted training resumes.
"""

import tyro

from pretraining.saliency import SaliencyRecipe, make_saliency
from rrg.errors import InputError

if __name__ == "__main__":
    try:
        make_saliency(tyro.cli(SaliencyRecipe, description=__doc__))
    except InputError as error:
        raise SystemExit(str(error)) from error
