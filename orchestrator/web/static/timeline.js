// One bar a migration, as in the report: the wait at the gate (thin), the request until Atlas took it (shaded), the
// cutover (in the colour of its state).

import { byId, make } from "./dom.js";
import { ACCEPTED, FINISHED, GATE_OPENED, GATE_SINCE, NAME, REQUESTED, STATE, WAVE } from "./model.js";
import { TimeScale } from "./timescale.js";
import { FINAL, STATES, clock, duration, plural } from "./words.js";

const AXIS = 22, MOST = 420, NAMED = 40; // pixels; NAMED: up to so many migrations each bar has its name
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
    this.#drawLegend();
  }

  #drawLegend() {
    const entries = [["gate", "wait at the gate"], ["sent", "requested, not accepted yet"], ["active", "cutover under way"],
      ["success", "SUCCESS"], ["failed", "FAILED"], ["late", "TIMED_OUT"], ["doubt", "IN_DOUBT"]];
    if (this.#run.head?.window) entries.push(["window", "window"]);
    byId("legend").replaceChildren(...entries.map(([tone, word]) => make("li", {}, make("span", { class: `swatch ${tone}` }), word)));
  }

  draw() {
    const { head, rows } = this.#run;
    const width = this.#canvas.parentElement.clientWidth;
    if (!head || head.missing || width < 50) return;
    const spans = this.#spans();
    this.#canvas.hidden = !spans.length;
    if (!spans.length) return;
    if (Boolean(head.window) !== Boolean(byId("legend").querySelector(".window"))) this.#drawLegend();
    const named = rows.length <= NAMED && width > 560;
    const left = named ? 150 : 0;
    const each = named ? 20 : Math.min(12, (MOST - AXIS) / rows.length);
    const height = Math.ceil(each * rows.length) + AXIS;
    const scale = new TimeScale(spans, left, width - 14);
    this.#layout = { scale, width, height, left, each, named, now: Date.now() / 1000 };
    const pen = this.#pen(width, height);
    this.#window(pen);
    this.#axis(pen);
    this.#waves(pen);
    this.#bars(pen);
    this.#canvas.setAttribute("aria-label", `Timeline of ${plural(rows.length, "migration")}; the table below has the same times.`);
  }

  // When anything went on with a migration.
  #spans() {
    const { head, rows } = this.#run;
    const now = Date.now() / 1000, spans = [];
    for (const row of rows) {
      const from = row[GATE_SINCE] ?? row[REQUESTED] ?? row[FINISHED];
      if (from == null) continue;
      const last = row[FINISHED] ?? (head.running && !FINAL.has(row[STATE]) ? now : row[ACCEPTED] ?? row[REQUESTED] ?? row[GATE_OPENED]);
      spans.push([from, Math.max(from, last ?? from)]);
    }
    return spans;
  }

  #pen(width, height) {
    const ratio = devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    this.#canvas.style.width = `${width}px`;
    this.#canvas.style.height = `${height}px`;
    const pen = this.#canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    if (!this.#colours) {
      const style = getComputedStyle(document.documentElement);
      const names = [...TONES, "ink", "quiet", "line", "raised", "window", "sent"];
      this.#colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    }
    return pen;
  }

  #axis(pen) {
    const { scale, width, height, left } = this.#layout;
    pen.fillStyle = this.#colours.raised;
    for (const [x, wide] of scale.gaps()) pen.fillRect(x + 4, 0, wide - 8, height - AXIS);
    pen.textBaseline = "top";
    let free = left;
    for (const at of scale.ticks(76)) {
      const where = Math.round(scale.x(at)) + 0.5;
      pen.strokeStyle = this.#colours.line;
      line(pen, where, 0, where, height - AXIS + 4);
      const label = clock(at), wide = pen.measureText(label).width;
      if (where - wide / 2 < free || where + wide / 2 > width) continue;
      free = where + wide / 2 + 8;
      pen.fillStyle = this.#colours.quiet;
      pen.fillText(label, where - wide / 2, height - AXIS + 8);
    }
  }

  // Shaded while it is open, as far as is known: the last opening.
  #window(pen) {
    const { window: open } = this.#run.head;
    if (!open) return;
    const { scale, height, left, width } = this.#layout;
    const from = open.opens == null ? left : scale.x(open.opens);
    const until = open.closes > scale.pieces.at(-1).until ? width - 14 : scale.x(open.closes);
    pen.fillStyle = this.#colours.window;
    if (until > from) pen.fillRect(from, 0, until - from, height - AXIS);
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
    const { each, scale, now, named, left, width } = this.#layout;
    const row = this.#run.rows[index], state = STATES[row[STATE]];
    const least = ["failed", "late", "doubt"].includes(state.tone) ? 2 : 1; // pixels: what needs a person is not overlooked
    const thick = Math.max(least, each * 0.66), middle = (index + 0.5) * each;
    const open = this.#run.head.running && !FINAL.has(row[STATE]);
    if (named) {
      pen.fillStyle = this.#colours.ink;
      pen.textBaseline = "middle";
      pen.fillText(shortened(pen, this.#run.jobs[index][NAME], left - 12), 0, middle);
    }
    const block = (from, until, height) => {
      const x = scale.x(from);
      pen.fillRect(x, middle - height / 2, Math.max(1.5, scale.x(until) - x), height);
    };
    if (row[GATE_SINCE] != null) {
      pen.fillStyle = this.#colours.gate;
      const until = row[GATE_OPENED] ?? row[REQUESTED] ?? row[FINISHED] ?? (open ? now : row[GATE_SINCE]);
      block(row[GATE_SINCE], until, Math.max(1, thick / 4));
    }
    if (row[REQUESTED] == null) return;
    const end = row[FINISHED] ?? (open ? now : row[ACCEPTED] ?? row[REQUESTED]);
    pen.fillStyle = this.#colours[state.tone];
    block(row[REQUESTED], end, thick);
    if (row[ACCEPTED] != null) {
      pen.globalAlpha = 0.4;
      pen.fillStyle = this.#colours.sent;
      block(row[REQUESTED], Math.min(row[ACCEPTED], end), thick);
      pen.globalAlpha = 1;
      pen.fillStyle = this.#colours[state.tone];
    }
    if (each >= 14 && state.tone !== "success" && FINAL.has(row[STATE])) {
      pen.textBaseline = "middle";
      pen.fillText(state.sign, Math.min(scale.x(end) + 3, width - 12), middle);
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
