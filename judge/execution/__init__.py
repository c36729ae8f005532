"""Executing a run: permits, judge calls, rate limits, batches and commits."""
