"""Files of one study for people and systems outside the app: HTML, PDF, JSON and DICOM SR."""

from rrg.ui.export.formats import FORMATS, Format, export, file_name, format_of, write_export
from rrg.ui.export.study import ExportedStudy, chosen_maps

__all__ = ["FORMATS", "ExportedStudy", "Format", "chosen_maps", "export", "file_name", "format_of", "write_export"]
