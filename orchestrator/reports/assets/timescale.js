// Time to place: what nobody worked in (waiting for the window, the day between two sessions) is squeezed to GAP pixels.

import { zoneOffset } from "./words.js";

export const GAP = 34;
const LEAST = 60; // seconds: a shorter pause is shown as long as it was
const STEPS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

export class TimeScale {
  // spans: [from, until] in Unix seconds, when anything went on; left, right: pixels.
  constructor(spans, left, right) {
    const busy = merged(spans, 0);
    const total = busy.reduce((sum, [from, until]) => sum + until - from, 0);
    const pieces = merged(busy, Math.max(LEAST, total * 0.2)).map(([from, until]) => ({ from, until: Math.max(until, from + 1) }));
    const time = pieces.reduce((sum, piece) => sum + piece.until - piece.from, 0);
    this.perSecond = Math.max(1, right - left - GAP * (pieces.length - 1)) / time;
    let x = left;
    for (const piece of pieces) {
      piece.x = x;
      piece.width = (piece.until - piece.from) * this.perSecond;
      x += piece.width + GAP;
    }
    this.pieces = pieces;
  }

  x(at) {
    let piece = this.pieces[0];
    for (const other of this.pieces) if (other.from <= at) piece = other;
    return piece.x + Math.min(Math.max(at - piece.from, 0), piece.until - piece.from) * this.perSecond;
  }

  // When it was, at a place.
  time(x) {
    let piece = this.pieces[0];
    for (const other of this.pieces) if (other.x <= x) piece = other;
    return piece.from + Math.min(Math.max(x - piece.x, 0), piece.width) / this.perSecond;
  }

  // Round times, at least `apart` pixels from each other.
  ticks(apart) {
    const step = STEPS.find((seconds) => seconds * this.perSecond >= apart) || STEPS.at(-1);
    const offset = zoneOffset(this.pieces[0].from);
    const ticks = [];
    for (const { from, until } of this.pieces) {
      for (let at = Math.ceil((from - offset) / step) * step + offset; at <= until; at += step) ticks.push(at);
    }
    return ticks;
  }
}

function merged(spans, slack) {
  const result = [];
  for (const [from, until] of [...spans].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && from - last[1] <= slack) last[1] = Math.max(last[1], until);
    else result.push([from, until]);
  }
  return result;
}
