"""Structured log events."""
