// What the run waits for, and the buttons that steer it.

import { copyable } from "./copy.js";
import { byId, make, say } from "./dom.js";
import { needs } from "./needs.js";
import { now } from "./now.js";
import { both, duration, plural } from "./words.js";

const EFFECT_WITHIN = 6000; // milliseconds after which a request that showed no effect may be made again

export function controls(run, runId) {
  const asked = new Map(); // what was asked for, and when
  const waiting = needs(run, document.querySelector("meta[name=options]").content, buttons);

  for (const command of ["pause", "unpause", "abort"]) {
    byId(command).addEventListener("click", () => ask(command));
  }

  let knows = false; // whether what is shown is so now
  let typed = ""; // the commands that are shown in place of buttons

  function draw(now) {
    const { head } = run;
    const reason = whyNot(head);
    say(byId("reason"), reason);
    byId("reason").hidden = !reason || !knows;
    byId("buttons").hidden = !knows;
    drawCommands(knows ? [] : commands(run, runId));
    button(byId("pause"), { hidden: Boolean(head.paused), off: reason || pending("pause") });
    button(byId("unpause"), { hidden: !head.paused, off: reason || pending("unpause") });
    button(byId("abort"), { hidden: false, off: reason || pending("abort") });
    for (const id of ["pause", "unpause", "abort"]) {
      if (reason) byId(id).setAttribute("aria-describedby", "reason");
      else byId(id).removeAttribute("aria-describedby");
    }
    waiting.draw(now, knows);
    drawNotices(notices(run, now));
  }

  function fresh(it) {
    knows = it;
    if (!knows && byId("confirm").open) byId("confirm").close("no");
  }

  // What to type in place of the buttons, which would reach nobody, or a run that stands otherwise than it seems.
  function drawCommands(list) {
    if (typed === list.join("\n")) return;
    typed = list.join("\n");
    byId("commands").replaceChildren(...list.map((command) => make("li", {}, copyable(command))));
    byId("instead").hidden = !list.length;
  }

  // What somebody can do about it here.
  function buttons(need, place, knows) {
    if (need.kind === "APPROVAL") {
      if (!place.firstChild) {
        place.append(make("button", { type: "button", class: "primary", onclick: () => ask("approve", need.wave) }, `Approve ${need.wave} …`));
      }
      button(place.firstChild, { hidden: !knows, off: pending(`approve ${need.wave}`) });
    }
  }

  function pending(key) {
    return Date.now() - (asked.get(key) ?? -Infinity) < EFFECT_WITHIN;
  }

  async function ask(command, wave = null) {
    if (!(await confirmed(run, command, wave))) return;
    const key = wave ? `approve ${wave}` : command;
    asked.set(key, Date.now());
    draw(now());
    const error = await send(runId, command, wave);
    if (error) asked.delete(key);
    say(byId("answer"), error || `${command}: asked of the run.`);
    byId("answer").classList.toggle("failed", Boolean(error));
    draw(now());
    setTimeout(() => {
      if (!error) say(byId("answer"), "");
      draw(now());
    }, EFFECT_WITHIN);
  }

  return { draw, fresh };
}

function commands(run, runId) {
  const { head } = run;
  const given = document.querySelector("meta[name=options]").content;
  const command = (verb, ...names) => `atlas-cutover ${verb} ${[runId, ...names.map(quoted)].join(" ")}${given}`;
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
  return `No process works on this run now, so there is nothing to steer. Continue with: ${command}${condition ? ` (${condition})` : ""}`;
}

// What is good to know, and asks nothing of anybody.
function notices(run, now) {
  const { head } = run;
  if (!head.running) return [];
  const list = [];
  if (head.opening?.opens != null) {
    list.push(`The window opens ${both(head.opening.opens)}, in ${duration(head.opening.opens - now)}.`);
  } else if (head.opening && !head.stopped && head.opening.closes > now) {
    const { closes, last_start: last } = head.opening;
    const starts = last < closes && last > now ? `Cutovers may start until ${both(last)}, for ${duration(last - now)}. ` : "";
    list.push(`${starts}The window closes ${both(closes)}, in ${duration(closes - now)}.`);
  }
  const gated = run.rows.filter((row) => row.state === "GATE");
  if (gated.length && !head.stopped) {
    const oldest = Math.min(...gated.map((row) => row.gate_waiting_since ?? now));
    list.push(`${plural(gated.length, "migration")} ${gated.length === 1 ? "waits" : "wait"} at the gate, the first for ${duration(now - oldest)}.`);
  }
  return list;
}

function drawNotices(list) {
  const items = byId("notices").children;
  while (items.length > list.length) items[items.length - 1].remove();
  while (items.length < list.length) byId("notices").append(make("li"));
  list.forEach((text, place) => say(items[place], text));
}

function question(run, command, wave) {
  const { head } = run;
  const where = head.rehearsal ? "in this rehearsal" : `of run ${head.run_id}`;
  const final = head.rehearsal ? "Nothing is cut over at Atlas." : "A cutover cannot be undone.";
  const underWay = run.rows.filter((row) => ["REQUESTED", "CUTOVER", "DOUBT"].includes(row.state)).length;
  const followed = underWay
    ? `${plural(underWay, "cutover")} under way ${underWay === 1 ? "is" : "are"} followed to ${underWay === 1 ? "its" : "their"} end.`
    : "No cutover is under way.";
  switch (command) {
    case "approve": {
      const { migrations } = head.waves.find(({ name }) => name === wave);
      return [`Approve wave ${wave}?`, `Its ${plural(migrations, "migration")} ${where} will be cut over. ${final}`, `Approve ${wave}`];
    }
    case "pause":
      return ["Pause the run?", `No new cutover ${where} starts until somebody unpauses it. ${followed}`, "Pause"];
    case "unpause":
      return ["Unpause the run?", `Cutovers ${where} start again. ${final}`, "Unpause"];
    default:
      return ["Abort the run?", `No further cutover ${where} starts, now or later: the rest of the run is over. ${followed} This cannot be undone.`, "Abort the run"];
  }
}

function confirmed(run, command, wave) {
  const [title, text, yes] = question(run, command, wave);
  const dialog = byId("confirm");
  say(byId("confirm-title"), title);
  say(byId("confirm-text"), text);
  say(byId("confirm-yes"), yes);
  byId("confirm-yes").className = command === "abort" ? "danger solid" : "primary";
  dialog.returnValue = "no";
  dialog.showModal();
  byId(command === "abort" ? "confirm-no" : "confirm-yes").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

// What went wrong; null where the request was left for the run.
async function send(runId, command, wave) {
  const meta = (name) => document.querySelector(`meta[name=${name}]`).content;
  try {
    const answer = await fetch(`/api/runs/${encodeURIComponent(runId)}/${command}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", [meta("csrf-header")]: meta("csrf-token") },
      body: JSON.stringify(wave ? { wave } : {}),
    });
    if (answer.ok) return null;
    return `${command} was refused: ${(await answer.json()).error}`;
  } catch (error) {
    return `${command} did not reach the page's server: ${error.message}`;
  }
}
