"""What a person sees on a terminal while a run is under way."""

from __future__ import annotations
