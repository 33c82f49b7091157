"""Text -> numbers: language and clinical figures of generated reports, always beside those of trivial systems."""
