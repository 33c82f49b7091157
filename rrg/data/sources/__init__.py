"""Readers of public data sets as downloaded, and their conversion to a data folder."""
