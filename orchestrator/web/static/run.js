// One run: how it stands, its waves, timeline, migrations and log.

import { controls } from "./controls.js";
import { showDetails } from "./details.js";
import { byId, chip, icon, make, oncePerFrame, say } from "./dom.js";
import { Run } from "./model.js";
import { now } from "./now.js";
import { follow } from "./stream.js";
import { Table } from "./table.js";
import { Timeline } from "./timeline.js";
import { show } from "./views.js";
import { RUN_OUTCOMES, STATES, both, budgetInWords, clock, counts, duration, full, number, order, plural, zoneName } from "./words.js";

export function showRun(runId) {
  document.title = `${runId} · atlas-cutover`;
  show("run-view");
  const run = new Run();
  let knows = false;
  const steering = controls(run, runId);
  const open = (index) => showDetails(run, index, steering.migration);
  const table = new Table(run, open);
  const timeline = new Timeline(byId("timeline"), run, open);
  const draw = oncePerFrame(() => {
    byId("loading").hidden = true;
    drawHead(run, knows);
    if (run.missing) return;
    drawNow(run, steering);
    drawWaves(run);
    drawLog(run);
    table.refresh();
    timeline.draw();
  });
  follow(runId, {
    snapshot(document) {
      run.takeSnapshot(document);
      draw();
    },
    delta(document) {
      run.takeDelta(document);
      draw();
    },
    fresh(it) {
      knows = it;
      steering.fresh(it);
      if (run.head) draw();
    },
  });
  setInterval(() => {
    if (document.hidden || !knows || !run.head?.running) return;
    drawNow(run, steering);
    table.tick();
    timeline.draw();
  }, 1000);
}

function drawHead(run, knows) {
  const { head, missing } = run;
  for (const id of ["found", "verdict", "facts"]) byId(id).hidden = missing;
  byId("missing").hidden = !missing;
  byId("top").hidden = false;
  byId("rehearsal").hidden = !head.rehearsal;
  say(byId("workflow"), missing ? head.run_id : head.workflow);
  if (missing) {
    say(byId("missing"), head.error || "There is no such run in this state directory yet. It appears here when it starts.");
    byId("top").className = "top idle";
    return;
  }
  const outcome = RUN_OUTCOMES[run.outcome()] || RUN_OUTCOMES.INTERRUPTED;
  if (!knows) {
    document.title = `? no news since ${clock(now())}: ${head.workflow} · atlas-cutover`;
  } else document.title = `${outcome.sign} ${head.rehearsal ? "REHEARSAL " : ""}${title(run, outcome)} · atlas-cutover`;
  favicon(knows ? outcome : null);
  byId("top").className = `top ${outcome.tone}`;
  if (byId("outcome").textContent !== outcome.word) {
    byId("outcome").replaceChildren(icon(outcome), make("strong", {}, outcome.word));
  }
  drawFacts(head);
}

// What a tab that nobody looks at says.
function title(run, outcome) {
  const { head } = run;
  const waiting = run.waitingForApproval().map((wave) => wave.name);
  if (run.outcome() === "APPROVAL") return `approve: ${waiting.join(", ")} · ${head.workflow}`;
  if (run.outcome() === "CONFIRMATION") return `confirm on the terminal · ${head.workflow}`;
  if (run.outcome() === "WINDOW") return `opens ${clock(head.opening.opens)} · ${head.workflow}`;
  return `${head.workflow}: ${outcome.word}`;
}

const COLOURS = { success: "#00866a", failed: "#cc4e00", late: "#a06a00", doubt: "#9a3d94", idle: "#6b737d", active: "#0b5cad", waits: "#f0b429" };

// Null: nothing is known. Its colour, and its shape where somebody is waited for.
function favicon(outcome) {
  const colour = outcome ? COLOURS[outcome.tone] : "#6b737d";
  const shape = !outcome ? `<path d="M4 4l12 12M16 4L4 16" stroke="${colour}" stroke-width="4"/>`
    : outcome.tone === "waits" ? `<rect width="20" height="20" rx="4" fill="${colour}"/><path d="M10 4v8M10 15v1" stroke="#000" stroke-width="3"/>`
      : `<circle cx="10" cy="10" r="9" fill="${colour}"/>`;
  const href = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20">${shape}</svg>`)}`;
  const link = document.querySelector("link[rel=icon]");
  if (link.href !== href) link.href = href;
}

function drawFacts(head) {
  const facts = [
    ["Started", both(head.started_at)],
    head.finished_at ? ["Finished", both(head.finished_at)] : null,
    head.finished_at ? ["Duration", duration(head.finished_at - head.started_at)] : null,
    ["Run", make("code", {}, head.run_id)],
    ["By", head.sessions > 1 ? `${head.who}, ${head.sessions} sessions` : head.who],
    ["At", head.rehearsal ? "the built-in simulator" : head.base_url],
  ].filter(Boolean);
  const known = JSON.stringify([head.started_at, head.finished_at, head.who, head.sessions]);
  if (byId("facts").dataset.known === known) return;
  byId("facts").dataset.known = known;
  byId("facts").replaceChildren(...facts.map(([term, value]) => make("div", {}, make("dt", {}, term), make("dd", {}, value))));
}

function drawNow(run, steering) {
  say(byId("sentence"), sentence(run));
  steering.draw(now());
  const byState = run.states();
  const over = (byState.SUCCESS || 0) + (byState.UNVERIFIED || 0);
  const text = `${number(over)} of ${plural(run.rows.length, "migration")} cut over${left(run.head.cutovers_left)}`;
  const meter = byId("meter");
  const known = text + counts(byState);
  if (meter.dataset.known === known) return;
  meter.dataset.known = known;
  meter.replaceChildren(make("p", { class: "ended" }, text), parts(byState), tally(byState));
}

function left(seconds) {
  if (!seconds) return "";
  const [low, high] = seconds.map(duration);
  return ` · cutovers left: ${low === high ? `about ${high}` : `${low} to ${high}`}`;
}

// Without figures that change all the time: it is read aloud.
function sentence(run) {
  const { head } = run;
  if (!head.running) {
    if (head.outcome == null) return "The process that worked on this run has ended without recording why (killed, or the machine stopped).";
    return `exit code ${head.exit_code}: ${head.exit_meaning}`;
  }
  if (head.silent) return "Its process holds the run and does not say whether it still works.";
  if (head.stopped) return `No further cutover starts: ${head.stopped}. Those under way are followed to their end.`;
  if (head.unconfirmed_since != null) return `No cutover starts until it is confirmed on the terminal of ${head.who}.`;
  const waiting = run.waitingForApproval().map((wave) => wave.name);
  if (waiting.length) return `Wave ${waiting.join(", ")}.${head.paused ? " The run is paused, too." : ""}`;
  if (head.paused) return "No new cutover starts until somebody unpauses the run.";
  if (head.opening?.opens != null) return `It opens ${both(head.opening.opens)}.`;
  const active = head.waves.filter((wave) => wave.started_at && !wave.finished_at).map((wave) => wave.name);
  return active.length ? `Wave ${active.join(", ")}.` : "";
}

function parts(byState) {
  const bar = make("div", { class: "parts", "aria-hidden": "true" });
  for (const state of [...order(byState)].reverse()) {
    const part = make("span", { class: `part ${STATES[state].tone}` });
    part.style.flexGrow = byState[state];
    bar.append(part);
  }
  return bar;
}

function tally(byState) {
  const list = make("div", { class: "tally" });
  for (const state of order(byState)) {
    list.append(make("span", { class: "chip" }, icon(STATES[state]), make("span", {}, make("b", {}, number(byState[state])), ` ${STATES[state].word}`)));
  }
  return list;
}

function drawWaves(run) {
  byId("waves").replaceChildren(...run.head.waves.filter((wave) => wave.migrations).map((wave) => {
    const facts = [
      plural(wave.migrations, "migration"),
      wave.concurrency ? `${number(wave.concurrency)} at once` : null,
      wave.rejected_by ? `rejected by ${wave.rejected_by}` : wave.approved_by ? `approved by ${wave.approved_by}` : wave.approval ? "needs approval" : null,
    ];
    const times = wave.finished_at && wave.started_at
      ? `${clock(wave.started_at)} – ${clock(wave.finished_at)} (${duration(wave.finished_at - wave.started_at)})`
      : wave.started_at ? `since ${clock(wave.started_at)}` : "";
    return make("li", { class: "card" },
      make("div", { class: "wave-title" }, make("h3", {}, wave.name), make("span", { class: "quiet" }, times)),
      parts(wave.states), tally(wave.states), budget(wave),
      make("p", { class: "quiet" }, facts.filter(Boolean).join(" · ")));
  }));
}

// How many failures the wave may have, and has: the run stops with one more than it may.
function budget(wave) {
  const meter = make("div", { class: "budget" }, make("p", {}, budgetInWords(wave)));
  if (wave.max_failures == null || wave.max_failures >= wave.migrations) return meter;
  const bar = make("div", { class: "budget-bar", "aria-hidden": "true" }, make("span"));
  bar.firstChild.style.width = `${Math.min(100, (100 * wave.failures) / (wave.max_failures + 1))}%`;
  meter.append(bar);
  return meter;
}

const LEVELS = { 30: "warning", 40: "error" };

function drawLog(run) {
  const list = byId("log");
  const newest = run.log.at(-1)?.seq;
  if (list.dataset.newest === String(newest)) return;
  list.dataset.newest = newest;
  say(byId("log-zone"), `Times of day: ${zoneName(now())}`);
  list.replaceChildren(...run.log.toReversed().map((line) => make("li", { class: LEVELS[line.level] },
    make("time", { datetime: new Date(line.at * 1000).toISOString(), title: full(line.at) }, clock(line.at)),
    make("span", { class: "event" }, line.event),
    make("span", { class: "text" }, line.about ? make("b", {}, line.about) : null, line.about ? " " : null, line.text))));
}
