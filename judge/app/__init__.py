"""Wiring: the only package that imports all the others and connects them."""
