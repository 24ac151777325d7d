"""Benchmarks: each script measures published figures, prints them, and writes benchmarks/results/SCRIPT.json."""
