// When what went on, by waves, over the openings of the window. Of up to NAMED migrations each has a bar: the wait at its gate, the request until
// Atlas accepted it (shaded), the cutover (in colour and texture of its state). Of more there is a band for each wave (bands.js).

import { band, shortened } from "./bands.js";
import { byId, drawing, icon, make, say } from "./dom.js";
import { now } from "./now.js";
import { shape, textures } from "./textures.js";
import { GAP, TimeScale } from "./timescale.js";
import { FINAL, STATES, both, clock, duration, full, number, order, plural } from "./words.js";

const NAMED = 60; // up to so many migrations each has a bar
const TOP = 38, NARROW = 620; // pixels
const NAMES = 190, LETTER = 7; // how wide the names beside the bars may be, and a letter at most, on average
const APART = 60; // from the middle of one time of day, or of "now", to that of the next: their width, and room between them

export class Timeline {
  #root;
  #run;
  #open;
  #width = 0;
  #height = 0;
  #places = []; // the rows drawn, from the top
  #scale = null;
  #now = 0;

  // open: called with {index} of the migration, or {wave}, the number of the wave, that was clicked on.
  constructor(root, run, open) {
    this.#root = root;
    this.#run = run;
    this.#open = open;
    root.classList.add("opens");
    new ResizeObserver(() => root.clientWidth !== this.#width && this.draw()).observe(root);
    root.addEventListener("pointermove", (event) => this.#point(event));
    root.addEventListener("click", (event) => {
      const place = this.#placeAt(event);
      if (place) open(place);
    });
  }

  draw() {
    const { head } = this.#run;
    if (!head || this.#run.missing || this.#root.clientWidth < 50) return;
    this.#width = this.#root.clientWidth;
    if (!this.#run.whole) {
      this.#root.replaceChildren(make("p", {}, "Loading the migrations …"));
      return;
    }
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
    const width = this.#width, narrow = width < NARROW, { head } = this.#run;
    const named = this.#run.rows.length <= NAMED;
    const spans = bars.map(({ from, to }) => [from, to]);
    if (head.running) spans.push([this.#now - 1, this.#now]);
    this.#scale = new TimeScale(spans, named && !narrow ? NAMES : 4, width - 8);
    this.#places = [];
    const shapes = [], gates = [], begun = new Map();
    for (const bar of bars) begun.has(bar.job.wave) ? begun.get(bar.job.wave).push(bar) : begun.set(bar.job.wave, [bar]);
    let y = TOP;
    head.waves.forEach((wave, place) => {
      const members = begun.get(place);
      if (!members) return;
      shapes.push(drawing("line", { class: "t-edge", x1: 0, x2: width, y1: y + 0.5, y2: y + 0.5 }));
      if (named) {
        y = this.#rows(shapes, gates, wave, members, y);
      } else {
        const { elements, height, then } = band(wave, members, { of: wave.migrations, y: y + 2, scale: this.#scale, room: Math.floor(width / LETTER), narrow });
        shapes.push(...elements);
        this.#places.push({ wave: place, then, y, end: y + height });
        y += height;
      }
    });
    const coming = head.waves.filter((wave, place) => wave.migrations && !begun.has(place));
    if (coming.length) {
      const count = coming.reduce((sum, { migrations }) => sum + migrations, 0);
      shapes.push(drawing("line", { class: "t-edge", x1: 0, x2: width, y1: y + 0.5, y2: y + 0.5 }),
        drawing("text", { class: "t-wave", x: 4, y: y + 18 }, `${plural(coming.length, "wave")} ${head.running ? "to come" : "not begun"}, ${plural(count, "migration")}`));
      y += 30;
    }
    this.#height = y;
    const svg = drawing("svg", { viewBox: `0 0 ${width} ${y}`, role: "img", "aria-label": this.#description(bars) });
    svg.append(textures(), ...this.#background(y), ...this.#axis(y), ...(gates.length ? [drawing("path", { class: "t-gate", d: gates.join("") })] : []), ...shapes, ...this.#nowLine(y));
    return svg;
  }

  // A row for each of a wave's migrations, from *y* on; where they end.
  #rows(shapes, gates, wave, members, y) {
    const narrow = this.#width < NARROW, pitch = narrow ? 34 : 21, thick = 11;
    shapes.push(drawing("text", { class: "t-wave", x: 4, y: y + 18 },
      `${shortened(wave.name, narrow ? 24 : 70)} · ${plural(members.length, "migration")}`));
    y += 26;
    for (const bar of members) {
      shapes.push(...this.#bar(bar, narrow ? y + 17 : y + (pitch - thick) / 2, thick, gates), nameLabel(bar, narrow && this.#width, y, pitch));
      if (!narrow && bar.row.state !== "SUCCESS") shapes.push(this.#stateLabel(bar, y + pitch / 2 + 4));
      this.#places.push({ index: bar.index, y, end: y + pitch });
      y += pitch;
    }
    return y + 10;
  }

  // Beside the bar, for those who do not tell the colours apart.
  #stateLabel({ row, from, to }, y) {
    const end = this.#scale.x(to) + 8;
    const word = STATES[row.state].word, start = this.#scale.x(from) - 6;
    if (end + 100 <= this.#width) return drawing("text", { class: "t-quiet", x: end, y }, word);
    if (start - word.length * LETTER > NAMES) return drawing("text", { class: "t-quiet t-end", x: start, y }, word);
    return drawing("text", { class: "t-quiet t-end t-over", x: this.#width - 14, y }, word); // a bar from end to end: nowhere else is room
  }

  #bar({ row, from, to }, top, thick, gates) {
    const piece = (start, end, least) => {
      const x = this.#scale.x(start), width = Math.max(least, this.#scale.x(end) - x);
      return `M${x.toFixed(1)} ${top.toFixed(2)}h${width.toFixed(1)}v${thick}h-${width.toFixed(1)}z`;
    };
    const made = [], gateEnd = row.gate_opened_at ?? row.requested_at ?? to;
    if (row.gate_waiting_since != null && gateEnd > row.gate_waiting_since) gates.push(piece(row.gate_waiting_since, gateEnd, 0.5));
    if (row.requested_at != null) {
      made.push(...shape(STATES[row.state], piece(row.requested_at, to, 1.5)));
      made.push(drawing("path", { class: "t-sent", d: piece(row.requested_at, row.accepted_at ?? row.requested_at, 2) }));
    } else if (row.finished_at != null) {
      made.push(...shape(STATES[row.state], piece(row.finished_at, row.finished_at, 3)));
    }
    return made;
  }

  #nowLine(height) {
    if (!this.#run.head.running) return [];
    const x = Math.round(this.#scale.x(this.#now)) - 0.5;
    return [drawing("line", { class: "t-now", x1: x, x2: x, y1: 20, y2: height }), drawing("text", { class: "t-now-word t-middle", x: this.#nowWord(), y: 16 }, "now")];
  }

  // Where the middle of the word is: above its line, and never cut.
  #nowWord() {
    return Math.min(this.#width - 16, Math.max(16, this.#scale.x(this.#now)));
  }

  #background(height) {
    const scale = this.#scale, made = [];
    for (const { opens, closes } of this.#run.head.window?.openings || []) {
      for (const piece of scale.pieces) {
        const from = Math.max(opens, piece.from), to = Math.min(closes, piece.until);
        if (to <= from) continue;
        const x = scale.x(from);
        made.push(drawing("rect", { class: "t-window", x, y: TOP, width: scale.x(to) - x, height: height - TOP }));
      }
    }
    let free = 0;
    const end = this.#run.head.running ? scale.x(this.#now) - 4 : this.#width; // the line of "now" goes through no word
    scale.pieces.slice(1).forEach((piece, place) => {
      const before = scale.pieces[place], x = before.x + before.width;
      made.push(drawing("rect", { class: "t-gap", x: x + 2, y: TOP, width: GAP - 4, height: height - TOP }));
      const text = `${duration(piece.from - before.until)} later`, half = text.length * 3.2;
      const middle = Math.min(x + GAP / 2, end - half); // moved aside rather than cut
      if (middle - half < free) return;
      made.push(drawing("text", { class: "t-quiet t-middle t-small", x: middle, y: 32 }, text));
      free = middle + half + 8;
    });
    return made;
  }

  #axis(height) {
    const made = [];
    let free = 0;
    const now = this.#run.head.running ? this.#nowWord() : -Infinity;
    for (const at of this.#scale.ticks(84)) {
      const x = Math.round(this.#scale.x(at)) + 0.5, text = clock(at), half = text.length * 3.6;
      made.push(drawing("line", { class: "t-grid", x1: x, x2: x, y1: TOP, y2: height }));
      if (x - half < free || x + half > this.#width || Math.abs(x - now) < APART) continue;
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
    const named = this.#run.rows.length <= NAMED, items = [];
    if (bars.some(({ row }) => row.gate_waiting_since != null)) items.push(item("gate", "waits at its gate"));
    if (named) items.push(item("sent", "PUT sent, not yet accepted"));
    const states = {};
    for (const { row } of bars) if (row.requested_at != null || FINAL.has(row.state)) states[row.state] = 1;
    if (!named) states.CUTOVER = 1;
    for (const state of order(states)) {
      if (!named && !FINAL.has(state) && state !== "CUTOVER") continue;
      items.push(make("li", {}, make("span", { class: `swatch ${STATES[state].tone}` }), icon(STATES[state]), STATES[state].word));
    }
    if (this.#run.head.window) items.push(item("window", "window open"));
    if (!named) items.push(make("li", {}, "The height is the wave's migrations."));
    const known = items.map((each) => each.outerHTML).join("");
    if (byId("legend").dataset.known === known) return;
    byId("legend").dataset.known = known;
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
    if (place.then) {
      const svg = this.#root.querySelector("svg").getBoundingClientRect(), x = (event.clientX - svg.left) * (this.#width / svg.width);
      say(byId("readout"), `${this.#run.head.waves[place.wave].name} · ${both(this.#scale.time(x))} · ${place.then(x)}`);
      return;
    }
    const row = this.#run.rows[place.index];
    say(byId("readout"), [this.#run.jobs[place.index].name, STATES[row.state].word, row.requested_at == null ? "no PUT" : `PUT ${full(row.requested_at)}`,
      duration(this.#run.cutoverSeconds(row, this.#now)), this.#run.message(row)].filter(Boolean).join(" · "));
  }
}

// narrow: the width of a picture in which the name stands above the bar, and the state beside the name.
function nameLabel({ row, job }, narrow, y, pitch) {
  const word = narrow && row.state !== "SUCCESS" ? ` ${STATES[row.state].word}` : "";
  const room = narrow ? Math.floor((narrow - 8) / LETTER) - word.length : 26;
  const label = drawing("text", { x: 4, y: narrow ? y + 13 : y + pitch / 2 + 4 }, shortened(job.name, room));
  if (word) label.append(drawing("tspan", { class: "t-quiet" }, word));
  return label;
}
