// What was asked of the run from this page, until the run has taken it up, or something else was decided first.

import { byId, say } from "./dom.js";
import { now } from "./now.js";
import { settled } from "./settled.js";
import { bothToday } from "./words.js";

export const EFFECT_WITHIN = 6000; // milliseconds after which a request that showed no effect may be made again
const TOLD_FOR = 60000; // milliseconds for which it stays there that one came to nothing

const SENT = "sent", ASKED = "asked", UNKNOWN = "unknown"; // no answer yet; left for the run; no answer came

export function requested(run) {
  let open = [];
  let error = ""; // why the last one was refused

  function sent(asking) {
    error = "";
    open = open.filter((each) => each.stands === SENT || keyOf(each.asking) !== keyOf(asking));
    const request = { asking, at: now(), since: Date.now(), decided: run.decisions.count, stands: SENT };
    open.push(request);
    return request;
  }

  // refused: why; lost: why no answer came, which does not say that the request did not come to the server.
  function answered(request, { refused, lost }) {
    if (refused) {
      error = refused;
      open = open.filter((each) => each !== request);
    }
    request.stands = lost ? UNKNOWN : ASKED;
    request.why = lost;
  }

  function draw() {
    const young = ({ stands, since }) => stands === ASKED && Date.now() - since < EFFECT_WITHIN;
    for (const request of open) {
      if (request.stands !== SENT && !isTakenUp(run, request)) request.vain ||= overtaken(run, request);
    }
    const isOver = (request) => isTakenUp(run, request) || Boolean(settled(run, request.asking));
    const isTold = ({ vain, since }) => vain && Date.now() - since < TOLD_FOR;
    open = open.filter((request) => request.stands === SENT || young(request) || isTold(request) || !isOver(request));
    const told = open.map((request) => {
      const { asking: { command }, at, stands, why, vain } = request;
      if (vain) return `${command} did nothing: ${vain}`;
      if (stands === SENT) return `${command}: sent, no answer yet.`;
      if (stands === UNKNOWN) return `${command}: no answer came (${why}): it may have been taken up. Look below.`;
      return young(request) ? `${command}: asked of the run.` : `${command}: asked ${bothToday(at)}, not taken up yet.`;
    });
    say(byId("answer"), [...told, error].filter(Boolean).join(" "));
    byId("answer").classList.toggle("failed", Boolean(error) || open.some(({ stands, vain }) => vain || stands === UNKNOWN));
    const waiting = open.filter(({ stands, vain }) => stands !== ASKED && !vain);
    const text = waiting.map(({ asking: { command }, at }) => `${command} was sent at ${bothToday(at)}, without an answer so far: it may have been taken up, or still be.`).join(" ");
    for (const element of document.querySelectorAll(".on-its-way")) say(element, text);
  }

  // Whether one of these is on its way: it is not sent twice.
  function isOnItsWay(key) {
    return open.some(({ asking, stands }) => stands === SENT && keyOf(asking) === key);
  }

  return { sent, answered, draw, isOnItsWay };
}

export function keyOf({ command, wave, migrations }) {
  return [command, wave ?? "", ...(migrations ?? [])].join(" ").trim();
}

// Why nothing came of it: something else was decided first. What no process takes up now is kept for the one that goes on.
function overtaken(run, { asking }) {
  return run.head.running ? settled(run, asking) : "";
}

// Decided since, by whomever.
function isTakenUp(run, { asking, decided }) {
  const { command, wave, migrations = [] } = asking;
  const { newest, count } = run.decisions;
  const isIt = ({ what, about }) => what.split(":")[0] === command
    && (wave ? about === `wave ${wave}` : !migrations.length || migrations.some((name) => about === name || about.split(/, | and /).includes(name)));
  return newest.slice(0, Math.max(0, count - decided)).some(isIt);
}
