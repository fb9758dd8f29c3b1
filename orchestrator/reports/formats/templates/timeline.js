
/* Time to place: what nobody worked in (waiting for the window, the day between two sessions) is squeezed to GAP. */
const GAP = 34;

class TimeScale {
  constructor(spans, left, right) {
    const busy = [];
    for (const [start, end] of [...spans].sort((a, b) => a[0] - b[0])) {
      const last = busy[busy.length - 1];
      if (last && start <= last[1]) last[1] = Math.max(last[1], end);
      else busy.push([start, end]);
    }
    const total = busy.reduce((sum, [start, end]) => sum + end - start, 0);
    const least = Math.max(60000, total * 0.2); // a shorter pause is shown as long as it was
    this.pieces = [];
    for (const span of busy) {
      const last = this.pieces[this.pieces.length - 1];
      if (last && span[0] - last.end < least) last.end = span[1];
      else this.pieces.push({ start: span[0], end: span[1] });
    }
    const time = this.pieces.reduce((sum, piece) => sum + Math.max(1, piece.end - piece.start), 0);
    this.perMillisecond = Math.max(1, right - left - GAP * (this.pieces.length - 1)) / time;
    let x = left;
    for (const piece of this.pieces) {
      piece.x = x;
      piece.width = Math.max(1, piece.end - piece.start) * this.perMillisecond;
      x += piece.width + GAP;
    }
  }

  at(time) {
    let best = this.pieces[0];
    for (const piece of this.pieces) if (piece.start <= time) best = piece;
    return best.x + Math.min(Math.max(time - best.start, 0), best.end - best.start) * this.perMillisecond;
  }
}

const STEPS = [100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5, 864e5];

/* The picture: a bar per migration (gate, request, cutover) in groups by wave, over the openings of the window. */
class Timeline {
  constructor(root, data, rows) {
    this.root = root;
    this.data = data;
    this.bars = rows.filter((row) => row.gate !== null || row.requested !== null || row.finished !== null);
    for (const row of this.bars) {
      row.from = row.gate ?? row.requested ?? row.finished;
      row.to = row.finished ?? Math.max(data.end, row.from);
    }
    if (!this.bars.length) {
      root.append(element("p", {}, "No cutover was begun, so there is nothing to draw."));
      return;
    }
    this.picture = element("div", { class: "picture" });
    this.readout = element("p", { class: "readout", "aria-hidden": "true" });
    root.append(this.picture, this.makeLegend(), this.readout);
    this.width = 0;
    new ResizeObserver(() => this.draw(root.clientWidth)).observe(root);
    this.draw(root.clientWidth);
  }

  draw(width) {
    if (!width || width === this.width) return;
    this.width = width;
    const narrow = width < 620;
    const named = this.bars.length <= 60;
    const left = named && !narrow ? 190 : 4;
    const pitch = named ? (narrow ? 34 : 21) : this.bars.length <= 300 ? 6 : Math.min(3, 840 / this.bars.length);
    const thick = named ? 11 : pitch >= 3 ? pitch - 1 : pitch;
    this.scale = new TimeScale(this.bars.map((row) => [row.from, row.to]), left, width - 8);
    this.places = [];
    const shapes = new Map();
    const labels = [];
    let y = 34;
    this.data.waves.forEach((wave, number) => {
      const members = this.bars.filter((row) => row.waveNumber === number);
      if (!members.length) return;
      if (!named) members.sort((a, b) => (a.requested ?? a.from) - (b.requested ?? b.from) || a.order - b.order);
      labels.push(drawing("line", { class: "t-edge", x1: 0, x2: width, y1: y + 0.5, y2: y + 0.5 }));
      labels.push(drawing("text", { class: "t-wave", x: 4, y: y + 18 }, this.waveLabel(wave[0], members, narrow)));
      y += 26;
      for (const row of members) {
        const top = named && narrow ? y + 17 : y + (pitch - thick) / 2;
        if (named) labels.push(this.nameLabel(row, narrow, y, pitch));
        if (named && !narrow && row.outcome !== "SUCCESS") labels.push(this.outcomeLabel(row, y + pitch / 2 + 4));
        this.addBar(shapes, row, top, thick);
        this.places.push({ row, y, end: y + pitch });
        y += pitch;
      }
      y += 10;
    });
    this.height = y;
    const svg = drawing("svg", { viewBox: `0 0 ${width} ${y}`, role: "img", "aria-label": this.description() });
    svg.append(...this.background(y), ...this.axis(y));
    const order = ["t-gate", ...[...URGENCY].reverse().map((outcome) => `t-bar o-${outcome}`), "t-sent"];
    for (const kind of order) if (shapes.has(kind)) svg.append(drawing("path", { class: kind, d: shapes.get(kind).join("") }));
    svg.append(...labels);
    svg.addEventListener("pointermove", (event) => this.point(event, svg));
    this.picture.replaceChildren(svg);
  }

  waveLabel(name, members, narrow) {
    const limit = narrow ? 24 : 70;
    const short = name.length > limit ? `${name.slice(0, limit - 1)}…` : name;
    return `${short} · ${members.length.toLocaleString("en")} migration${members.length === 1 ? "" : "s"}`;
  }

  nameLabel(row, narrow, y, pitch) {
    const limit = narrow ? 44 : 26;
    const short = row.name.length > limit ? `${row.name.slice(0, limit - 1)}…` : row.name;
    const label = drawing("text", { x: 4, y: narrow ? y + 13 : y + pitch / 2 + 4 }, short);
    if (row.outcome !== "SUCCESS") label.append(drawing("tspan", { class: "t-quiet" }, narrow ? ` ${row.outcome}` : ""));
    return label;
  }

  /* Beside the bar, for those who do not tell the colours apart. */
  outcomeLabel(row, y) {
    const end = this.scale.at(row.to) + 8;
    const before = end + 100 > this.width;
    const x = before ? this.scale.at(row.from) - 6 : end;
    return drawing("text", { class: before ? "t-quiet t-end" : "t-quiet", x, y }, row.outcome);
  }

  addBar(shapes, row, top, thick) {
    const add = (kind, from, to, least, height) => {
      const x = this.scale.at(from);
      const width = Math.max(least, this.scale.at(to) - x);
      if (!shapes.has(kind)) shapes.set(kind, []);
      shapes.get(kind).push(`M${x.toFixed(1)} ${top.toFixed(2)}h${width.toFixed(1)}v${height.toFixed(2)}h-${width.toFixed(1)}z`);
    };
    const gateEnd = row.opened ?? row.requested ?? row.to;
    if (row.gate !== null && gateEnd > row.gate) add("t-gate", row.gate, gateEnd, 0.5, thick);
    const noticed = row.outcome === "SUCCESS" ? thick : Math.max(thick, 2); // one failure among thousands is seen
    if (row.requested !== null) {
      add(`t-bar o-${row.outcome}`, row.requested, row.to, 1.5, noticed);
      if (thick >= 5) add("t-sent", row.requested, row.accepted ?? row.requested, 2, thick);
    } else if (row.finished !== null) {
      add(`t-bar o-${row.outcome}`, row.finished, row.finished, 3, noticed);
    }
  }

  background(height) {
    const made = [];
    for (const [opens, closes] of this.data.window) {
      for (const piece of this.scale.pieces) {
        const from = Math.max(opens, piece.start);
        const to = Math.min(closes, piece.end);
        if (to <= from) continue;
        const x = this.scale.at(from);
        made.push(drawing("rect", { class: "t-window", x, y: 26, width: this.scale.at(to) - x, height: height - 26 }));
      }
    }
    this.scale.pieces.slice(1).forEach((piece, number) => {
      const before = this.scale.pieces[number];
      const x = before.x + before.width;
      made.push(drawing("rect", { class: "t-gap", x: x + 2, y: 26, width: GAP - 4, height: height - 26 }));
      const [across, down] = [x + GAP / 2 + 4, Math.min(height / 2, 300)];
      const turned = { class: "t-quiet t-middle", x: across, y: down, transform: `rotate(-90 ${across} ${down})` };
      const text = drawing("text", turned, height > 140 && this.width >= 620 ? `${duration((piece.start - before.end) / 1000)} later` : "");
      made.push(text);
    });
    return made;
  }

  axis(height) {
    const made = [];
    const room = 84;
    const step = STEPS.find((candidate) => candidate * this.scale.perMillisecond >= room) ?? STEPS[STEPS.length - 1];
    let free = 0;
    let day = "";
    for (const piece of this.scale.pieces) {
      const first = Math.ceil((this.data.base + piece.start) / step) * step - this.data.base;
      for (let time = first; time <= piece.end; time += step) {
        const x = Math.round(this.scale.at(time)) + 0.5;
        made.push(drawing("line", { class: "t-grid", x1: x, x2: x, y1: 26, y2: height }));
        const iso = new Date(this.data.base + time).toISOString();
        const date = iso.slice(5, 10);
        const clock = step < 1000 ? iso.slice(11, 21) : step < 60000 ? iso.slice(11, 19) : iso.slice(11, 16);
        const text = date === day ? clock : `${date} ${clock}`;
        const half = text.length * 3.6;
        if (x - half < free || x + half > this.width) continue;
        made.push(drawing("text", { class: "t-quiet t-middle", x, y: 16 }, text));
        free = x + half + 12;
        day = date;
      }
    }
    return made;
  }

  description() {
    const outcomes = URGENCY.map((outcome) => [this.bars.filter((row) => row.outcome === outcome).length, outcome]);
    const counts = outcomes.filter(([count]) => count).map(([count, outcome]) => `${count} ${outcome}`).join(", ");
    const first = Math.min(...this.scale.pieces.map((piece) => piece.start));
    const last = Math.max(...this.scale.pieces.map((piece) => piece.end));
    return `Timeline from ${timeText(this.data, first)} to ${timeText(this.data, last)} UTC: ${counts}. The table of migrations has the same times.`;
  }

  makeLegend() {
    const item = (kind, text) => element("li", {}, element("span", { class: `swatch ${kind}` }), text);
    const list = element("ul", { class: "legend" });
    if (this.bars.some((row) => row.gate !== null)) list.append(item("t-gate", "waits at its gate"));
    if (this.bars.length <= 300) list.append(item("t-sent", "PUT sent, not yet accepted"));
    for (const outcome of this.data.outcomes) {
      if (!this.bars.some((row) => row.outcome === outcome)) continue;
      list.append(element("li", {}, element("span", { class: `swatch t-bar o-${outcome}` }), icon(outcome), outcome));
    }
    if (this.data.window.length) list.append(item("t-window", "window open"));
    return list;
  }

  point(event, svg) {
    const y = (event.clientY - svg.getBoundingClientRect().top) * (this.height / svg.clientHeight);
    const place = this.places.find((candidate) => y >= candidate.y && y < candidate.end);
    if (!place) return;
    const row = place.row;
    this.readout.textContent = [row.name, row.outcome, row.requested === null ? "no PUT" : `PUT ${timeText(this.data, row.requested)}`,
      row.cutover === null ? null : duration(row.cutover), row.message].filter(Boolean).join(" · ");
  }
}
