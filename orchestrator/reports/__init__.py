"""The report of a run: one fold (`model`), many renderers (`render`)."""
