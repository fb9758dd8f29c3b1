// All about one migration, in a dialog.

import { byId, chip, make, say } from "./dom.js";
import { now } from "./now.js";
import { FINAL, STATES, both, duration, number } from "./words.js";

// steer: called with the migration's job and row and the place for buttons that steer it.
export function showDetails(run, index, steer = () => {}) {
  const job = run.jobs[index], row = run.rows[index];
  const at = (time) => (time == null ? null : both(time));
  const facts = [
    ["State", chip(STATES[row.state])],
    ["Wave", run.head.waves[job.wave].name],
    ...Object.entries(job.vars),
    [FINAL.has(row.state) ? "Message" : "Note", run.message(row) || null],
    ["What to do", run.head.advice?.outcomes[row.state]],
    ["Status at Atlas", row.remote_status],
    ["Lag", row.lag_seconds == null ? null : duration(row.lag_seconds)],
    ["Gate, waiting since", at(row.gate_waiting_since)],
    ["Gate opened", at(row.gate_opened_at)],
    ["Cutover requested", at(row.requested_at)],
    ["Accepted by Atlas", at(row.accepted_at)],
    ["Ended", at(row.finished_at)],
    ["Verified", at(row.verified_at)],
    ["Cutover time", duration(run.cutoverSeconds(row, now())) || null],
    ["Downtime", duration(row.downtime_seconds) || null],
    ["Cutover requests", row.cutover_requests ? number(row.cutover_requests) : null],
    ["Reads", row.polls ? number(row.polls) : null],
    ["Project (group_id)", make("code", {}, job.group_id)],
    ["live_migration_id", make("code", {}, job.live_migration_id)],
  ];
  say(byId("details-title"), job.name);
  byId("details-list").replaceChildren(...facts.filter(([, value]) => value != null)
    .flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]));
  byId("details-steer").replaceChildren();
  steer(job, row, byId("details-steer"));
  byId("details").showModal();
}
