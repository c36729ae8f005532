"""Rubrics, the rendering of prompts, and the parsers of replies. All functions are pure."""
