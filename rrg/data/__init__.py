"""Files become studies: images, reports, findings, synthetic radiographs."""
