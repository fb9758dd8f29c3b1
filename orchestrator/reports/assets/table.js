// The migrations: searched, filtered, sorted, and only as many rows in the document as are seen; what is printed is in paper.js. A row is made
// once and its cells are changed: text in it stays selected, and its button keeps the focus.

import { arrange, byId, chip, icon, make, oncePerFrame, say } from "./dom.js";
import { now } from "./now.js";
import { forPaper, onPaper } from "./paper.js";
import { FINAL, HOOK_FAILED, STATES, clock, duration, failedHooks, full, number, order, reason, urgency, zoneName } from "./words.js";

const TALLEST = 640; // pixels of rows that are seen at once: base.css
const SPARE = 8; // rows above and below what is seen
const PHONE = matchMedia("(max-width: 720px)");
const rowHeight = () => (PHONE.matches ? 56 : 36); // --row in base.css

const URGENT = "urgent"; // not a column: what needs somebody goes first, then as in the workflow

const text = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

export class Table {
  #run;
  #open;
  #shown = []; // the numbers of the migrations that pass the filters, in order
  #drawn = new Map(); // row elements in the document, by migration number
  #above;
  #below;
  #none = null; // what stands there when nothing passes
  #sort = { key: URGENT, down: false };
  #jobs = null;
  #haystacks = [];
  #columns;

  // open: called with the number of a migration; without: keys of columns that are left out.
  constructor(run, open, { without = [] } = {}) {
    this.#run = run;
    this.#open = open;
    const waveName = (index) => run.head.waves[run.jobs[index].wave].name;
    // value: what it is sorted by; unset values go last, whichever way.
    this.#columns = [
      { key: "name", title: "Migration", value: (i) => run.jobs[i].name },
      { key: "state", title: "State", value: (i) => urgency(run.rows[i]) },
      { key: "note", title: "Message", value: (i) => reason(run.message(run.rows[i])) || null },
      { key: "wave", title: "Wave", value: (i) => run.jobs[i].wave },
      { key: "remote", title: "At Atlas", value: (i) => run.rows[i].remote_status },
      { key: "lag", title: "Lag", num: true, value: (i) => run.rows[i].lag_seconds },
      { key: "requested", title: `PUT (${zoneName(now())})`, num: true, value: (i) => run.rows[i].requested_at },
      { key: "time", title: "Cutover", num: true, value: (i) => run.cutoverSeconds(run.rows[i], now()) },
    ].filter(({ key }) => !without.includes(key));
    this.waveName = waveName;
    this.#above = spacer(this.#columns);
    this.#below = spacer(this.#columns);
    this.#drawColumns();
    byId("migrations").setAttribute("aria-colcount", this.#columns.length);
    const draw = oncePerFrame(() => this.#draw());
    byId("rows-scroller").addEventListener("scroll", draw, { passive: true });
    new ResizeObserver(draw).observe(byId("rows-scroller"));
    PHONE.addEventListener("change", () => this.#redraw());
    const filter = oncePerFrame(() => this.#filter());
    byId("search").addEventListener("input", filter);
    byId("by-state").addEventListener("change", filter);
    byId("by-wave").addEventListener("change", filter);
    const release = oncePerFrame(() => this.#held() || this.#filter());
    for (const kind of ["focusout", "mouseup", "keyup"]) byId("rows").addEventListener(kind, release);
    addEventListener("beforeprint", () => this.#print());
    addEventListener("afterprint", () => byId("paper").replaceChildren());
  }

  // Only the migrations that stand so ("": all), every other filter off.
  show(state) {
    byId("search").value = byId("by-wave").value = "";
    byId("by-state").value = state;
    this.#filter();
  }

  #print() {
    if (!this.#run.head || this.#run.missing) return;
    const filtered = ["search", "by-state", "by-wave"].some((id) => byId(id).value);
    const [indices, about] = forPaper(this.#run, this.#shown, { filtered, all: byId("print-all").checked });
    byId("paper").replaceChildren(...onPaper(this.#run, indices, this.waveName, about));
  }

  // Only the migrations of this wave, by its number.
  showWave(wave) {
    byId("search").value = byId("by-state").value = "";
    byId("by-wave").value = String(wave);
    this.#filter();
  }

  // The run has changed.
  refresh() {
    const before = this.#jobs;
    this.#jobs = this.#run.jobs;
    if (before !== this.#jobs) {
      this.#haystacks = this.#jobs.map((job) => `${job.name} ${job.group_id} ${job.live_migration_id} ${Object.values(job.vars).join(" ")}`.toLowerCase());
      if (!this.#areStill(before)) this.#clear();
      fill(byId("by-wave"), [["", "all waves"], ...this.#run.head.waves.filter((wave) => wave.migrations)
        .map((wave) => [String(this.#run.head.waves.indexOf(wave)), wave.name])]);
    }
    const counts = this.#run.states();
    fill(byId("by-state"), [["", "all states"], ...order(counts).map((state) => [state, `${STATES[state].word} (${number(counts[state])})`])]);
    if (this.#shown.length && this.#held()) this.#draw();
    else this.#filter();
  }

  // Whether the migrations that were known before are the same ones now: their rows stay then.
  #areStill(before) {
    return before?.length === this.#jobs.length && before.every(({ name, wave }, index) => name === this.#jobs[index]?.name && wave === this.#jobs[index].wave);
  }

  // A second has passed: cutovers under way take longer.
  tick() {
    for (const [index, { cells }] of this.#drawn) {
      const row = this.#run.rows[index];
      if (this.#run.goesOn(row)) say(cells.time, duration(this.#run.cutoverSeconds(row, now())));
    }
  }

  // Whether somebody is about to use what is in the rows: they stay where they are then.
  #held() {
    const rows = byId("rows"), selection = getSelection();
    return rows.contains(document.activeElement) || (!selection.isCollapsed && selection.containsNode(rows, true));
  }

  #filter() {
    if (!this.#run.head || this.#run.missing) return;
    const { rows, jobs } = this.#run;
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const state = byId("by-state").value, wave = byId("by-wave").value;
    const shown = [];
    for (let index = 0; index < rows.length; index++) {
      if (!rows[index] || (state && rows[index].state !== state)) continue;
      if (wave && String(jobs[index].wave) !== wave) continue;
      if (words.length) {
        const hay = `${this.#haystacks[index]} ${rows[index].remote_status || ""} ${this.#run.message(rows[index])}`.toLowerCase();
        if (!words.every((word) => hay.includes(word))) continue;
      }
      shown.push(index);
    }
    this.#shown = this.#sorted(shown);
    const all = shown.length === rows.length;
    say(byId("count"), `${all ? `${number(rows.length)} shown` : `${number(shown.length)} of ${number(rows.length)} shown`}${this.#run.whole ? "" : "; the others are being loaded …"}`);
    byId("migrations").setAttribute("aria-rowcount", shown.length + 1);
    this.#draw();
  }

  #sorted(indices) {
    const key = this.#sort.key === URGENT ? "state" : this.#sort.key;
    const column = this.#columns.find((it) => it.key === key);
    const way = this.#sort.down ? -1 : 1;
    const values = new Map(indices.map((index) => [index, column.value(index)]));
    return indices.sort((a, b) => {
      const x = values.get(a), y = values.get(b);
      if (x == null || y == null) return (x == null) - (y == null) || a - b;
      return way * (typeof x === "string" ? text.compare(x, y) : x - y) || a - b;
    });
  }

  #drawColumns() {
    byId("columns").replaceChildren(...this.#columns.map(({ key, title, num }) => make("th", {
      scope: "col", class: `${key}${num ? " num" : ""}`, "aria-sort": "none", "data-key": key,
    }, make("button", { type: "button", onclick: () => this.#sortBy(key) }, title))));
  }

  // Once up, once down, then what is urgent first again.
  #sortBy(key) {
    const same = this.#sort.key === key;
    this.#sort = same && this.#sort.down ? { key: URGENT, down: false } : { key, down: same };
    for (const th of byId("columns").children) {
      const way = th.dataset.key === this.#sort.key ? (this.#sort.down ? "descending" : "ascending") : "none";
      th.setAttribute("aria-sort", way);
    }
    this.#filter();
  }

  #redraw() {
    this.#clear();
    this.#draw();
  }

  #clear() {
    this.#drawn.clear();
    byId("rows").replaceChildren();
  }

  #draw() {
    if (!this.#run.head || this.#run.missing) return;
    const scroller = byId("rows-scroller"), height = rowHeight();
    const seen = Math.max(scroller.clientHeight, TALLEST); // before its rows are there it is as tall as its head alone
    const lowest = Math.max(0, this.#shown.length * height - scroller.clientHeight); // fewer may be shown than before
    const top = Math.min(scroller.scrollTop, lowest);
    const first = Math.max(0, Math.floor(top / height) - SPARE);
    const last = Math.min(this.#shown.length, Math.ceil((top + seen) / height) + SPARE);
    const wanted = this.#shown.slice(first, last), keep = new Set(wanted);
    for (const [index, { element }] of this.#drawn) {
      if (keep.has(index)) continue;
      if (element.contains(document.activeElement)) scroller.focus({ preventScroll: true });
      element.remove();
      this.#drawn.delete(index);
    }
    this.#above.style.height = `${first * height}px`;
    this.#below.style.height = `${(this.#shown.length - last) * height}px`;
    const elements = wanted.map((index, place) => {
      const drawn = this.#drawn.get(index) || this.#made(index);
      if (drawn.row !== this.#run.rows[index]) this.#fill(drawn, index);
      drawn.element.setAttribute("aria-rowindex", first + place + 2);
      return drawn.element;
    });
    if (!this.#shown.length) {
      this.#none ??= make("tr", {}, make("td", { colspan: this.#columns.length, class: "none" }));
      say(this.#none.firstChild, this.#run.whole ? "Nothing passes the filters." : "Nothing that has been loaded so far passes the filters.");
      elements.push(this.#none);
    } else this.#none?.remove();
    arrange(byId("rows"), [this.#above, ...elements, this.#below]);
  }

  #made(index) {
    const job = this.#run.jobs[index], wave = this.waveName(index);
    const under = make("span", { class: "under" });
    const cells = { under };
    const name = make("th", { scope: "row", class: "name" },
      make("button", { type: "button", class: "link", title: job.name, onclick: () => this.#open(index) }, job.name), under);
    const others = this.#columns.slice(1).map(({ key, num }) => (cells[key] = make("td", { class: `${key}${num ? " num" : ""}` })));
    cells.wave.textContent = cells.wave.title = wave;
    const drawn = { row: null, cells, element: make("tr", { "data-index": index }, name, ...others) };
    this.#drawn.set(index, drawn);
    return drawn;
  }

  #fill(drawn, index) {
    const row = this.#run.rows[index], { cells } = drawn;
    const message = this.#run.message(row), why = reason(message);
    say(cells.under, why || this.waveName(index));
    if (drawn.row?.state !== row.state || !drawn.row.failed_hooks !== !row.failed_hooks) cells.state.replaceChildren(chip(STATES[row.state]), ...marks(row));
    say(cells.note, why);
    cells.note.title = message;
    say(cells.remote, row.remote_status || "");
    if (cells.lag) say(cells.lag, FINAL.has(row.state) ? "" : duration(row.lag_seconds));
    say(cells.requested, clock(row.requested_at));
    cells.requested.title = full(row.requested_at);
    say(cells.time, duration(this.#run.cutoverSeconds(row, now())));
    drawn.row = row;
  }
}

// What its state does not tell of.
function marks(row) {
  if (!failedHooks(row).length) return [];
  return [make("span", { class: "mark", title: HOOK_FAILED.word }, icon(HOOK_FAILED), make("span", { class: "hidden" }, HOOK_FAILED.word))];
}

// As tall as the rows that are not drawn; with a cell in each column, or readers of tables take it for the table's end.
function spacer(columns) {
  return make("tr", { "aria-hidden": "true", class: "spacer" }, ...columns.map(({ key }) => make("td", { class: key })));
}

function fill(select, options) {
  const wanted = JSON.stringify(options);
  if (select.dataset.options === wanted) return;
  select.dataset.options = wanted;
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, word]) => make("option", { value }, word)));
  select.value = options.some(([value]) => value === chosen) ? chosen : "";
}
