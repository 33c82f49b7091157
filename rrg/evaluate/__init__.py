"""Language and clinical metrics of generated reports, compared with trivial baselines (floors)."""
