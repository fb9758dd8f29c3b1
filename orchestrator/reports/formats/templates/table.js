"use strict";

/* Elements are built with textContent and attributes alone, so that no text of Atlas or a workflow becomes markup. */
const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawing(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function icon(outcome) {
  const made = drawing("svg", { class: `icon o-${outcome}`, viewBox: "0 0 16 16", "aria-hidden": "true" });
  made.append(drawing("use", { href: `#i-${outcome}` }));
  return made;
}

/* As `rough_duration` in text/durations.py: "8.1s", "47s", "4m5s", "2h3m", "3d1h". */
function duration(seconds) {
  if (seconds == null) return "";
  if (seconds < 9.95) return `${Math.max(0, Math.floor(seconds * 10 + 0.5) / 10)}s`;
  const whole = Math.floor(seconds + 0.5);
  const smallest = whole >= 86400 ? 3600 : whole >= 3600 ? 60 : 1;
  let rest = Math.floor(whole / smallest) * smallest;
  let text = "";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]) {
    if (rest >= size) text += `${Math.floor(rest / size)}${unit}`;
    rest %= size;
  }
  return text;
}

/* The report's rows as objects; times stay in milliseconds since the start of the run. */
function readRows(data) {
  return data.rows.map((r, order) => ({
    order, name: r[0], wave: data.waves[r[1]][0], waveNumber: r[1], group: data.groups[r[2]], id: r[3],
    outcome: data.outcomes[r[4]], remote: r[5], message: data.messages[r[6]],
    gate: r[7], opened: r[8], requested: r[9], accepted: r[10], finished: r[11],
    cutover: r[12], puts: r[13], polls: r[14], vars: data.vars[r[15]],
  }));
}

function timeText(data, since) {
  return since === null ? "-" : new Date(data.base + since).toISOString().slice(0, 19).replace("T", " ");
}

/* Whether everything lies on one day (UTC), so that the table need not repeat the date. */
function onOneDay(data, rows) {
  const days = new Set(rows.filter((row) => row.requested !== null).map((row) => timeText(data, row.requested).slice(0, 10)));
  return days.size < 2;
}

const CHUNK = 150;
const URGENCY = ["IN_DOUBT", "UNVERIFIED", "TIMED_OUT", "FAILED", "UNDER_WAY", "NOT_STARTED", "SUCCESS"];

/* The sortable, searchable table of all migrations. Rows are added as they come into view; printing adds them all. */
class MigrationTable {
  constructor(root, data, rows) {
    this.data = data;
    this.rows = rows;
    this.timeFrom = onOneDay(data, rows) ? 11 : 0;
    this.column = null;
    this.falling = false;
    this.collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
    this.columns = [
      { key: "name", title: "Migration", of: (r) => r.name },
      { key: "wave", title: "Wave", of: (r) => r.waveNumber },
      { key: "outcome", title: "Outcome", of: (r) => URGENCY.indexOf(r.outcome) },
      { key: "remote", title: "At Atlas", of: (r) => r.remote || null },
      { key: "requested", title: "Requested (UTC)", of: (r) => r.requested },
      { key: "cutover", title: "Cutover", of: (r) => r.cutover, number: true },
      { key: "puts", title: "PUTs", of: (r) => r.puts, number: true },
      { key: "polls", title: "Reads", of: (r) => r.polls, number: true },
    ];
    root.append(this.makeControls(), this.makeTable(), this.makeMore());
    this.refresh();
    new IntersectionObserver((seen) => seen.some((s) => s.isIntersecting) && this.addRows(CHUNK), {
      rootMargin: "800px",
    }).observe(this.more);
    addEventListener("beforeprint", () => this.addRows(Infinity));
  }

  makeControls() {
    this.search = element("input", { type: "search", autocomplete: "off", spellcheck: "false" });
    this.outcome = this.makeSelect("All", this.data.outcomes);
    this.wave = this.makeSelect("All", this.data.waves.map((wave) => wave[0]));
    const reset = element("button", { type: "button", class: "plain" }, "Reset");
    for (const control of [this.search, this.outcome, this.wave]) control.addEventListener("input", () => this.refresh());
    reset.addEventListener("click", () => { this.column = null; this.show(""); });
    return element("div", { class: "controls", role: "search", "aria-label": "Migrations" },
      element("label", { class: "search" }, "Search by name, id or message", this.search),
      element("label", {}, "Outcome", this.outcome), element("label", {}, "Wave", this.wave), reset);
  }

  makeSelect(every, words) {
    const options = words.map((word, number) => element("option", { value: String(number) }, word));
    return element("select", {}, element("option", { value: "" }, every), ...options);
  }

  makeTable() {
    this.heads = this.columns.map((column) => {
      const button = element("button", { type: "button" }, column.title);
      button.addEventListener("click", () => this.sortBy(column));
      return element("th", { scope: "col", class: `c-${column.key}${column.number ? " n" : ""}`, "aria-sort": "none" }, button);
    });
    this.body = element("tbody");
    this.shown = element("output", { class: "shown", "aria-live": "polite" });
    const caption = element("caption", { class: "hidden" }, "All migrations; the buttons in the heads of the columns sort them");
    const table = element("table", { class: "all" }, caption, element("thead", {}, element("tr", {}, ...this.heads)), this.body);
    return element("div", {}, this.shown, table);
  }

  makeMore() {
    const button = element("button", { type: "button", class: "plain" }, "Show all rows");
    button.addEventListener("click", () => this.addRows(Infinity));
    this.left = element("span", { class: "quiet" });
    this.more = element("div", { class: "more" }, button, this.left);
    return this.more;
  }

  /* Only the rows of *outcome* ("" for every one), every other filter off. */
  show(outcome) {
    this.search.value = this.wave.value = "";
    this.outcome.value = outcome === "" ? "" : String(this.data.outcomes.indexOf(outcome));
    this.refresh();
  }

  sortBy(column) {
    if (this.column !== column) [this.column, this.falling] = [column, false];
    else if (!this.falling) this.falling = true;
    else this.column = null;
    this.refresh();
  }

  refresh() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const outcome = this.outcome.value === "" ? null : this.data.outcomes[Number(this.outcome.value)];
    const wave = this.wave.value === "" ? null : Number(this.wave.value);
    this.matching = this.rows.filter((row) => (outcome === null || row.outcome === outcome)
      && (wave === null || row.waveNumber === wave) && this.matches(row, words));
    if (this.column) this.matching.sort((a, b) => this.compare(a, b));
    this.heads.forEach((head, number) => {
      const active = this.columns[number] === this.column;
      head.setAttribute("aria-sort", active ? (this.falling ? "descending" : "ascending") : "none");
    });
    this.body.replaceChildren();
    this.next = 0;
    this.addRows(CHUNK);
    const [shown, all] = [this.matching.length, this.rows.length].map((n) => n.toLocaleString("en"));
    this.shown.textContent = shown === all ? `${all} migrations` : `${shown} of ${all} migrations`;
  }

  matches(row, words) {
    if (!words.length) return true;
    row.hay ??= `${row.name} ${row.wave} ${row.id} ${row.group} ${row.remote} ${row.message} ${row.outcome} ${row.vars}`.toLowerCase();
    return words.every((word) => row.hay.includes(word));
  }

  compare(a, b) {
    const [x, y] = [this.column.of(a), this.column.of(b)];
    if (x === y) return a.order - b.order;
    if (x === null || y === null) return x === null ? 1 : -1; // what has none stands last, whichever way it is sorted
    const ordered = typeof x === "string" ? this.collator.compare(x, y) : x - y;
    return (this.falling ? -ordered : ordered) || a.order - b.order;
  }

  addRows(count) {
    const end = Math.min(this.matching.length, this.next + count);
    const made = document.createDocumentFragment();
    for (; this.next < end; this.next += 1) made.append(this.makeRow(this.matching[this.next]));
    this.body.append(made);
    const left = this.matching.length - this.next;
    this.more.hidden = left === 0;
    this.left.textContent = `${left.toLocaleString("en")} more`;
  }

  makeRow(row) {
    const name = element("th", { scope: "row", class: "c-name" }, row.name,
      element("span", { class: "in-wave" }, row.wave), element("span", { class: "id" }, row.id));
    if (row.vars) name.append(element("span", { class: "id" }, row.vars));
    if (row.message) name.append(element("span", { class: "why" }, row.message));
    return element("tr", {}, name,
      element("td", { class: "c-wave" }, row.wave),
      element("td", { class: "c-outcome" }, element("span", { class: "chip" }, icon(row.outcome), row.outcome)),
      element("td", { class: "c-remote" }, row.remote || "-"),
      element("td", { class: "c-requested" }, row.requested === null ? "-" : timeText(this.data, row.requested).slice(this.timeFrom)),
      element("td", { class: "c-cutover n" }, (duration(row.cutover) || "-")),
      element("td", { class: "c-puts n" }, String(row.puts)),
      element("td", { class: "c-polls n" }, String(row.polls)));
  }
}
