// The migrations on paper. A few are a table; thousands are lines, which a browser lays out in seconds where a table of them takes minutes.

import { make } from "./dom.js";
import { now } from "./now.js";
import { STATES, duration, failedHooks, full, number, reason } from "./words.js";

const IN_A_TABLE = 300; // migrations; more are lines
const LINE = 112; // characters that fit a line: print.css
const LINES_AT_ONCE = 200; // in one row, so that pages break between them
const COLUMNS = [["Migration", 34], ["Wave", 16], ["State", 15], ["At Atlas", 10], ["Requested", 24], ["Cutover", 8]];
const MESSAGE = 4; // columns by which a message is set in

// The migrations of these numbers. about: which of them these are, in words.
export function onPaper(run, indices, waveName, about) {
  const title = make("p", { class: "quiet" }, about);
  if (!indices.length) return [title];
  return [title, indices.length <= IN_A_TABLE ? table(run, indices, waveName) : lines(run, indices, waveName)];
}

// All where they are few or wanted, or what passes the filters; else those that are not as they should be.
export function forPaper(run, shown, { filtered, all }) {
  const of = `of ${number(run.rows.length)} migrations`;
  if (!run.whole) return [shown, `${number(shown.length)} ${of}: the most urgent ones. The others were being loaded when this was printed.`];
  if (filtered) return [shown, `${number(shown.length)} ${of}: those that pass the filters.`];
  if (all || shown.length <= IN_A_TABLE) return [shown, `All ${number(shown.length)} migrations.`];
  const problems = shown.filter((index) => run.rows[index].state !== "SUCCESS" || failedHooks(run.rows[index]).length);
  return [problems, `${number(problems.length)} ${of}: those without SUCCESS${problems.some((index) => failedHooks(run.rows[index]).length) ? ", or with a failed hook" : ""}. With “print all rows”, above the table on the screen, all are printed.`];
}

function table(run, indices, waveName) {
  return make("table", { class: "paper-table" },
    make("thead", {}, make("tr", {}, ...[...COLUMNS.map(([title]) => title), "Message"].map((title) => make("th", { scope: "col" }, title)))),
    make("tbody", {}, ...indices.map((index) => {
      const row = run.rows[index];
      return make("tr", {}, make("th", { scope: "row" }, run.jobs[index].name), make("td", {}, waveName(index)),
        make("td", { class: row.state === "SUCCESS" ? null : "problem-state" }, STATES[row.state].word), make("td", {}, row.remote_status || ""),
        make("td", {}, full(row.requested_at)), make("td", {}, duration(run.cutoverSeconds(row, now()))), make("td", {}, reason(run.message(row))));
    })));
}

function lines(run, indices, waveName) {
  const blocks = [];
  for (let first = 0; first < indices.length; first += LINES_AT_ONCE) {
    const text = indices.slice(first, first + LINES_AT_ONCE).map((index) => line(run, index, waveName)).join("\n");
    blocks.push(make("tr", {}, make("td", {}, make("pre", {}, text))));
  }
  const head = fitted(COLUMNS.map(([title]) => title));
  return make("table", { class: "paper-lines" }, make("thead", {}, make("tr", {}, make("th", {}, make("pre", {}, head)))),
    make("tbody", {}, ...blocks));
}

function line(run, index, waveName) {
  const row = run.rows[index], message = reason(run.message(row));
  const said = fitted([run.jobs[index].name, waveName(index), STATES[row.state].word, row.remote_status || "", full(row.requested_at),
    duration(run.cutoverSeconds(row, now()))]);
  return message ? `${said}\n${" ".repeat(MESSAGE)}${cut(message, LINE - MESSAGE)}` : said;
}

function fitted(cells) {
  return cells.map((cell, place) => {
    const shown = cut(cell, COLUMNS[place][1]);
    return shown + " ".repeat(COLUMNS[place][1] - columns(shown));
  }).join(" ").trimEnd();
}

// The text in so many columns, without its middle where it is longer: names differ at their ends.
function cut(text, most) {
  if (columns(text) <= most) return text;
  const characters = [...text];
  let head = "", tail = "";
  while (columns(head + characters[0]) <= most / 2) head += characters.shift();
  while (columns(head + characters.at(-1) + tail) < most) tail = characters.pop() + tail;
  return `${head}…${tail}`;
}

const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]/u;

// Two for an ideograph, none for a mark that is set on another character.
function columns(text) {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let count = 0;
  for (const character of text) count += /\p{M}/u.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return count;
}
