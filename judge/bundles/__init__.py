"""A run as one file: the archive, and checks of its content."""
