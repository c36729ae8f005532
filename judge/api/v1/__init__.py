"""The wire, version 1."""
