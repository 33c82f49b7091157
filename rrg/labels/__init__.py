"""Labels of report text by rules: findings and scene graphs."""
