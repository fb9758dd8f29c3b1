// What the page knows of one run: the snapshot, kept current by deltas, and the questions the views ask of it.

import { FINAL } from "./words.js";

// Places in a row: view.ROW, after the state.
export const STATE = 0, REMOTE = 1, LAG = 2, NOTE = 3, GATE_SINCE = 4, GATE_OPENED = 5, REQUESTED = 6, ACCEPTED = 7,
  FINISHED = 8, REQUESTS = 9;
// Places in a job: view.job.
export const NAME = 0, WAVE = 1, GROUP = 2, LIVE = 3, VARS = 4;

const LOG_LINES = 200;

export class Run {
  head = null;
  jobs = [];
  rows = [];
  log = [];

  takeSnapshot({ head, jobs, rows, log }) {
    this.head = head;
    this.jobs = jobs;
    this.rows = rows.map(([, ...row]) => row);
    this.log = log;
  }

  takeDelta({ head, rows, log }) {
    this.head = head;
    for (const [number, ...row] of rows) this.rows[number] = row;
    if (log.length) this.log = [...this.log, ...log].slice(-LOG_LINES);
  }

  get missing() {
    return Boolean(this.head.missing);
  }

  // How many migrations stand where.
  counts() {
    const counts = {};
    for (const row of this.rows) counts[row[STATE]] = (counts[row[STATE]] || 0) + 1;
    return counts;
  }

  // RUNNING, PAUSED, INTERRUPTED, or the outcome.
  outcome() {
    const { running, paused, outcome, stopped } = this.head;
    if (running) return paused && !stopped ? "PAUSED" : "RUNNING";
    return outcome || "INTERRUPTED";
  }

  // Waves that wait for somebody, now.
  waitingForApproval() {
    const { running, stopped, waves } = this.head;
    if (!running || stopped) return [];
    return waves.filter((wave) => wave.approval_since != null && wave.approved_by == null);
  }

  // Seconds from the PUT to the end, or to `now`.
  cutoverSeconds(row, now) {
    if (row[REQUESTED] == null) return null;
    if (row[FINISHED] != null) return row[FINISHED] - row[REQUESTED];
    return this.head.running && !FINAL.has(row[STATE]) ? Math.max(0, now - row[REQUESTED]) : null;
  }
}
