"""How many seconds of the simulator's pass in one, unless `--speed` says otherwise."""

from __future__ import annotations

REHEARSAL_SPEED = 10.0
SIMULATOR_SPEED = 1.0
"""Of the simulator on its own."""
HIGHEST_SPEED = 100_000.0
