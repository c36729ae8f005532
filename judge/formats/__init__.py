"""Other tools' files, read as the project's own nouns. A wrong line is named by file and number."""
