// The waves as a table: those that are done, and those to come, folded where there are many.

import { arrange, byId, chip, icon, make, renew, say } from "./dom.js";
import { now } from "./now.js";
import { STATES, budgetInWords, clock, duration, number, order, plural, zoneName } from "./words.js";

const FEW = 4; // waves that are all shown, whatever they do
const LOOKS = {
  REJECTED: { word: "rejected", icon: "NOT_STARTED", tone: "idle" },
  DONE: { word: "done", icon: "SUCCESS", tone: "success" },
  DONE_BADLY: { word: "done, with failures", icon: "FAILED", tone: "failed" },
  APPROVAL: { word: "waits for approval", icon: "PERSON", tone: "waits" },
  ACTIVE: { word: "under way", icon: "ACTIVE", tone: "active" },
  LEFT: { word: "begun, not ended", icon: "INTERRUPTED", tone: "late" },
  COMING: { word: "to come", icon: "WAITING", tone: "idle" },
  NOT_STARTED: { word: "not started", icon: "NOT_STARTED", tone: "idle" },
};
const FOLDS = { done: "done", coming: "to come" };

export function waves(run) {
  const open = new Set(); // folds that were opened
  const rows = new Map(); // by the wave's name, or the fold's
  let known = "";

  // Draws them where they differ from what is drawn.
  function draw() {
    const { head } = run;
    const told = JSON.stringify([head.running, head.stopped, head.waves, [...open]]);
    if (known === told) return;
    known = told;
    const list = head.waves.filter((wave) => wave.migrations);
    const folded = { done: [], coming: [] };
    if (list.length > FEW) for (const wave of list) folded[foldOf(head, wave)]?.push(wave);
    const wanted = [], said = new Set();
    for (const wave of list) {
      const fold = foldOf(head, wave);
      if (fold && folded[fold].length > 1) {
        if (!said.has(fold)) wanted.push(foldRow(fold, folded[fold]));
        said.add(fold);
        if (!open.has(fold)) continue;
      }
      wanted.push(waveRow(head, wave));
    }
    arrange(byId("waves"), wanted);
    say(byId("waves-times"), `Times (${zoneName(now())})`);
  }

  function waveRow(head, wave) {
    const facts = [
      plural(wave.migrations, "migration"),
      wave.concurrency ? `${number(wave.concurrency)} at once` : null,
      wave.timed_out ? "nobody approved it in time" : wave.rejected_by ? `rejected by ${wave.rejected_by}` : wave.approved_by ? `approved by ${wave.approved_by}` : wave.approval ? "needs approval" : null,
    ];
    return row(`wave ${wave.name}`, [wave, stands(head, wave)], () => [
      make("th", { scope: "row" }, make("span", { class: "wave-name" }, wave.name), make("span", { class: "quiet" }, facts.filter(Boolean).join(" · "))),
      make("td", { class: "stands" }, chip(LOOKS[stands(head, wave)])),
      make("td", { class: "came-to" }, parts(wave.states), tally(wave.states)),
      make("td", { class: "budget" }, ...budget(wave)),
      make("td", { class: "when" }, times(wave.under_way || wave.finished_at != null ? wave.started_at : null, wave.finished_at))]);
  }

  // All waves of a fold in one row, with what they came to, and a button that shows them.
  function foldRow(fold, members) {
    const states = {};
    for (const { states: each } of members) for (const state of Object.keys(each)) states[state] = (states[state] || 0) + each[state];
    const element = row(`fold ${fold}`, members, () => [
      make("th", { scope: "row" }, make("button", { type: "button", class: "fold", onclick: () => toggle(fold) }, `${plural(members.length, "wave")} ${FOLDS[fold]}`)),
      make("td", { class: "stands" }),
      make("td", { class: "came-to" }, parts(states), tally(states)),
      make("td", { class: "budget" }),
      make("td", { class: "when" }, times(members[0].started_at, members.at(-1).finished_at))]);
    element.querySelector(".fold").setAttribute("aria-expanded", open.has(fold));
    return element;
  }

  function toggle(fold) {
    if (!open.delete(fold)) open.add(fold);
    draw();
  }

  // Its row, filled again where what it tells has changed.
  function row(key, told, cells) {
    if (!rows.has(key)) rows.set(key, make("tr"));
    const element = rows.get(key), text = JSON.stringify(told);
    if (element.dataset.told !== text) {
      const focused = element.contains(document.activeElement);
      renew(element, ...cells());
      element.dataset.told = text;
      if (focused) element.querySelector("button")?.focus();
    }
    return element;
  }

  return { draw };
}

function stands(head, wave) {
  if (wave.rejected_by) return "REJECTED";
  if (wave.finished_at != null) return wave.failures ? "DONE_BADLY" : "DONE";
  if (wave.approval_since != null && wave.approved_by == null && head.running && !head.stopped) return "APPROVAL";
  if (wave.under_way && head.running) return "ACTIVE";
  if (wave.started_at != null && !head.running) return "LEFT";
  return head.running && !head.stopped ? "COMING" : "NOT_STARTED";
}

function foldOf(head, wave) {
  return { DONE: "done", DONE_BADLY: "done", COMING: "coming", NOT_STARTED: "coming" }[stands(head, wave)];
}

function times(from, until) {
  if (from == null) return "";
  return until == null ? `since ${clock(from)}` : `${clock(from)} – ${clock(until)} (${duration(until - from)})`;
}

// A bar of how many stand where, the most urgent first, as in the tally below it.
export function parts(byState) {
  const bar = make("div", { class: "parts", "aria-hidden": "true" });
  for (const state of order(byState)) {
    const part = make("span", { class: `part ${STATES[state].tone} s-${state}`, "data-part": state });
    part.style.flexGrow = byState[state];
    bar.append(part);
  }
  return bar;
}

export function tally(byState) {
  const list = make("div", { class: "tally" });
  for (const state of order(byState)) {
    list.append(make("span", { class: "chip", "data-part": state }, icon(STATES[state]), make("span", {}, make("b", {}, number(byState[state])), ` ${STATES[state].word}`)));
  }
  return list;
}

// How many failures the wave may have, and has: the run stops with one more than it may.
function budget(wave) {
  const told = make("p", {}, budgetInWords(wave));
  if (wave.max_failures == null || wave.max_failures >= wave.migrations) return [told];
  const bar = make("div", { class: "budget-bar", "aria-hidden": "true" }, make("span"));
  bar.firstChild.style.width = `${Math.min(100, (100 * wave.failures) / (wave.max_failures + 1))}%`;
  const end = make("span", { class: "budget-end" }, `stops at ${number(wave.max_failures + 1)}`);
  return [told, make("div", { class: "budget-line" }, bar, end)];
}
