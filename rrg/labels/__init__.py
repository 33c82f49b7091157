"""Text to labels: findings and scene graphs, by rules."""
