"""Image files and DICOM to radiographs: true pixels, no identity."""

from rrg.data.radiographs.radiograph import Provenance, Radiograph, View
from rrg.data.radiographs.reading import read_radiograph

__all__ = ["Provenance", "Radiograph", "View", "read_radiograph"]
