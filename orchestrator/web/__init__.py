"""The status page: runs as they happen, in a browser. It reads the journal, and no run depends on it.

journal ─▶ look (a worker thread, twice a second) ─▶ feed (one a run, shared by its viewers) ─▶ server-sent events
"""
