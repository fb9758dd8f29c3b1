// One bar a migration, in groups by wave, over the openings of the window: the wait at the gate, the request until Atlas accepted
// it (shaded), the cutover (in the colour of its state). It is redrawn as a whole: a few long paths, however many bars.

import { byId, drawing, icon, make, say } from "./dom.js";
import { now } from "./now.js";
import { GAP, TimeScale } from "./timescale.js";
import { FINAL, STATES, clock, duration, full, number, order, plural } from "./words.js";

const NAMED = 60; // up to so many migrations each bar has its name
const TOP = 34, NARROW = 620; // pixels

export class Timeline {
  #root;
  #run;
  #open;
  #width = 0;
  #height = 0;
  #places = []; // the rows drawn, from the top
  #scale = null;
  #now = 0;

  // open: called with the number of the migration that was clicked on; null where nothing is to be opened.
  constructor(root, run, open = null) {
    this.#root = root;
    this.#run = run;
    this.#open = open;
    root.classList.toggle("opens", Boolean(open));
    new ResizeObserver(() => root.clientWidth !== this.#width && this.draw()).observe(root);
    root.addEventListener("pointermove", (event) => this.#point(event));
    root.addEventListener("click", (event) => {
      const place = this.#placeAt(event);
      if (place && open) open(place.index);
    });
  }

  draw() {
    const { head } = this.#run;
    if (!head || this.#run.missing || this.#root.clientWidth < 50) return;
    this.#width = this.#root.clientWidth;
    this.#now = head.running ? now() : head.finished_at ?? head.last_at ?? 0;
    const bars = this.#bars();
    if (!bars.length) {
      this.#root.replaceChildren(make("p", {}, "No cutover was begun, so there is nothing to draw."));
      byId("legend").replaceChildren();
      return;
    }
    this.#root.replaceChildren(this.#picture(bars));
    this.#drawLegend(bars);
  }

  // What there is to draw of each migration: from when until when.
  #bars() {
    const bars = [];
    this.#run.rows.forEach((row, index) => {
      const from = row.gate_waiting_since ?? row.gate_opened_at ?? row.requested_at ?? row.finished_at;
      if (from == null) return;
      const last = this.#run.goesOn(row) ? this.#now : row.accepted_at ?? row.requested_at ?? row.gate_opened_at;
      const to = Math.max(from, row.finished_at ?? (row.state === "UNDER_WAY" ? this.#now : last) ?? from);
      bars.push({ row, index, job: this.#run.jobs[index], from, to });
    });
    return bars;
  }

  #picture(bars) {
    const width = this.#width, narrow = width < NARROW, named = bars.length <= NAMED;
    const left = named && !narrow ? 190 : 4;
    const pitch = named ? (narrow ? 34 : 21) : bars.length <= 300 ? 6 : Math.min(3, 840 / bars.length);
    const thick = named ? 11 : pitch >= 3 ? pitch - 1 : pitch;
    this.#scale = new TimeScale(bars.map(({ from, to }) => [from, to]), left, width - 8);
    this.#places = [];
    const shapes = new Map(), labels = [];
    let y = TOP;
    this.#run.head.waves.forEach((wave, place) => {
      const members = bars.filter(({ job }) => job.wave === place);
      if (!members.length) return;
      if (!named) members.sort((a, b) => (a.row.requested_at ?? a.from) - (b.row.requested_at ?? b.from) || a.index - b.index);
      labels.push(drawing("line", { class: "t-edge", x1: 0, x2: width, y1: y + 0.5, y2: y + 0.5 }));
      labels.push(drawing("text", { class: "t-wave", x: 4, y: y + 18 },
        `${shortened(wave.name, narrow ? 24 : 70)} · ${plural(members.length, "migration")}`));
      y += 26;
      for (const bar of members) {
        const top = named && narrow ? y + 17 : y + (pitch - thick) / 2;
        if (named) labels.push(nameLabel(bar, narrow, y, pitch));
        if (named && !narrow && bar.row.state !== "SUCCESS") labels.push(this.#stateLabel(bar, y + pitch / 2 + 4));
        this.#addBar(shapes, bar, top, thick);
        this.#places.push({ ...bar, y, end: y + pitch });
        y += pitch;
      }
      y += 10;
    });
    this.#height = y;
    const svg = drawing("svg", { viewBox: `0 0 ${width} ${y}`, role: "img", "aria-label": this.#description(bars) });
    svg.append(...this.#background(y), ...this.#axis(y));
    const states = order(Object.fromEntries(Object.keys(STATES).map((state) => [state, 1]))).reverse(); // the urgent last
    for (const kind of ["t-gate", ...states.map(barClass), "t-sent"]) {
      if (shapes.has(kind)) svg.append(drawing("path", { class: kind, d: shapes.get(kind).join("") }));
    }
    svg.append(...labels);
    return svg;
  }

  // Beside the bar, for those who do not tell the colours apart.
  #stateLabel({ row, from, to }, y) {
    const end = this.#scale.x(to) + 8;
    const before = end + 100 > this.#width;
    const x = before ? this.#scale.x(from) - 6 : end;
    return drawing("text", { class: before ? "t-quiet t-end" : "t-quiet", x, y }, STATES[row.state].word);
  }

  #addBar(shapes, { row, from, to }, top, thick) {
    const add = (kind, start, end, least, height) => {
      const x = this.#scale.x(start), width = Math.max(least, this.#scale.x(end) - x);
      if (!shapes.has(kind)) shapes.set(kind, []);
      shapes.get(kind).push(`M${x.toFixed(1)} ${top.toFixed(2)}h${width.toFixed(1)}v${height.toFixed(2)}h-${width.toFixed(1)}z`);
    };
    const gateEnd = row.gate_opened_at ?? row.requested_at ?? to;
    if (row.gate_waiting_since != null && gateEnd > row.gate_waiting_since) add("t-gate", row.gate_waiting_since, gateEnd, 0.5, thick);
    if (row.requested_at != null) {
      add(barClass(row.state), row.requested_at, to, 1.5, thick);
      if (thick >= 5) add("t-sent", row.requested_at, row.accepted_at ?? row.requested_at, 2, thick);
    } else if (row.finished_at != null) {
      add(barClass(row.state), row.finished_at, row.finished_at, 3, thick);
    }
  }

  #background(height) {
    const scale = this.#scale, made = [];
    for (const { opens, closes } of this.#run.head.window?.openings || []) {
      for (const piece of scale.pieces) {
        const from = Math.max(opens, piece.from), to = Math.min(closes, piece.until);
        if (to <= from) continue;
        const x = scale.x(from);
        made.push(drawing("rect", { class: "t-window", x, y: 26, width: scale.x(to) - x, height: height - 26 }));
      }
    }
    scale.pieces.slice(1).forEach((piece, place) => {
      const before = scale.pieces[place], x = before.x + before.width;
      made.push(drawing("rect", { class: "t-gap", x: x + 2, y: 26, width: GAP - 4, height: height - 26 }));
      if (height <= 140 || this.#width < NARROW) return;
      const across = x + GAP / 2 + 4, down = Math.min(height / 2, 300);
      const turned = { class: "t-quiet t-middle", x: across, y: down, transform: `rotate(-90 ${across} ${down})` };
      made.push(drawing("text", turned, `${duration(piece.from - before.until)} later`));
    });
    return made;
  }

  #axis(height) {
    const made = [];
    let free = 0;
    for (const at of this.#scale.ticks(84)) {
      const x = Math.round(this.#scale.x(at)) + 0.5, text = clock(at), half = text.length * 3.6;
      made.push(drawing("line", { class: "t-grid", x1: x, x2: x, y1: 26, y2: height }));
      if (x - half < free || x + half > this.#width) continue;
      made.push(drawing("text", { class: "t-quiet t-middle", x, y: 16 }, text));
      free = x + half + 12;
    }
    return made;
  }

  #description(bars) {
    const states = {};
    for (const { row } of bars) states[row.state] = (states[row.state] || 0) + 1;
    const counts = order(states).map((state) => `${number(states[state])} ${STATES[state].word}`).join(", ");
    const first = Math.min(...this.#scale.pieces.map(({ from }) => from));
    return `Timeline from ${full(first)}: ${counts}. The table of migrations has the same times.`;
  }

  #drawLegend(bars) {
    const item = (kind, text) => make("li", {}, make("span", { class: `swatch ${kind}` }), text);
    const items = [];
    if (bars.some(({ row }) => row.gate_waiting_since != null)) items.push(item("gate", "waits at its gate"));
    if (bars.length <= 300) items.push(item("sent", "PUT sent, not yet accepted"));
    const states = {};
    for (const { row } of bars) if (row.requested_at != null || FINAL.has(row.state)) states[row.state] = 1;
    for (const state of order(states)) {
      items.push(make("li", {}, make("span", { class: `swatch ${STATES[state].tone}` }), icon(STATES[state]), STATES[state].word));
    }
    if (this.#run.head.window) items.push(item("window", "window open"));
    byId("legend").replaceChildren(...items);
  }

  #placeAt(event) {
    const svg = this.#root.querySelector("svg");
    if (!svg) return null;
    const y = (event.clientY - svg.getBoundingClientRect().top) * (this.#height / svg.clientHeight);
    return this.#places.find((place) => y >= place.y && y < place.end) || null;
  }

  #point(event) {
    const place = this.#placeAt(event);
    if (!place) return;
    const { row, job } = place;
    say(byId("readout"), [job.name, STATES[row.state].word, row.requested_at == null ? "no PUT" : `PUT ${full(row.requested_at)}`,
      duration(this.#run.cutoverSeconds(row, this.#now)), this.#run.message(row)].filter(Boolean).join(" · "));
  }
}

function barClass(state) {
  return `t-bar ${STATES[state].tone} s-${state}`;
}

function nameLabel({ row, job }, narrow, y, pitch) {
  const label = drawing("text", { x: 4, y: narrow ? y + 13 : y + pitch / 2 + 4 }, shortened(job.name, narrow ? 44 : 26));
  if (narrow && row.state !== "SUCCESS") label.append(drawing("tspan", { class: "t-quiet" }, ` ${STATES[row.state].word}`));
  return label;
}

function shortened(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
