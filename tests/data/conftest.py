"""Fixture that builds DICOM files."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom import dcmwrite
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import compress
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid


@pytest.fixture(scope="session")
def dicom_file() -> Callable[..., bytes]:
    """`dicom_file(pixels, syntax=..., **tags)` writes a MONOCHROME2 CR image; a tag given as None is left out.

    `stream` is the compressed image where the pixels shall not be encoded here.
    """

    def build(
        pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, stream: bytes | None = None, **tags: Any
    ) -> bytes:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        standard = {
            "SOPClassUID": ComputedRadiographyImageStorage,
            "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
            "Modality": "CR",
            "Rows": pixels.shape[0],
            "Columns": pixels.shape[1],
            "SamplesPerPixel": 1 if pixels.ndim == 2 else 3,
            "PhotometricInterpretation": "MONOCHROME2" if pixels.ndim == 2 else "RGB",
            "BitsAllocated": 8 * pixels.itemsize,
            "BitsStored": 8 * pixels.itemsize,
            "PixelRepresentation": int(pixels.dtype.kind == "i"),
        }
        values = standard | tags
        values.setdefault("HighBit", values["BitsStored"] - 1)
        if pixels.ndim == 3:
            values.setdefault("PlanarConfiguration", 0)
        for keyword, value in values.items():
            if value is not None:
                setattr(dataset, keyword, value)
        little_endian = syntax != "1.2.840.10008.1.2.2"
        dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<" if little_endian else ">")).tobytes()
        dataset["PixelData"].VR = "OW" if pixels.itemsize == 2 else "OB"
        if stream is not None:
            dataset.PixelData = encapsulate([stream])
            dataset["PixelData"].VR = "OB"
            dataset["PixelData"].is_undefined_length = True
            meta.TransferSyntaxUID = syntax
        elif syntax in ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"):
            compress(dataset, syntax, generate_instance_uid=False)
        else:
            meta.TransferSyntaxUID = syntax
        file = BytesIO()
        dcmwrite(file, dataset, enforce_file_format=True)
        return file.getvalue()

    return build
