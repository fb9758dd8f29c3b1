// The last events in words; of a large run the problems alone are worth reading.

import { arrange, byId, make, say, unbroken } from "./dom.js";
import { PROBLEM } from "./model.js";
import { now } from "./now.js";
import { clock, full, number, zoneName } from "./words.js";

const ERROR = 40;

export function logLines(run) {
  const drawn = new Map(); // by the event's number

  function draw() {
    const problems = byId("only-problems").checked;
    say(byId("log-zone"), `Times of day: ${zoneName(now())}`);
    say(byId("problems-count"), ` (${number(run.lines({ problems: true }).length)})`);
    const lines = run.lines({ problems });
    for (const seq of drawn.keys()) if (!lines.some((line) => line.seq === seq)) drawn.delete(seq);
    for (const line of lines) if (!drawn.has(line.seq)) drawn.set(line.seq, made(line));
    arrange(byId("log"), lines.map(({ seq }) => drawn.get(seq)));
    byId("log-none").hidden = lines.length > 0;
  }

  byId("only-problems").addEventListener("change", draw);
  return { draw };
}

function made({ level, at, event, about, text }) {
  return make("li", { class: level >= ERROR ? "error" : level >= PROBLEM ? "warning" : null },
    make("time", { datetime: new Date(at * 1000).toISOString(), title: full(at) }, clock(at)),
    make("span", { class: "event" }, event),
    make("span", { class: "text" }, about ? make("b", {}, about) : null, about ? " " : null, ...unbroken(text)));
}
