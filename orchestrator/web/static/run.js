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
import { FINAL, RUN_OUTCOMES, STATES, clock, counts, duration, full, number, order, plural } from "./words.js";

export function showRun(runId) {
  document.title = `${runId} · atlas-cutover`;
  show("run-view");
  const run = new Run();
  let knows = false;
  const steering = controls(run, runId);
  const table = new Table(run, (index) => showDetails(run, index));
  const timeline = new Timeline(byId("timeline"), run, (index) => showDetails(run, index));
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
  } else document.title = `${outcome.sign} ${head.rehearsal ? "REHEARSAL " : ""}${head.workflow}: ${outcome.word} · atlas-cutover`;
  byId("top").className = `top ${outcome.tone}`;
  if (byId("outcome").textContent !== outcome.word) {
    byId("outcome").replaceChildren(icon(outcome), make("strong", {}, outcome.word));
  }
  drawFacts(head);
}

function drawFacts(head) {
  const facts = [
    ["Started", full(head.started_at)],
    head.finished_at ? ["Finished", full(head.finished_at)] : null,
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
  const ended = Object.keys(byState).filter((state) => FINAL.has(state)).reduce((sum, state) => sum + byState[state], 0);
  const text = `${number(ended)} of ${plural(run.rows.length, "migration")} ended${left(run.head.cutovers_left)}`;
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
  if (head.paused) return "No new cutover starts until somebody unpauses the run.";
  const waiting = run.waitingForApproval().map((wave) => wave.name);
  if (waiting.length) return `Waits for approval of ${waiting.join(", ")}.`;
  if (head.opening?.opens != null) return `Waits for the window, which opens ${full(head.opening.opens)}.`;
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
      wave.max_failures != null ? `the run stops at failure ${number(wave.max_failures + 1)}` : null,
      wave.approved_by ? `approved by ${wave.approved_by}` : wave.approval ? "needs approval" : null,
    ];
    const times = wave.finished_at && wave.started_at
      ? `${clock(wave.started_at)} – ${clock(wave.finished_at)} (${duration(wave.finished_at - wave.started_at)})`
      : wave.started_at ? `since ${clock(wave.started_at)}` : "";
    return make("li", { class: "card" },
      make("div", { class: "wave-title" }, make("h3", {}, wave.name), make("span", { class: "quiet" }, times)),
      parts(wave.states), tally(wave.states),
      make("p", { class: "quiet" }, facts.filter(Boolean).join(" · ")));
  }));
}

const LEVELS = { 30: "warning", 40: "error" };

function drawLog(run) {
  const list = byId("log");
  const newest = run.log.at(-1)?.seq;
  if (list.dataset.newest === String(newest)) return;
  list.dataset.newest = newest;
  list.replaceChildren(...run.log.toReversed().map((line) => make("li", { class: LEVELS[line.level] },
    make("time", { datetime: new Date(line.at * 1000).toISOString(), title: full(line.at) }, clock(line.at)),
    make("span", { class: "event" }, line.event),
    make("span", { class: "text" }, line.about ? make("b", {}, line.about) : null, line.about ? " " : null, line.text))));
}
