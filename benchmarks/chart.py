"""A plain bar chart as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_ROW, _LEFT, _WIDTH = 30, 230, 760


def bars(values: Mapping[str, float], *, unit: str) -> str:
    """Horizontal bars for *values*, labelled, the longest filling the width; the scale is linear."""
    most = max(values.values(), default=1.0)
    height = _ROW * len(values) + 40
    rows = []
    for index, (label, value) in enumerate(values.items()):
        y = 30 + index * _ROW
        length = max(1.0, (_WIDTH - _LEFT - 90) * value / most)
        rows.append(
            f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="20" fill="#3b6ea8"/>'
            f'<text x="{_LEFT + length + 6:.1f}" y="{y + 14}">{value:.0f}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13">'
        f'<rect width="100%" height="100%" fill="#fff"/><text x="{_LEFT}" y="18">{escape(unit)}</text>{"".join(rows)}</svg>\n'
    )
