"""Read image files and DICOM into radiographs, without data that identify the patient."""

from rrg.data.radiographs.radiograph import Provenance, Radiograph, View
from rrg.data.radiographs.reading import read_radiograph

__all__ = ["Provenance", "Radiograph", "View", "read_radiograph"]
