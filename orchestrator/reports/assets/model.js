// What a browser knows of one run (reports/shape.py): the snapshot, kept current by deltas, and the questions the views ask
// of it. Jobs and rows are objects with the names of report.json; times are Unix seconds here.

import { FINAL, failedHooks } from "./words.js";

const LOG_LINES = 200; // of all events, and of problems
export const PROBLEM = 30; // the level of a log line from which on it is one
const TIMES = /(^|_)(at|since|until|opens|closes|last_start)$/;

export class Run {
  head = null;
  jobs = []; // by number, as are the rows: those that have not come yet are holes
  rows = [];
  whole = true; // whether each migration's row has come: of a large run those that are seen first come before the others
  log = [];
  needs = []; // what waits for a person, the most urgent first
  decisions = { count: 0, newest: [] }; // how much people have decided, and the last of it
  #columns = null;

  takeSnapshot({ columns, head, needs, decisions, jobs, rows, log }) {
    this.#columns = columns;
    this.head = withTimes(head);
    const count = (head.waves || []).reduce((sum, { migrations }) => sum + migrations, 0);
    this.jobs = new Array(count);
    this.rows = new Array(count);
    rows.forEach(([number, ...row], place) => {
      this.jobs[number] = named(columns.job, jobs[place]);
      this.rows[number] = named(columns.row, row);
    });
    this.whole = rows.length === count;
    this.log = withTimes(log);
    this.needs = withTimes(needs);
    if (decisions) this.decisions = withTimes(decisions); // a report has its own table of them
  }

  takeDelta({ head, needs, decisions, rows, log }) {
    this.head = { points: this.head.points, ...withTimes(head) };
    if (needs) this.needs = withTimes(needs);
    if (decisions) this.decisions = withTimes(decisions);
    for (const [number, ...row] of rows) this.rows[number] = named(this.#columns.row, row);
    if (log.length) this.#keep([...this.log, ...withTimes(log)]);
  }

  #keep(lines) {
    const problems = lines.filter(({ level }) => level >= PROBLEM);
    const kept = new Set([...lines.slice(-LOG_LINES), ...problems.slice(-LOG_LINES)]);
    this.log = lines.filter((line) => kept.has(line));
  }

  // The newest lines first.
  lines({ problems }) {
    return (problems ? this.log.filter(({ level }) => level >= PROBLEM) : this.log).slice(-LOG_LINES).reverse();
  }

  get missing() {
    return Boolean(this.head.missing);
  }

  // How many migrations stand where.
  states() {
    const states = {};
    for (const { states: its } of this.head.waves) for (const state of Object.keys(its)) states[state] = (states[state] || 0) + its[state];
    return states;
  }

  // The migrations by where they are, seen from the point of no return: [{side, point, names, what_is_right}], as in the report.
  sides() {
    const found = Object.entries(this.head.points || {}).map(([point, { side, what_is_right }]) => ({ side, point, what_is_right, names: [] }));
    const byPoint = Object.fromEntries(found.map((each) => [each.point, each]));
    this.rows.forEach(({ point }, index) => byPoint[point]?.names.push(this.jobs[index].name));
    return found.filter(({ names }) => names.length);
  }

  // RUNNING, what it waits for (SILENT, CONFIRMATION, APPROVAL, PAUSED, WINDOW), INTERRUPTED, or the outcome.
  outcome() {
    const { running, silent, paused, outcome, stopped, opening, unconfirmed_since: unconfirmed } = this.head;
    if (!running) return outcome || "INTERRUPTED";
    if (silent) return "SILENT";
    if (stopped) return "RUNNING";
    if (unconfirmed != null) return "CONFIRMATION";
    if (this.waitingForApproval().length) return "APPROVAL";
    if (paused) return "PAUSED";
    return opening?.opens != null ? "WINDOW" : "RUNNING";
  }

  // Waves that wait for somebody, now.
  waitingForApproval() {
    const { running, stopped, waves } = this.head;
    if (!running || stopped) return [];
    return waves.filter((wave) => wave.approval_since != null && wave.approved_by == null && !wave.rejected_by);
  }

  // Whether more may happen to the migration of this row.
  goesOn(row) {
    return this.head.running && !FINAL.has(row.state);
  }

  // The cutover time, or what it is so far at `now`.
  cutoverSeconds(row, now) {
    if (row.cutover_seconds != null) return row.cutover_seconds;
    return row.requested_at != null && this.goesOn(row) ? Math.max(0, now - row.requested_at) : null;
  }

  // Why the migration of this row stands as it does, with the requests that it names.
  message(row) {
    const hooks = failedHooks(row).map(({ hook, ended }) => `hook ${hook} failed: ${ended}`);
    return [row.error_message || row.note, ...(row.error_message ? [] : hooks)].filter(Boolean).join("; ");
  }

  // The number of the migration of this name; -1: there is none.
  number(name) {
    return this.jobs.findIndex((job) => job?.name === name);
  }
}

function named(names, values) {
  const object = {};
  names.forEach((name, place) => {
    object[name] = isTime(name, values[place]) ? Date.parse(values[place]) / 1000 : values[place];
  });
  return object;
}

// The same, at any depth, with its times as Unix seconds.
export function withTimes(value) {
  if (Array.isArray(value)) return value.map(withTimes);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) =>
    [name, isTime(name, inner) ? Date.parse(inner) / 1000 : withTimes(inner)]));
}

function isTime(name, value) {
  return typeof value === "string" && TIMES.test(name);
}
