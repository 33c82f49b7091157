"""Labels of report text: findings, by rules or a CheXbert checkpoint, and scene graphs, by rules."""
