// How things are said: states, times, durations. No document here.

import { now } from "./now.js";

// What a migration's state is called, its picture, its sign where there is no room for one, and its colour: states are
// never told by colour alone. The words are those of core/standing.py.
export const STATES = {
  IN_DOUBT: { word: "IN_DOUBT", icon: "IN_DOUBT", sign: "?", tone: "doubt", rank: 0 },
  FAILED: { word: "FAILED", icon: "FAILED", sign: "✕", tone: "failed", rank: 3 },
  UNVERIFIED: { word: "UNVERIFIED", icon: "UNVERIFIED", sign: "≠", tone: "failed", rank: 2 },
  TIMED_OUT: { word: "TIMED_OUT", icon: "TIMED_OUT", sign: "!", tone: "late", rank: 1 },
  UNDER_WAY: { word: "UNDER_WAY", icon: "ACTIVE", sign: "▶", tone: "active", rank: 0.5 },
  DOUBT: { word: "answer lost", icon: "IN_DOUBT", sign: "?", tone: "doubt", rank: 4 },
  CUTOVER: { word: "cutting over", icon: "ACTIVE", sign: "▶", tone: "active", rank: 5 },
  REQUESTED: { word: "requested", icon: "REQUESTED", sign: "▷", tone: "active", rank: 6 },
  VERIFYING: { word: "being verified", icon: "ACTIVE", sign: "▷", tone: "active", rank: 6.5 },
  READY: { word: "ready", icon: "READY", sign: "◆", tone: "gate", rank: 7 },
  GATE: { word: "at the gate", icon: "GATE", sign: "◇", tone: "gate", rank: 8 },
  WAITING: { word: "not yet", icon: "WAITING", sign: "·", tone: "idle", rank: 9 },
  SKIPPED: { word: "skipped", icon: "NOT_STARTED", sign: "–", tone: "idle", rank: 9.5 },
  NOT_STARTED: { word: "NOT_STARTED", icon: "NOT_STARTED", sign: "–", tone: "idle", rank: 10 },
  SUCCESS: { word: "SUCCESS", icon: "SUCCESS", sign: "✓", tone: "success", rank: 11 },
};

export const FINAL = new Set(["SUCCESS", "FAILED", "UNVERIFIED", "TIMED_OUT", "NOT_STARTED", "IN_DOUBT", "UNDER_WAY", "SKIPPED"]);

export const HOOK_FAILED = { word: "hook failed", icon: "FAILED", tone: "failed", rank: 3.5 };

// Those of a migration's hooks that failed and have not ended better since.
export function failedHooks(row) {
  return row.failed_hooks || [];
}

// The most urgent first: one of which a hook failed is so, however well it was cut over.
export function urgency(row) {
  return Math.min(STATES[row.state].rank, failedHooks(row).length ? HOOK_FAILED.rank : Infinity);
}

export const RUN_OUTCOMES = {
  RUNNING: { word: "under way", icon: "ACTIVE", sign: "▶", tone: "active" },
  CONFIRMATION: { word: "waits to be confirmed", icon: "PERSON", sign: "●", tone: "waits" },
  APPROVAL: { word: "waits for approval", icon: "PERSON", sign: "●", tone: "waits" },
  PAUSED: { word: "paused", icon: "PAUSED", sign: "‖", tone: "waits" },
  WINDOW: { word: "window not open yet", icon: "WAITING", sign: "…", tone: "idle" },
  SILENT: { word: "no sign of life", icon: "INTERRUPTED", sign: "!", tone: "late" },
  INTERRUPTED: { word: "interrupted", icon: "INTERRUPTED", sign: "!", tone: "late" },
  SUCCESS: STATES.SUCCESS,
  FAILED: STATES.FAILED,
  INCOMPLETE: { word: "INCOMPLETE", icon: "INCOMPLETE", sign: "–", tone: "idle" },
  IN_DOUBT: STATES.IN_DOUBT,
};

let zone; // undefined: the reader's own
let formats = made();

function made() {
  const format = (options) => new Intl.DateTimeFormat(zone === "UTC" ? "en-CA" : undefined, { timeZone: zone, ...options });
  return {
    day: zone === "UTC" ? format({ dateStyle: "short" }) : format({ weekday: "short", day: "numeric", month: "short" }),
    time: format({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
    zone: format({ timeZoneName: "short" }),
  };
}

// Shows all times in this zone from now on; UTC as 2026-11-28 01:00:00 UTC, as the text of a report has them.
export function useZone(name) {
  zone = name;
  formats = made();
}

// How far a time of day is from UTC there, in seconds.
export function zoneOffset(at) {
  return zone === "UTC" ? 0 : new Date(at * 1000).getTimezoneOffset() * 60;
}

export function clock(at) {
  return at == null ? "" : formats.time.format(at * 1000);
}

// With the day where it is not today.
export function moment(at) {
  if (at == null) return "";
  const today = formats.day.format(at * 1000) === formats.day.format(now() * 1000);
  return today ? clock(at) : `${formats.day.format(at * 1000)}, ${clock(at)}`;
}

export function full(at) {
  if (at == null) return "";
  const name = formats.zone.formatToParts(at * 1000).find((part) => part.type === "timeZoneName");
  return `${formats.day.format(at * 1000)} ${clock(at)} ${name ? name.value : ""}`.trim();
}

// In the reader's zone and in UTC, both named: what a log says in UTC is found, and nobody reckons at night.
export function both(at) {
  if (at == null) return "";
  if (zoneOffset(at) === 0) return `${formats.day.format(at * 1000)} ${clock(at)} UTC`;
  return `${full(at)} (${new Date(at * 1000).toISOString().slice(11, 19)} UTC)`;
}

// The same where it is so today, without the day: for what has just been.
export function bothToday(at) {
  if (at == null || formats.day.format(at * 1000) !== formats.day.format(now() * 1000)) return both(at);
  if (zoneOffset(at) === 0) return `${clock(at)} UTC`;
  return `${clock(at)} ${zoneName(at)} (${new Date(at * 1000).toISOString().slice(11, 19)} UTC)`;
}

export function sentence(text) {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

// What becomes of an approval that nobody gives until then; what holds the run otherwise keeps it from that.
export function expiry(until) {
  const left = until - now();
  return left > 0 ? `counts as rejected at ${bothToday(until)}, in ${duration(left)}`
    : `its time was over at ${bothToday(until)}: counts as rejected as soon as nothing else holds the run`;
}

// What is not known to a second: to a minute.
export function aboutBoth(at) {
  return bothToday(60 * Math.round(at / 60)).replace(/(\d\d:\d\d):00/g, "$1");
}

// How long that is: to a minute, or to ten seconds.
export function about(seconds) {
  const step = seconds >= 100 ? 60 : 10;
  return duration(Math.max(step, step * Math.round(seconds / step)));
}

// The zone in which times of day are shown, at a time.
export function zoneName(at) {
  if (zoneOffset(at) === 0) return "UTC";
  return formats.zone.formatToParts(at * 1000).find((part) => part.type === "timeZoneName")?.value || "";
}

// As `rough_duration` in text/durations.py: "8.1s", "47s", "4m5s", "2h3m", "3d1h".
export function duration(seconds) {
  if (seconds == null) return "";
  if (seconds < 9.95) return `${Math.max(0, Math.floor(seconds * 10 + 0.5) / 10)}s`;
  const whole = Math.floor(seconds + 0.5);
  const smallest = whole >= 86400 ? 3600 : whole >= 3600 ? 60 : 1;
  let rest = Math.floor(whole / smallest) * smallest;
  let text = "";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]) {
    if (rest >= size) text += `${Math.floor(rest / size)}${unit}`;
    rest %= size;
  }
  return text;
}

export function number(value) {
  return value.toLocaleString();
}

export function plural(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

// `{CUTOVER: 3, SUCCESS: 2}` as "3 cutting over, 2 SUCCESS", the most urgent first.
export function counts(byState) {
  return order(byState).map((state) => `${number(byState[state])} ${STATES[state].word}`).join(", ");
}

export function order(byState) {
  return Object.keys(byState).filter((state) => byState[state]).sort((a, b) => STATES[a].rank - STATES[b].rank);
}

// A wave by its name: "wave rest", "wave-06".
export function waveNamed(name) {
  return /^wave\b|^wave\d/i.test(name) ? name : `wave ${name}`;
}

// The failures of a wave against what it may have: "4 of 6 failures used, 3 more stop the run".
export function budgetInWords({ max_failures: most, failures, migrations }) {
  const are = plural(failures, "failure");
  if (most == null || most >= migrations) return `${are}, no limit`;
  if (!most && !failures) return "no failure allowed: the first one stops the run";
  const left = most + 1 - failures;
  if (left <= 0) return `${are}, ${number(most)} allowed: the run starts nothing more`;
  return `${number(failures)} of ${plural(most, "failure")} used, ${number(left)} more ${left === 1 ? "stops" : "stop"} the run`;
}

const REQUEST = /\b(?:GET|PUT|POST|PATCH|DELETE) \/[^\s:,;)]*/g;

// `PUT /api/…/cutover: 409 CANNOT_CUTOVER: …` begins with what is the same for all of a wave: why it is so, without the requests.
export function reason(message) {
  const rest = (message || "").replace(new RegExp(`${REQUEST.source}(?:: )?`, "g"), "").replace(/\s*\(\s*\)/g, "").trim();
  return rest || message || "";
}

// The requests that it names.
export function requests(message) {
  return [...new Set((message || "").match(REQUEST) || [])];
}

// Names, with the number of those that are not shown.
export function listed(names, most = 5) {
  return names.length <= most + 1 ? names.join(", ") : `${names.slice(0, most).join(", ")} and ${number(names.length - most)} more`;
}
