// What the run waits for, and the buttons that steer it.

import { confirmed, questionKnows, redrawQuestion } from "./confirm.js";
import { copyable } from "./copy.js";
import { byId, coded, make, renew, say, sayEach } from "./dom.js";
import { key } from "./key.js";
import { needs } from "./needs.js";
import { asOf, now } from "./now.js";
import { EFFECT_WITHIN, keyOf, requested } from "./requests.js";
import { about, aboutBoth, both, duration, number, plural, waveNamed } from "./words.js";

const ANSWER_WITHIN = 30_000; // milliseconds after which no answer is waited for: the server refuses by then what comes to it

export function controls(run, runId) {
  const asked = new Map(); // what was asked for, and when
  const refused = new Map(); // what was typed with a request that was refused
  const requests = requested(run);
  const waiting = needs(run, buttons);

  for (const command of ["pause", "unpause", "abort"]) {
    byId(command).addEventListener("click", () => ask({ command }));
  }

  const may = document.querySelector("meta[name=role]").content === "steer";
  let knows = false; // whether what is shown is so now
  let instead = ""; // the commands that are shown in place of buttons

  function draw(now) {
    const { head } = run;
    const reason = whyNot(head);
    renew(byId("reason"), ...coded(reason));
    byId("reason").hidden = !reason || !knows;
    byId("buttons").hidden = !knows || !may;
    drawCommands(knows && may ? [] : commands(run, runId));
    say(byId("why-instead"), knows ? "Your token allows viewing, not steering." : "The buttons are off until there is news.");
    button(byId("pause"), { hidden: Boolean(head.paused), off: reason || pending("pause") });
    button(byId("unpause"), { hidden: !head.paused, off: reason || pending("unpause") });
    button(byId("abort"), { hidden: false, off: reason || pending("abort") });
    for (const id of ["pause", "unpause", "abort"]) {
      if (reason) byId(id).setAttribute("aria-describedby", "reason");
      else byId(id).removeAttribute("aria-describedby");
    }
    waiting.draw(now, knows && may);
    sayEach(byId("notices"), notices(run, now));
    requests.draw();
    if (knows) redrawQuestion();
  }

  function fresh(it) {
    knows = it;
    questionKnows(it);
  }

  // What to type in place of the buttons, which would reach nobody, or a run that stands otherwise than it seems.
  function drawCommands(list) {
    if (instead === list.join("\n")) return;
    instead = list.join("\n");
    byId("commands").replaceChildren(...list.map((command) => make("li", {}, copyable(command))));
    byId("instead").hidden = !list.length;
  }

  // What somebody can do here about what waits for them.
  function buttons(need, place, knows) {
    const list = answers(need), keys = list.map(([asking]) => keyOf(asking)).join("\n");
    if (place.dataset.keys !== keys) {
      place.dataset.keys = keys;
      place.replaceChildren(...list.map(([asking, text, look]) =>
        make("button", { type: "button", class: look, "data-key": keyOf(asking), onclick: () => ask(asking) }, `${text} …`)));
    }
    for (const element of place.children) button(element, { hidden: !knows || !run.head.running, off: pending(element.dataset.key) });
  }

  function answers({ kind, wave, about, count, command }) {
    const names = about.map(({ name }) => name);
    if (kind === "APPROVAL") return [[{ command: "reject", wave }, `Reject ${waveNamed(wave)}`, ""], [{ command: "approve", wave }, `Approve ${waveNamed(wave)}`, "primary"]];
    if (kind === "PAUSE") return [[{ command: "unpause" }, "Unpause", ""]];
    const again = command?.startsWith("atlas-cutover retry") && count === names.length;
    return again ? [[{ command: "retry", migrations: names }, kind === "UNVERIFIED" ? "Verify again" : "Retry", ""]] : [];
  }

  // What steers one migration, in its details: buttons, or the commands in their place.
  function migration(job, row, place) {
    const open = ["WAITING", "GATE", "READY"].includes(row.state);
    const again = row.state === "UNVERIFIED" || (row.state === "FAILED" && !row.cutover_requests) || row.state === "SKIPPED" || (row.state === "NOT_STARTED" && !run.head.stopped);
    const goes = run.head.running && !run.head.aborted_by;
    const presses = knows && may;
    const verbs = goes ? [...(open ? ["gate", "skip"] : []), ...(again ? ["retry"] : [])] : [];
    const known = [presses, job.name, ...verbs].join(" ");
    if (place.dataset.known === known && place.childElementCount === verbs.length) return;
    place.dataset.known = known;
    const words = { gate: "Change gate …", skip: "Skip …", retry: row.state === "UNVERIFIED" ? "Verify again …" : "Retry …" };
    const more = { gate: " --max-lag DURATION" }; // which nobody but the reader knows: the command refuses the word
    place.replaceChildren(...verbs.map((command) => (presses ? make("button", { type: "button", onclick() {
      byId("details").close();
      ask({ command, migrations: [job.name] });
    } }, words[command]) : copyable(typed(runId, command, [job.name], more[command])))));
  }

  function pending(key) {
    return requests.isOnItsWay(key) || Date.now() - (asked.get(key) ?? -Infinity) < EFFECT_WITHIN;
  }

  async function ask(asking) {
    const given = await confirmed(run, asking, refused.get(keyOf(asking)));
    if (!given) return;
    const key = keyOf(asking);
    asked.set(key, Date.now());
    const request = requests.sent(asking);
    draw(now());
    const answer = await send(runId, { ...asking, ...given });
    if (answer.refused || answer.lost) {
      asked.delete(key);
      refused.set(key, given);
    } else refused.delete(key);
    requests.answered(request, answer);
    draw(now());
    setTimeout(() => draw(now()), EFFECT_WITHIN);
  }

  return { draw, fresh, migration };
}

// A command, as it is to be typed.
function typed(runId, verb, names = [], more = "") {
  const options = `${more}${document.querySelector("meta[name=options]").content}`;
  const told = names.map((name) => ` ${quoted(name)}`).join("");
  const marked = names.some((name) => name.startsWith("-")); // which would be taken for options
  return `atlas-cutover ${verb} ${runId}${marked ? `${options} --${told}` : `${told}${options}`}`;
}

function commands(run, runId) {
  const { head } = run;
  const command = (verb, ...names) => typed(runId, verb, names);
  const steer = !head.running ? [] : [
    ...run.waitingForApproval().map((wave) => command("approve", wave.name)),
    head.paused ? command("unpause") : command("pause"),
    command("abort"),
  ];
  return [command("status"), ...steer];
}

// For a shell.
function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

function button(element, { hidden, off }) {
  const disabled = Boolean(off);
  if (element.hidden !== hidden) element.hidden = hidden;
  if (element.disabled !== disabled) element.disabled = disabled;
}

// Why no button works; empty where they do.
function whyNot(head) {
  if (head.running) return head.aborted_by ? `Aborted by ${head.aborted_by}.` : "";
  const { command, condition } = head.advice;
  if (!command) return "This run is over.";
  return `No process works on this run now, so there is nothing to steer. Continue with: \`${command}\`${condition ? ` (${condition})` : ""}`;
}

// What is good to know, and asks nothing of anybody.
function notices(run, now) {
  const { head } = run;
  if (!head.running) return [];
  const list = [];
  if (head.opening?.opens != null) {
    list.push(`The window opens ${both(head.opening.opens)}, in ${duration(head.opening.opens - now)}.`);
  } else if (head.opening && !head.stopped && head.opening.closes > now) {
    list.push(`The window closes ${both(head.opening.closes)}, in ${duration(head.opening.closes - now)}.`);
  }
  if (head.last_start > now) list.push(`The last moment at which a cutover may start: ${both(head.last_start)}, in ${duration(head.last_start - now)}.`);
  for (const { wave, ends, since, left } of head.silent ? [] : head.paces) {
    const end = now + (left * (now - since)) / ends; // as core/estimate.py: the later, the longer no other ends
    if (now > since) list.push(`${waveNamed(wave).replace(/^w/, "W")} ends about ${aboutBoth(end)}, in ${about(end - now)}, at the pace of the last ${number(ends + 1)} of it that ended${head.opening?.closes < end ? ": after the window has closed" : ""}.`);
  }
  const gated = run.rows.filter((row) => row.state === "GATE");
  if (gated.length && run.whole && !head.stopped) {
    const oldest = Math.min(...gated.map((row) => row.gate_waiting_since ?? now));
    list.push(`${plural(gated.length, "migration")} ${gated.length === 1 ? "waits" : "wait"} at the gate, the first for ${duration(now - oldest)}.`);
  }
  return list;
}

// Why it was refused, or why no answer came, which does not say that the request did not; neither where it was left for the run. With it goes
// when what is on the page was so: one that is long on its way starts nothing.
async function send(runId, { command, ...body }) {
  const meta = (name) => document.querySelector(`meta[name=${name}]`).content;
  const waiting = new AbortController();
  const over = setTimeout(() => waiting.abort(new Error(`within ${duration(ANSWER_WITHIN / 1000)}`)), ANSWER_WITHIN);
  try {
    const answer = await fetch(`/api/runs/${encodeURIComponent(runId)}/${command}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", [meta("key-header")]: key() },
      body: JSON.stringify({ ...body, as_of: asOf() }),
      signal: waiting.signal,
    });
    return answer.ok ? {} : { refused: `${command} was refused: ${(await answer.json()).error}` };
  } catch (error) {
    return { lost: error.message };
  } finally {
    clearTimeout(over);
  }
}
