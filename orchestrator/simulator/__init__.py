"""Atlas on loopback: both Administration APIs as far as live migrations go, strict, seeded, and with faults."""

from __future__ import annotations

from .jobs import JobStatus, Past
from .scenario import Scenario
from .scenariofile import load_scenario
from .server import RunningSimulator, Simulator, simulate

__all__ = ["JobStatus", "Past", "RunningSimulator", "Scenario", "Simulator", "load_scenario", "simulate"]
