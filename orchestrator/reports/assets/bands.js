// A band for each wave, for runs of more migrations than have a bar each: at each moment, how many of the wave had come to what. What went wrong lies
// at the bottom, and is as high as its share of the wave.

import { drawing } from "./dom.js";
import { shape } from "./textures.js";
import { FINAL, STATES, counts, number, plural } from "./words.js";

const LABEL = 20, HIGH = 40, GAP = 14; // pixels
const GATE = { tone: "gate" };
const GOES_ON = "CUTOVER"; // what stands for all that is between PUT and end

// bars: those of the wave that have begun; of: how many migrations the wave has; room: letters that a line may have. Returns its elements, its height, and `then`: what it had come to at a place.
export function band(wave, bars, { of, y, scale, room, narrow }) {
  let from = Infinity, to = -Infinity;
  for (const bar of bars) {
    from = Math.min(from, bar.from);
    to = Math.max(to, bar.to);
  }
  const left = Math.floor(scale.x(from)), columns = Math.max(2, Math.ceil(scale.x(to)) - left);
  const at = (time) => Math.min(columns - 1, Math.max(0, Math.floor(scale.x(time)) - left));
  const changes = {}; // by state, how many more are in it from each column on
  const move = (state, time, by) => {
    changes[state] ??= new Int32Array(columns);
    changes[state][at(time)] += by;
  };
  const came = {};
  for (const { row, from: began, to: ended } of bars) {
    came[row.state] = (came[row.state] || 0) + 1;
    move("GATE", began, 1);
    if (row.requested_at != null) {
      move("GATE", row.requested_at, -1);
      move(GOES_ON, row.requested_at, 1);
    }
    if (FINAL.has(row.state) && row.state !== "UNDER_WAY") {
      move(row.requested_at == null ? "GATE" : GOES_ON, ended, -1);
      move(row.state, ended, 1);
    }
  }
  const levels = {};
  for (const [state, change] of Object.entries(changes)) {
    let sum = 0;
    levels[state] = change.map((by) => (sum += by));
  }
  const states = stacked(levels), top = y + LABEL, base = new Float64Array(columns);
  const made = [drawing("rect", { class: "t-frame", x: left, y: top, width: columns, height: HIGH })];
  for (const state of states) {
    const lower = base.slice();
    levels[state].forEach((count, column) => (base[column] += (count / of) * HIGH));
    made.push(...shape(state === "GATE" ? GATE : STATES[state], outline(left, top + HIGH, lower, base)));
  }
  const name = shortened(wave.name, narrow ? 20 : 60);
  const words = narrow ? [failures(came), failed(came), plural(of, "migration")] : [`${plural(of, "migration")}: ${counts(came)}`, plural(of, "migration")];
  const label = drawing("text", { class: "t-wave", x: 4, y: y + 14 }, name);
  label.append(drawing("tspan", { class: "t-quiet t-light" }, `  ${words.find((text) => text && name.length + 2 + text.length <= room) ?? words.at(-1)}`));
  made.push(label);
  const then = (x) => {
    const column = Math.min(columns - 1, Math.max(0, Math.floor(x) - left));
    return states.filter((state) => levels[state][column]).map((state) => `${number(levels[state][column])} ${STATES[state].word}`).join(", ");
  };
  return { elements: made, height: LABEL + HIGH + GAP, then };
}

// The states of a band from the bottom up: the most urgent of what has ended, what is done, what goes on.
function stacked(levels) {
  const place = (state) => (state === "GATE" ? 30 : state === GOES_ON ? 20 : STATES[state].rank);
  return Object.keys(levels).sort((a, b) => place(a) - place(b));
}

const FAILURES = ["IN_DOUBT", "TIMED_OUT", "UNVERIFIED", "FAILED"];

function failures(came) {
  return counts(Object.fromEntries(FAILURES.filter((state) => came[state]).map((state) => [state, came[state]])));
}

// The same where there is no room for that.
function failed(came) {
  const all = FAILURES.reduce((sum, state) => sum + (came[state] || 0), 0);
  return all ? plural(all, "failure") : "";
}

// What is between two lines, column by column.
function outline(left, bottom, lower, upper) {
  const steps = [];
  for (let column = 0; column < upper.length; column++) {
    if (column && upper[column] === upper[column - 1] && lower[column] === lower[column - 1]) continue;
    steps.push([left + column, (bottom - upper[column]).toFixed(2), (bottom - lower[column]).toFixed(2)]);
  }
  const there = steps.map(([x, high], place) => (place ? `H${x}V${high}` : `M${x} ${high}`)).join("");
  const back = steps.reverse().map(([x, , low]) => `V${low}H${x}`).join("");
  return `${there}H${left + upper.length}${back}Z`;
}

export function shortened(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
