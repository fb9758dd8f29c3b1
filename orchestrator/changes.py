"""What is different between the workflow a run was started with and the file as it is now. Pure."""

from __future__ import annotations

from .workflow import Workflow


def describe_changes(recorded: Workflow, given: Workflow) -> list[str]:
    """The differences in words, one a line; empty when nothing that matters has changed."""
    lines: list[str] = []
    before = {m.name: (wave.name, m) for wave, m in recorded.migrations()}
    after = {m.name: (wave.name, m) for wave, m in given.migrations()}
    for label, names in (
        ("migrations added", [name for name in after if name not in before]),
        ("migrations removed", [name for name in before if name not in after]),
        ("migrations changed", [name for name in after if name in before and after[name] != before[name]]),
    ):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            lines.append(f"{label}: {', '.join(names[:5])}{more}")
    if recorded.window != given.window:
        lines.append("the window is another")
    old = {wave.name: wave for wave in recorded.waves}
    for wave in given.waves:
        known = old.get(wave.name)
        settings = ("concurrency", "max_failures", "approval", "hooks")
        changed = [key for key in settings if known and getattr(known, key) != getattr(wave, key)]
        if changed:
            lines.append(f"wave {wave.name}: {', '.join(changed)}")
    if [wave.name for wave in recorded.waves] != [wave.name for wave in given.waves]:
        lines.append("the waves or their order are others")
    if recorded.hooks != given.hooks:
        lines.append("the run's hooks are others")
    return lines
