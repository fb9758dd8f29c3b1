// What was asked of the run from this page, until the run has taken it up: one that does not work any more never does.

import { byId, say } from "./dom.js";
import { now } from "./now.js";
import { settled } from "./settled.js";
import { bothToday } from "./words.js";

export const EFFECT_WITHIN = 6000; // milliseconds after which a request that showed no effect may be made again

export function requested(run) {
  let open = [];
  let error = ""; // why the last one was refused

  function sent(asking) {
    error = "";
    return { asking, at: now(), since: Date.now(), decided: run.decisions.count };
  }

  function answered(request, refused) {
    if (refused) error = refused;
    else open.push(request);
  }

  function draw() {
    const young = ({ since }) => Date.now() - since < EFFECT_WITHIN;
    open = open.filter((request) => young(request) || !isTakenUp(run, request));
    const told = open.map((request) => (young(request) ? `${request.asking.command}: asked of the run.`
      : `${request.asking.command}: asked ${bothToday(request.at)}, not taken up yet.`));
    say(byId("answer"), [...told, error].filter(Boolean).join(" "));
    byId("answer").classList.toggle("failed", Boolean(error));
  }

  return { sent, answered, draw };
}

// Decided since, by whomever, or nothing to decide any more.
function isTakenUp(run, { asking, decided }) {
  const { command, wave, migrations = [] } = asking;
  const { newest, count } = run.decisions;
  const isIt = ({ what, about }) => what.split(":")[0] === command
    && (wave ? about === `wave ${wave}` : !migrations.length || migrations.some((name) => about === name || about.split(/, | and /).includes(name)));
  return newest.slice(0, Math.max(0, count - decided)).some(isIt) || Boolean(settled(run, asking));
}
