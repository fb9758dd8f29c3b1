// All about one migration, in a dialog that follows the run. It has an address of its own (#migration/NAME), which can be sent to
// somebody, and which reloading and going back heed.

import { copyable, copyableId } from "./copy.js";
import { byId, chip, coded, make, say } from "./dom.js";
import { now } from "./now.js";
import { FINAL, STATES, both, duration, failedHooks, number, reason, requests } from "./words.js";

const PREFIX = "#migration/";

export class Details {
  #run;
  #steer;
  #name = null; // of the migration that is shown
  #entered = false; // whether going back leads to the page without details
  #shown = new Map(); // what stands there, by its key

  // steer: called with the migration's job and row and the place for buttons and commands that steer it.
  constructor(run, steer = () => {}) {
    this.#run = run;
    this.#steer = steer;
    byId("details").addEventListener("close", () => this.#closed());
    for (const kind of ["popstate", "hashchange"]) addEventListener(kind, () => this.#heed());
  }

  open(index) {
    history.pushState({ details: true }, "", PREFIX + encodeURIComponent(this.#run.jobs[index].name));
    this.#heed();
  }

  // The run has changed, or a second has passed.
  refresh() {
    if (this.#name === null) this.#heed();
    else this.#draw();
  }

  // Shows what the address asks for.
  #heed() {
    if (!this.#run.head || this.#run.missing) return;
    const name = asked();
    if (name === this.#name) return;
    const dialog = byId("details");
    this.#name = this.#run.whole || this.#run.number(name) >= 0 ? name : null; // until all are loaded nothing is known of the others
    if (this.#name === null) {
      dialog.close();
      return;
    }
    this.#entered = Boolean(history.state?.details);
    this.#shown.clear();
    byId("details-list").replaceChildren();
    byId("details-steer").replaceChildren();
    this.#draw();
    if (!dialog.open) dialog.showModal();
  }

  // By the reader: the address is without details again.
  #closed() {
    if (byId("details").open) return; // it was closed, and is there again before that was told
    if (this.#name === null || asked() !== this.#name) return;
    this.#name = null;
    if (this.#entered) history.back();
    else history.replaceState(null, "", location.pathname + location.search);
  }

  #draw() {
    const run = this.#run, index = run.number(this.#name);
    if (index < 0) {
      say(byId("details-title"), this.#name);
      delete byId("details-state").dataset.state;
      byId("details-state").replaceChildren();
      say(byId("details-why"), "There is no migration of this name in this run.");
      byId("details-why").hidden = false;
      return;
    }
    const job = run.jobs[index], row = run.rows[index];
    say(byId("details-title"), job.name);
    if (byId("details-state").dataset.state !== row.state) {
      byId("details-state").dataset.state = row.state;
      byId("details-state").replaceChildren(chip(STATES[row.state]));
    }
    const message = run.message(row);
    say(byId("details-why"), reason(message));
    byId("details-why").hidden = !message;
    this.#steer(job, row, byId("details-steer"));
    const list = byId("details-list");
    let place = 0;
    for (const [term, text, { look, key = term } = {}] of facts(run, job, row)) {
      if (text == null || text === "") continue;
      let pair = this.#shown.get(key);
      if (!pair) {
        pair = { text: null, dt: make("dt", {}, term), dd: make("dd") };
        this.#shown.set(key, pair);
      }
      if (!look) say(pair.dd, String(text));
      else if (pair.text !== text) pair.dd.replaceChildren(look(text));
      pair.text = text;
      if (list.children[place] !== pair.dt) list.insertBefore(pair.dt, list.children[place] || null);
      if (list.children[place + 1] !== pair.dd) pair.dt.after(pair.dd);
      place += 2;
    }
    while (list.children.length > place) list.lastChild.remove();
  }
}

// [term, text]: what is not known has no text. look: how it is shown; key: where its term is the workflow's.
function facts(run, job, row) {
  const at = (time) => (time == null ? null : both(time));
  const point = run.head.points?.[row.point];
  return [
    ["What to do", point?.what_is_right, { look: inCode }],
    ["To go on", FINAL.has(row.state) ? run.head.advice?.outcomes[row.state] : null, { look: inCode }],
    ["Point of no return", point && `${point.side} (${row.point})`],
    ...failedHooks(row).map(({ hook, ended, output }, place) => [`Hook ${hook} failed`, `${ended}\n${output || "(no output)"}`, { look: written, key: `hook ${place} ${hook}` }]),
    ["Wave", run.head.waves[job.wave].name],
    ...Object.entries(job.vars).map(([name, value]) => [name, value, { key: `vars ${name}` }]),
    ["Status at Atlas", row.remote_status],
    ["Lag", row.lag_seconds == null || FINAL.has(row.state) ? null : duration(row.lag_seconds)],
    ["Gate, waiting since", at(row.gate_waiting_since)],
    ["Gate opened", at(row.gate_opened_at)],
    ["Cutover requested", at(row.requested_at)],
    ["Accepted by Atlas", at(row.accepted_at)],
    ["Ended", at(row.finished_at)],
    ["Verified", at(row.verified_at)],
    ["Cutover time", duration(run.cutoverSeconds(row, now()))],
    ["Downtime", duration(row.downtime_seconds)],
    ["Cutover requests", row.cutover_requests ? number(row.cutover_requests) : null],
    ["Reads", row.polls ? number(row.polls) : null],
    ["Project (group_id)", job.group_id, { look: copyableId }],
    ["live_migration_id", job.live_migration_id, { look: copyableId }],
    ["Request", requests(run.message(row)).join("\n"), { look: (text) => make("div", { class: "commands" }, ...text.split("\n").map(copyable)) }],
  ];
}

function inCode(text) {
  return make("span", {}, ...coded(text));
}

// How a hook ended, and below it the end of what it wrote.
function written(text) {
  const [ended, ...output] = text.split("\n");
  return make("div", {}, ended, make("pre", { class: "output" }, output.join("\n")));
}

function asked() {
  if (!location.hash.startsWith(PREFIX)) return null;
  try {
    return decodeURIComponent(location.hash.slice(PREFIX.length));
  } catch {
    return null; // cut off in the middle of a letter
  }
}
