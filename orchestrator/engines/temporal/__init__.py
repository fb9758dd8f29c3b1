"""One run on a Temporal cluster: `workflows` decide nothing but ask the core, `activities` act, on as many machines as one likes."""

from __future__ import annotations
