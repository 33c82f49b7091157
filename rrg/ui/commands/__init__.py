"""The commands of `python -m rrg` about stored records and their users, one file a group."""
