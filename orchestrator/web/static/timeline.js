// One bar a migration: the wait at the gate (thin), the request (light), the cutover (in the colour of its state).

import { byId, make } from "./dom.js";
import { ACCEPTED, FINISHED, GATE_OPENED, GATE_SINCE, NAME, REQUESTED, STATE, WAVE } from "./model.js";
import { FINAL, STATES, clock, duration } from "./words.js";

const AXIS = 22, MOST = 420, NAMED = 40; // pixels; NAMED: up to so many migrations each bar has its name
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800];
const TONES = ["idle", "gate", "active", "success", "late", "failed", "doubt"];
const URGENCY = Object.fromEntries(TONES.map((tone, rank) => [tone, rank]));

export class Timeline {
  #canvas;
  #run;
  #colours = null;
  #layout = null;

  constructor(canvas, run, open) {
    this.#canvas = canvas;
    this.#run = run;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#colours = null;
      this.draw();
    });
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement);
    canvas.addEventListener("pointermove", (event) => this.#hint(event));
    canvas.addEventListener("click", (event) => {
      const index = this.#at(event);
      if (index != null) open(index);
    });
    byId("legend").append(...[["gate", "wait at the gate"], ["active", "cutover under way"], ["success", "success"],
      ["failed", "failed"], ["late", "timed out"], ["doubt", "in doubt"]].map(([tone, word]) => make("li", {}, make("span", { class: `swatch ${tone}` }), word)));
  }

  draw() {
    const { head, rows } = this.#run;
    if (!head || head.missing || !rows.length) return;
    const width = this.#canvas.parentElement.clientWidth - 24;
    if (width < 50) return;
    const span = this.#span();
    const named = rows.length <= NAMED && width > 480;
    const left = named ? 150 : 0;
    const each = rows.length <= NAMED ? 18 : Math.min(10, (MOST - AXIS) / rows.length);
    const height = Math.ceil(each * rows.length) + AXIS;
    const scale = (width - left - 8) / Math.max(0.001, span.to - span.from);
    this.#layout = { ...span, width, height, left, each, named, x: (at) => left + (at - span.from) * scale };
    const pen = this.#pen(width, height);
    this.#axis(pen);
    this.#window(pen);
    this.#waves(pen);
    this.#bars(pen);
    this.#canvas.setAttribute("aria-label", `Timeline of ${rows.length} migrations from ${clock(span.from)} to ${clock(span.to)}; the table below has the same times.`);
  }

  // From the first thing that happened to a migration to the last, or to now.
  #span() {
    const { head, rows } = this.#run;
    let from = Infinity, to = -Infinity;
    for (const row of rows) {
      for (const at of [row[GATE_SINCE], row[REQUESTED], row[FINISHED]]) {
        if (at == null) continue;
        from = Math.min(from, at);
        to = Math.max(to, at);
      }
    }
    if (from === Infinity) from = head.started_at;
    to = head.running ? Date.now() / 1000 : Math.max(to, from + 1);
    return { from, to: Math.max(to, from + 5) };
  }

  #pen(width, height) {
    const ratio = devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    this.#canvas.style.width = `${width}px`;
    this.#canvas.style.height = `${height}px`;
    const pen = this.#canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    if (!this.#colours) {
      const style = getComputedStyle(document.documentElement);
      const names = [...TONES, "text", "muted", "line"];
      this.#colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    }
    return pen;
  }

  #axis(pen) {
    const { from, to, x, width, height, left } = this.#layout;
    const room = Math.max(1, (width - left) / 80);
    const step = STEPS.find((seconds) => (to - from) / seconds <= room) || STEPS.at(-1);
    const offset = new Date(from * 1000).getTimezoneOffset() * 60;
    pen.textBaseline = "top";
    for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step) {
      const where = Math.round(x(at)) + 0.5;
      pen.strokeStyle = this.#colours.line;
      line(pen, where, 0, where, height - AXIS + 4);
      pen.fillStyle = this.#colours.muted;
      const label = clock(at), wide = pen.measureText(label).width;
      if (where + wide / 2 < width && where - wide / 2 > left) pen.fillText(label, where - wide / 2, height - AXIS + 8);
    }
  }

  #window(pen) {
    const { window } = this.#run.head;
    if (!window) return;
    const { from, to, x, height } = this.#layout;
    pen.save();
    pen.setLineDash([4, 3]);
    pen.strokeStyle = this.#colours.late;
    for (const at of [window.opens, window.closes]) {
      if (at != null && at >= from && at <= to) line(pen, Math.round(x(at)) + 0.5, 0, Math.round(x(at)) + 0.5, height - AXIS);
    }
    pen.restore();
  }

  // A line between waves.
  #waves(pen) {
    const { each, width } = this.#layout;
    const { jobs } = this.#run;
    pen.strokeStyle = this.#colours.line;
    for (let index = 1; index < jobs.length; index++) {
      if (jobs[index][WAVE] !== jobs[index - 1][WAVE]) {
        const y = Math.round(index * each) + 0.5;
        line(pen, 0, y, width, y);
      }
    }
  }

  // The urgent ones last: where thousands share a few pixels, they are seen.
  #bars(pen) {
    const { rows } = this.#run;
    const layers = TONES.map(() => []);
    rows.forEach((row, index) => layers[URGENCY[STATES[row[STATE]].tone]].push(index));
    for (const layer of layers) for (const index of layer) this.#bar(pen, index);
  }

  #bar(pen, index) {
    const { each, x, to, named, left } = this.#layout;
    const row = this.#run.rows[index], state = STATES[row[STATE]];
    const y = index * each, thick = Math.max(1, each * 0.66), middle = y + each / 2;
    const open = this.#run.head.running && !FINAL.has(row[STATE]);
    if (named) {
      pen.fillStyle = this.#colours.text;
      pen.textBaseline = "middle";
      pen.fillText(shortened(pen, this.#run.jobs[index][NAME], left - 12), 0, middle);
    }
    const block = (from, until, height) => pen.fillRect(x(from), middle - height / 2, Math.max(1.5, x(until) - x(from)), height);
    if (row[GATE_SINCE] != null) {
      pen.fillStyle = this.#colours.gate;
      const until = row[GATE_OPENED] ?? row[REQUESTED] ?? row[FINISHED] ?? (open ? to : row[GATE_SINCE]);
      block(row[GATE_SINCE], until, Math.max(1, thick / 4));
    }
    if (row[REQUESTED] == null) return;
    const end = row[FINISHED] ?? (open ? to : row[ACCEPTED] ?? row[REQUESTED]);
    pen.fillStyle = this.#colours[state.tone];
    if (row[ACCEPTED] != null) {
      pen.globalAlpha = 0.45;
      block(row[REQUESTED], row[ACCEPTED], thick);
      pen.globalAlpha = 1;
      block(row[ACCEPTED], end, thick);
    } else {
      block(row[REQUESTED], end, thick);
    }
    if (each >= 14 && state.tone !== "success" && FINAL.has(row[STATE])) {
      pen.textBaseline = "middle";
      pen.fillText(state.sign, Math.min(x(end) + 3, this.#layout.width - 10), middle);
    }
  }

  #at(event) {
    if (!this.#layout) return null;
    const index = Math.floor(event.offsetY / this.#layout.each);
    return index >= 0 && index < this.#run.rows.length ? index : null;
  }

  #hint(event) {
    const index = this.#at(event);
    if (index == null) return;
    const row = this.#run.rows[index];
    const took = duration(this.#run.cutoverSeconds(row, Date.now() / 1000));
    const hint = [this.#run.jobs[index][NAME], STATES[row[STATE]].word, took].filter(Boolean).join(", ");
    if (this.#canvas.title !== hint) this.#canvas.title = hint;
  }
}

function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

function shortened(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  let kept = text;
  while (kept.length > 1 && pen.measureText(`${kept}…`).width > room) kept = kept.slice(0, -1);
  return `${kept}…`;
}
