"""Structured events."""
