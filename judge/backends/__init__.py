"""Backends: one module for each kind of judge, all with the interface in judge.ports.backend."""
