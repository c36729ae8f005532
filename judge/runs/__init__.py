"""A run's life: create, estimate, watch, reparse, cancel and resume."""
