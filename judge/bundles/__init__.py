"""A run as one file: the archive, and checks of what it says."""
