// Whether a question is still one: others decide, too, and the run does not wait for its answer.

import { FINAL, STATES, bothToday, plural } from "./words.js";

// Why nothing is left to decide; "" while something is.
export function settled(run, { command, wave, migrations = [] }) {
  const { head } = run;
  if (!head.running) return head.outcome == null ? "No process works on the run any more." : `The run has ended: ${head.outcome}.`;
  if (head.aborted_by) return `The run was aborted by ${head.aborted_by}${when(run, "abort", "the run")}.`;
  if (wave != null) return ofWave(run, wave);
  if (migrations.length) return ofMigrations(run, command, migrations);
  if (command === "pause" && head.paused) return `The run was paused by ${head.paused.who}, ${bothToday(head.paused.since)}.`;
  if (command === "unpause" && !head.paused) return `The run is not paused any more${by(run, "unpause", "the run")}.`;
  return "";
}

function ofWave(run, name) {
  const { head } = run, about = `wave ${name}`;
  const { approved_by: approved, rejected_by: rejected, timed_out: late, approval_since: asked } = head.waves.find((each) => each.name === name);
  if (late) return `Nobody approved it in time, so it counts as rejected${when(run, "reject", about)}.`;
  if (rejected) return `Rejected by ${rejected}${when(run, "reject", about)}.`;
  if (approved) return `Approved by ${approved}${when(run, "approve", about)}.`;
  if (head.stopped) return `No further cutover starts: ${head.stopped}.`;
  return asked == null ? "It does not wait for approval any more." : "";
}

const OPEN = ["WAITING", "GATE", "READY"];
const MAY = {
  skip: ({ state }) => OPEN.includes(state) || state === "NOT_STARTED",
  gate: ({ state }) => OPEN.includes(state),
  retry: ({ state, cutover_requests: sent }) => ["UNVERIFIED", "SKIPPED", "NOT_STARTED"].includes(state) || (state === "FAILED" && !sent),
};

// The request is refused as a whole where it changes nothing of one of them.
function ofMigrations(run, command, names) {
  const gone = names.filter((name) => {
    const row = run.rows[run.number(name)];
    return row && !MAY[command](row);
  });
  if (!gone.length) return "";
  const [name] = gone, { state, cutover_requests: sent } = run.rows[run.number(name)];
  if (gone.length > 1) return `There is nothing left to ${command} of ${plural(gone.length, "migration")} of these.`;
  if (state === "SKIPPED") return `${name} is skipped already${by(run, "skip", name)}.`;
  const stands = sent ? "its cutover has been requested" : FINAL.has(state) ? `it is ${STATES[state].word}` : "it has been taken up";
  return `There is nothing to ${command} of ${name} any more: ${stands}${command === "retry" ? by(run, "retry", name) : ""}.`;
}

function by(run, what, about) {
  const { who } = decision(run, what, about) ?? {};
  return who ? ` (${what} by ${who}${when(run, what, about)})` : "";
}

function when(run, what, about) {
  const { at } = decision(run, what, about) ?? {};
  return at == null ? "" : `, ${bothToday(at)}`;
}

function decision(run, what, about) {
  return run.decisions.newest.find((each) => each.what === what && each.about === about);
}
