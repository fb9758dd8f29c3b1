"""The colours of page and report, as those see them who do not see all colours."""

from __future__ import annotations

import itertools
import re

import pytest

from orchestrator.reports import ASSETS

Colour = tuple[float, float, float]

TONES = ("success", "failed", "late", "doubt", "active")
"""What lies beside each other in bars and bands."""
APART = 10.0
"""CIE 1976 colour difference; from 2.3 on one is just noticed."""
TEXTURED = {"failed", "late", "doubt", "active"}
"""Each has lines of another direction (textures.js)."""

SEEN = {
    "all": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}
"""Machado, Oliveira and Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency (2009), severity 1, in linear RGB."""


def colours(scheme: str) -> dict[str, Colour]:
    """The custom properties of *scheme* that are colours, in linear RGB."""
    text = (ASSETS / "base.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    found: dict[str, Colour] = {}
    for block in blocks[: 2 if scheme == "dark" else 1]:
        for name, value in re.findall(r"--([\w-]+): #([0-9a-f]{6});", block):
            red, green, blue = (linear(int(value[place : place + 2], 16) / 255) for place in (0, 2, 4))
            found[name] = (red, green, blue)
    return found


def linear(part: float) -> float:
    """Out of sRGB."""
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def seen(colour: Colour, vision: str) -> Colour:
    """*colour* as somebody of this *vision* sees it."""
    red, green, blue = (
        min(1.0, max(0.0, sum(factor * part for factor, part in zip(row, colour, strict=True)))) for row in SEEN[vision]
    )
    return red, green, blue


def luminance(colour: Colour) -> float:
    """Relative, as WCAG 2 has it."""
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]


def contrast(one: Colour, other: Colour) -> float:
    """As WCAG 2 has it: 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def lab(colour: Colour) -> Colour:
    """CIE L*a*b*, of D65."""
    red, green, blue = colour
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, luminance(colour), z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def difference(one: Colour, other: Colour) -> float:
    """How far apart two colours are."""
    return float(sum((a - b) ** 2 for a, b in zip(lab(one), lab(other), strict=True)) ** 0.5)


@pytest.mark.parametrize("vision", SEEN)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_states_are_told_apart_by_colour_or_texture(scheme: str, vision: str) -> None:
    """Every colour of a state stands out from what it is drawn on, success from all others, and the others from each other or by their lines."""
    known = colours(scheme)
    tones = {name: seen(known[name], vision) for name in TONES}
    for name, colour in tones.items():
        for ground in ("bg", "raised"):
            assert contrast(colour, seen(known[ground], vision)) >= 3, (name, ground)
    for one, other in itertools.combinations(TONES, 2):
        far = difference(tones[one], tones[other])
        assert far >= APART or {one, other} <= TEXTURED, (one, other, far)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_in_pictures_is_read_on_all_that_it_may_stand_on(scheme: str) -> None:
    """4.5 to 1 at least, for names and for what is said quietly: on the page, in the window, beside it."""
    known = colours(scheme)
    for text in ("ink", "quiet"):
        for ground in ("bg", "raised", "window"):
            assert contrast(known[text], known[ground]) >= 4.5, (text, ground)


def test_each_texture_is_another() -> None:
    """In pictures and in bars."""
    script = (ASSETS / "textures.js").read_text(encoding="utf-8")
    lines = dict(re.findall(r'^  (\w+): "([^"]+)",', script, re.MULTILINE))
    assert lines.keys() == TEXTURED
    assert len(set(lines.values())) == len(lines)
    style = (ASSETS / "base.css").read_text(encoding="utf-8")
    bars = re.findall(r"\.parts \.(\w+) \{ background: (repeating-linear-gradient[^;]+);", style)
    assert {name for name, _ in bars} == TEXTURED
    assert len({value for _, value in bars}) == len(bars)
