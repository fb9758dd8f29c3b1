"""Drivers: they do what the pure core (`cutover`, `run`) decides. `local` runs everything in one process, with anyio."""
