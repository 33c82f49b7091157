"""Data sets as they are downloaded, and how they become a data folder."""
