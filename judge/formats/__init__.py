"""Readers of files, ours and other tools'. An error names the file and the line that is wrong."""
