// One run: how it stands, its waves, timeline, migrations and log.

import { controls } from "./controls.js";
import { drawDecisions } from "./decisions.js";
import { Details } from "./details.js";
import { byId, icon, make, oncePerFrame, renew, say } from "./dom.js";
import { logLines } from "./loglines.js";
import { Run } from "./model.js";
import { LOOKS } from "./needs.js";
import { now } from "./now.js";
import { reportButton } from "./savereport.js";
import { drawSides } from "./sides.js";
import { follow } from "./stream.js";
import { Table } from "./table.js";
import { Timeline } from "./timeline.js";
import { show } from "./views.js";
import { parts, tally, waves } from "./waves.js";
import { RUN_OUTCOMES, both, clock, counts, duration, number, plural, waveNamed } from "./words.js";

const PHONE = matchMedia("(max-width: 720px)");

export function showRun(runId) {
  document.title = `${runId} · atlas-cutover`;
  show("run-view");
  const run = new Run();
  let knows = false;
  const steering = controls(run, runId);
  const details = new Details(run, steering.migration);
  const open = (index) => details.open(index);
  const table = new Table(run, open);
  const waveTable = waves(run), log = logLines(run);
  const timeline = new Timeline(byId("timeline"), run, ({ index, wave }) => (index == null ? table.showWave(wave) : open(index)));
  const draw = oncePerFrame(() => {
    byId("loading").hidden = true;
    drawHead(run, knows);
    if (run.missing) {
      if (!run.head.error) for (const id of ["details", "confirm"]) if (byId(id).open) byId(id).close("no");
      return;
    }
    drawNow(run, steering);
    drawDecisions(run.decisions);
    waveTable.draw();
    log.draw();
    table.refresh();
    timeline.draw();
    details.refresh();
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
  const placeFacts = () => byId(PHONE.matches ? "about" : "top-page").append(byId("facts")); // a phone's first screen is for what is urgent
  PHONE.addEventListener("change", placeFacts);
  placeFacts();
  setInterval(() => {
    if (document.hidden || !knows || !run.head?.running) return;
    drawNow(run, steering);
    table.tick();
    timeline.draw();
    details.refresh();
  }, 1000);
}

function drawHead(run, knows) {
  const { head, missing } = run;
  for (const id of ["found", "verdict", "facts"]) byId(id).hidden = missing;
  byId("missing").hidden = !missing;
  byId("top").hidden = false;
  byId("rehearsal").hidden = !head.rehearsal;
  say(byId("workflow"), missing ? head.run_id : head.workflow);
  byId("need-you").hidden = missing;
  if (missing) {
    say(byId("missing"), head.error || "No run is called so in this state directory: it may have been pruned, or not have begun. It appears here when it begins.");
    document.title = `${head.run_id}: no such run · atlas-cutover`;
    favicon(null);
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
  drawNeedYou(run);
  drawFacts(head);
}

// What "Needs you now" shows, counted: the first screen of a phone has room for no more.
function drawNeedYou(run) {
  const counts = new Map();
  for (const { kind, count } of run.needs) counts.set(kind, (counts.get(kind) || 0) + Math.max(1, count));
  const nobody = run.head.running && !run.needs.length;
  const element = byId("need-you"), known = JSON.stringify([...counts, nobody]);
  element.hidden = !counts.size && !nobody;
  if (element.dataset.known === known) return;
  element.dataset.known = known;
  if (nobody) return renew(element, document.createTextNode("Nobody is needed."));
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  renew(element, make("a", { href: "#needs-title" }, `${number(all)} ${all === 1 ? "needs" : "need"} you`),
    ...[...counts].map(([kind, count]) => make("span", { class: "chip", "data-part": kind }, icon(LOOKS[kind]), `${number(count)} ${LOOKS[kind].short || LOOKS[kind].word}`)));
}

// What a tab that nobody looks at says.
function title(run, outcome) {
  const { head } = run;
  const waiting = run.waitingForApproval().map((wave) => wave.name);
  const all = run.needs.reduce((sum, { count }) => sum + Math.max(1, count), 0);
  const more = (told) => (all > told ? `, ${number(all - told)} more ${all - told === 1 ? "needs" : "need"} you` : "");
  if (run.outcome() === "APPROVAL") return `approve: ${waiting.join(", ")}${more(waiting.length)} · ${head.workflow}`;
  if (run.outcome() === "CONFIRMATION") return `confirm on the terminal${more(1)} · ${head.workflow}`;
  const wanted = all ? `${number(all)} ${all === 1 ? "needs" : "need"} you · ` : "";
  if (run.outcome() === "WINDOW") return `${wanted}opens ${clock(head.opening.opens)} · ${head.workflow}`;
  return `${wanted}${head.workflow}: ${outcome.word}`;
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
    ["Run", make("code", { class: "unbroken" }, head.run_id)],
    ["By", head.sessions > 1 ? `${head.who}, ${head.sessions} sessions` : head.who],
    ["Report", reportButton(head.run_id)],
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
  drawSides(run);
  const byState = run.states();
  const over = (byState.SUCCESS || 0) + (byState.UNVERIFIED || 0);
  const text = `${number(over)} of ${plural(run.rows.length, "migration")} cut over${left(run.head.cutovers_left)}`;
  const meter = byId("meter");
  const known = text + counts(byState);
  if (meter.dataset.known === known) return;
  meter.dataset.known = known;
  renew(meter, make("p", { class: "ended" }, text), parts(byState), tally(byState));
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
  if (waiting.length) return `${wavesNamed(waiting)}.${head.paused ? " The run is paused, too." : ""}`;
  if (head.paused) return "No new cutover starts until somebody unpauses the run.";
  if (head.opening?.opens != null) return `It opens ${both(head.opening.opens)}.`;
  const active = head.waves.filter((wave) => wave.under_way).map((wave) => wave.name);
  return active.length ? `${wavesNamed(active)}.` : "";
}

function wavesNamed([first, ...others]) {
  return [waveNamed(first).replace(/^wave /, "Wave "), ...others].join(", ");
}
