"""Typed numpy columns, and names turned into integer codes."""
