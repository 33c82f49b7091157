"""Worklists of reader studies: who reads which report in which order, and the reports with probes."""
