"""Measure language models with language models, honestly."""
