"""Convert a published checkpoint into a folder of weights that the app and `rrg.Reporter` load.

    python train/convert.py r2gen_cmn checkpoint.pth --annotation annotation.json --out weights/NAME

A checkpoint holds no vocabulary: it is built again from the train split of the annotation that the model was trained
with, and must have the size of the checkpoint's output layer. Nothing is written unless every weight is matched.
Printed are what became of each key, the number of ids, and what still differs from the authors' code.
"""

import tyro

from conversion.conversion import Conversion, convert
from rrg.errors import InputError

if __name__ == "__main__":
    try:
        converted = convert(tyro.cli(Conversion, description=__doc__))
    except InputError as error:
        raise SystemExit(str(error)) from error
    print(converted.keys, converted.summary, sep="\n\n")
