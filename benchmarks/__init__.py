"""Measurements beside what people would use instead; `python -m benchmarks` (or `make bench`) writes results.md."""
