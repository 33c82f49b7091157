"""Maps that explain a report: cross-attention, Grad-CAM, the architecture's own maps, and their rendering."""
