"""Make the initial prototypes of XProNet (Wang et al., ECCV 2022).

python train/prototypes.py --data DIR --encoder runs/encoder/image_encoder.safetensors --out FILE.safetensors
python train/train.py xpronet --data DIR --encoder ... --prototypes FILE.safetensors --out weights/xpronet
"""

import tyro

from pretraining.prototypes import PrototypeRecipe, make_prototypes
from rrg.errors import InputError

if __name__ == "__main__":
    try:
        make_prototypes(tyro.cli(PrototypeRecipe, description=__doc__))
    except InputError as error:
        raise SystemExit(str(error)) from error
