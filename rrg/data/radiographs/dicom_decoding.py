"""Decode the pixel data of a DICOM file whose header was completed.

Compressed pixels are decoded in a process of their own, `decoder_process`. A small file can keep a decoder busy for
hours or exhaust the RAM: a JPEG 2000 image of 2048 x 2048 pixels and 600 bytes takes 2.4 GB. And some decoders end the
whole process on damaged data. That process has limits of time and memory; what happens in it does not harm this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from rrg.data.radiographs.codestream import jpeg2000_size, jpeg_size
from rrg.data.radiographs.decoder_process import Decoding, Outcome
from rrg.data.radiographs.dicom_pixels import complete_planes
from rrg.errors import InputError


@dataclass(frozen=True)
class _Plugin:
    name: str
    """pydicom's name of the decoder."""
    module: str | None
    """Module that it needs."""
    package: str
    """Package that has the module."""


_PYDICOM = _Plugin("pydicom", None, "pydicom")
_PILLOW = _Plugin("pillow", "PIL", "pillow")
_OPENJPEG = _Plugin("pylibjpeg", "openjpeg", "pylibjpeg-openjpeg")
_GDCM = _Plugin("gdcm", "gdcm", "python-gdcm")

_PLUGINS: dict[UID, _Plugin] = {
    RLELossless: _PYDICOM,
    JPEGBaseline8Bit: _PILLOW,
    JPEGExtended12Bit: _GDCM,
    JPEGLossless: _GDCM,
    JPEGLosslessSV1: _GDCM,
    JPEGLSLossless: _GDCM,
    JPEGLSNearLossless: _GDCM,
    JPEG2000Lossless: _OPENJPEG,
    JPEG2000: _OPENJPEG,
    HTJ2KLossless: _OPENJPEG,
    HTJ2KLosslessRPCL: _OPENJPEG,
    HTJ2K: _OPENJPEG,
}
"""Compressed transfer syntaxes that are read, and their decoders."""

_KEEP_ALL_BITS: dict[str, Any] = {"correct_unused_bits": False}

_PIXELS_PER_SECOND = 2_000_000
"""Slowest decoding that is waited for. JPEG 2000 of 16 bits decodes about 8 million pixels per second on one core."""
_START_SECONDS = 4
_WAIT = 10
"""Ratio of waiting time to computing time at which a decoder is ended, for busy machines."""


def decode(dataset: Dataset) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decode the pixels of a data set that `complete_header` returned.

    Returns:
        values [H, W], or [H, W, 3] in RGB; what was corrected.

    Raises:
        InputError: the pixels cannot be decoded, or contradict the header.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    notes: tuple[str, ...] = ()
    if not syntax.is_compressed:
        notes = complete_planes(dataset) if dataset.SamplesPerPixel == 3 else ()
        decoded, properties = get_decoder(syntax).as_array(dataset, raw=True, **_KEEP_ALL_BITS)
        photometric = str(properties["photometric_interpretation"])
    else:
        decoded, photometric, notes = _decode_compressed(dataset, syntax)
    decoded = decoded.astype(decoded.dtype.newbyteorder("="), copy=False)
    expected = (dataset.Rows, dataset.Columns) + ((3,) if dataset.SamplesPerPixel == 3 else ())
    if decoded.shape != expected:
        raise InputError(
            f"The pixels of this DICOM file are {' x '.join(map(str, decoded.shape))}, where its header states "
            f"{' x '.join(map(str, expected))}. Export it again."
        )
    return _to_rgb(decoded) if photometric.startswith("YBR_FULL") else decoded, notes


def _decode_compressed(dataset: Dataset, syntax: UID) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Decoded values, their photometric interpretation, and what was corrected."""
    plugin = _PLUGINS.get(syntax)
    if plugin is None:
        raise InputError(
            f"The transfer syntax of this DICOM file ({syntax.name}) is not read here. Export the X-ray uncompressed."
        )
    if plugin.module and find_spec(plugin.module) is None:
        raise InputError(
            f"This DICOM file is compressed as {syntax.name}, and its decoder is not installed. Install it with "
            f"`pip install {plugin.package}`, or export the X-ray uncompressed."
        )
    notes = complete_planes(dataset) if dataset.SamplesPerPixel == 3 else ()
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if syntax != RLELossless:
        stored = _checked_bits(dataset, syntax)
        if stored > allocated:
            notes += (f"BitsAllocated {allocated} ignored, for the compressed values have {stored} bits",)
            allocated = dataset.BitsAllocated = 16  # `complete_header` made these well-formed
            dataset.BitsStored = stored
    decoding = Decoding(
        syntax=JPEGLossless if syntax == JPEGExtended12Bit else syntax,  # pydicom keeps 12 bits from this decoder
        plugin=plugin.name,
        seconds=_START_SECONDS + dataset.Rows * dataset.Columns // _PIXELS_PER_SECOND,
        options={
            "rows": dataset.Rows,
            "columns": dataset.Columns,
            "number_of_frames": 1,
            "samples_per_pixel": dataset.SamplesPerPixel,
            "photometric_interpretation": dataset.PhotometricInterpretation,
            "bits_allocated": allocated,
            "bits_stored": stored,
            "pixel_representation": dataset.PixelRepresentation,
            "pixel_keyword": "PixelData",
        }
        | ({"planar_configuration": dataset.PlanarConfiguration} if dataset.SamplesPerPixel == 3 else {}),
    )
    decoded, photometric = _run(decoding, dataset.PixelData, syntax)
    return decoded, photometric, notes


def _checked_bits(dataset: Dataset, syntax: UID) -> int:
    """Check the size that the compressed image states, which decides how much is decoded, and return its bits."""
    try:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    except Exception:  # pydicom raises many types on damaged fragments
        raise _damaged(syntax) from None
    size = jpeg2000_size(frame) if syntax in JPEG2000TransferSyntaxes else jpeg_size(frame)
    if size is None:
        raise _damaged(syntax)
    stated = (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
    if (size.rows, size.columns, size.samples) != stated:
        raise InputError(
            f"The compressed image in this DICOM file contradicts its header: {size.columns} x {size.rows} pixels of "
            f"{size.samples} samples, where the header states {stated[1]} x {stated[0]} of {stated[2]}. Export it "
            "again."
        )
    if not 1 <= size.bits <= 16:
        raise InputError(
            f"The compressed image in this DICOM file has {size.bits} bits, where a radiograph has 8 to 16. Export the "
            "X-ray image again."
        )
    return size.bits


def _run(decoding: Decoding, data: bytes, syntax: UID) -> tuple[np.ndarray, str]:
    """Decode in a process of its own. Returns the values and their photometric interpretation."""
    script = Path(__file__).with_name("decoder_process.py")
    command = [sys.executable, "-P", str(script), decoding.to_json()]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads reserve memory
    try:
        done = subprocess.run(
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders write there, and may quote the file
            timeout=_WAIT * decoding.seconds,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise _too_slow(syntax, decoding) from None
    except OSError as error:
        raise InputError(
            f"The decoder of {syntax.name} cannot be started ({error.strerror}). Export the X-ray uncompressed."
        ) from error
    if done.returncode == Outcome.TOO_SLOW:
        raise _too_slow(syntax, decoding)
    if done.returncode in Outcome.TOO_LARGE:
        raise InputError(
            f"The pixels of this DICOM file ({syntax.name}) need more memory to decode than is allowed. They may be "
            "damaged. Export the X-ray uncompressed."
        )
    end = done.stdout.find(b"\n")
    if done.returncode or end < 0:
        raise _damaged(syntax)
    described = json.loads(done.stdout[:end])
    decoded = np.frombuffer(done.stdout, described["dtype"], offset=end + 1).reshape(described["shape"])
    return decoded, described["photometric_interpretation"]


def _damaged(syntax: UID) -> InputError:
    return InputError(f"The pixels of this DICOM file ({syntax.name}) are damaged or cut off. Export it again.")


def _too_slow(syntax: UID, decoding: Decoding) -> InputError:
    return InputError(
        f"The pixels of this DICOM file ({syntax.name}) take longer than {decoding.seconds} s to decode. They may be "
        "damaged. Export the X-ray uncompressed."
    )


def _to_rgb(decoded: np.ndarray) -> np.ndarray:
    """Convert YCbCr [H, W, 3] to RGB (PS3.3 C.7.6.3.1.2), in strips to save memory."""
    rgb = np.empty_like(decoded)
    for row in range(0, len(decoded), 64):
        strip = np.ascontiguousarray(decoded[row : row + 64, :, [0, 2, 1]])
        rgb[row : row + 64] = cv2.cvtColor(strip, cv2.COLOR_YCrCb2RGB)
    return rgb
