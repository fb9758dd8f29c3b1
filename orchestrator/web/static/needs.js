// What waits for a person, first on the page: what happened, to which, what to do, and the command.

import { copyButton, copyable, copyableId } from "./copy.js";
import { byId, coded, icon, make, renew, say } from "./dom.js";
import { STATES, bothToday, duration, expiry, number, reason, requests, sentence } from "./words.js";

const AT_MOST = 6; // shown; the others with a click, but for what a person lets go on: those have the buttons that the run waits for
const WAITS = new Set(["SILENT", "CONFIRMATION", "APPROVAL", "PAUSE"]);
const IDS_SHOWN = 3; // more of them only with a click
export const LOOKS = {
  ...STATES,
  UNDER_WAY: { ...STATES.UNDER_WAY, word: "UNDER_WAY, followed by nobody", short: "UNDER_WAY" },
  NOT_STARTED: { ...STATES.NOT_STARTED, word: "NOT_STARTED, maybe cut over by somebody else", short: "NOT_STARTED", tone: "late" },
  SILENT: { word: "No sign of life", short: "without a sign of life", icon: "INTERRUPTED", tone: "failed" },
  INTERRUPTED: { word: "Interrupted", short: "interruption", icon: "INTERRUPTED", tone: "late" },
  EVENTS_MISSING: { word: "Events are missing", short: "missing events", icon: "FAILED", tone: "failed" },
  HOOK: { word: "Hook failed", short: "failed hook", icon: "FAILED", tone: "failed" },
  NOT_RUN: { word: "Hooks not run", short: "hooks not run", icon: "FAILED", tone: "failed" },
  UNAPPROVED: { word: "Not approved in time", short: "not approved in time", icon: "TIMED_OUT", tone: "late" },
  CONFIRMATION: { word: "Waits to be confirmed", short: "confirmation", icon: "PERSON", tone: "waits" },
  APPROVAL: { word: "Waits for approval", short: "approval", icon: "PERSON", tone: "waits" },
  PAUSE: { word: "Paused", short: "pause", icon: "PAUSED", tone: "waits" },
};

// buttons: called with a need and whether the page knows that it is so; the buttons that do something about it.
export function needs(run, buttons) {
  const items = new Map(); // by what they are about: text that is marked and buttons that have the focus stay as they are
  let all = false;

  byId("needs-more").addEventListener("click", () => {
    all = true;
    draw(0, true);
  });

  function draw(now, knows) {
    const shown = run.needs.filter(({ kind }, place) => all || place < AT_MOST || WAITS.has(kind));
    const keys = shown.map(keyOf);
    for (const [key, { element }] of items) {
      if (keys.includes(key)) continue;
      element.remove();
      items.delete(key);
    }
    const list = byId("needs");
    shown.forEach((need, place) => {
      const key = keys[place];
      if (!items.has(key)) items.set(key, made(need));
      const { element, parts } = items.get(key);
      fill(parts, need);
      if (list.children[place] !== element) list.insertBefore(element, list.children[place] || null);
      if (need.since && now) say(parts.since, `since ${bothToday(need.since)}, ${duration(now - need.since)}`);
      if (need.until) say(parts.said, sentence(expiry(need.until)));
      buttons(need, parts.buttons, knows);
    });
    const more = run.needs.length - shown.length;
    byId("needs-more").hidden = !more;
    say(byId("needs-more"), `Show ${number(more)} more`);
    byId("needs-section").hidden = !run.needs.length;
  }

  return { draw };
}

// The same need, though more migrations may have come to it.
function keyOf({ kind, wave, said, to_do: toDo, what, about }) {
  return JSON.stringify([kind, wave, said, toDo, ...(kind === "HOOK" || kind === "NOT_RUN" ? [what.split(" of ")[0], about.length > 0] : [])]);
}

function made({ kind }) {
  const look = LOOKS[kind];
  const parts = {};
  for (const [name, tag] of [["what", "span"], ["wave", "span"], ["since", "span"], ["said", "p"], ["todo", "p"], ["output", "div"], ["ids", "div"], ["command", "div"], ["buttons", "div"]]) {
    parts[name] = make(tag, { class: { wave: "quiet", since: "quiet since", todo: "to-do", output: "wrote", ids: "quiet ids", command: "to-type" }[name] || name });
  }
  const element = make("li", { class: `need ${look.tone}` },
    make("p", { class: "need-head" }, icon(look), make("strong", {}, look.word), " ", parts.what, " ", parts.wave, " ", parts.since),
    parts.said, parts.todo, parts.output, parts.ids,
    make("div", { class: "need-foot" }, parts.command, parts.buttons));
  return { element, parts };
}

function fill(parts, need) {
  const { kind, what, said, about, count, to_do: toDo, command, output } = need;
  say(parts.what, what === "the run" ? "" : what);
  say(parts.wave, count === 1 && about.length ? about[0].wave : "");
  if (kind !== "APPROVAL") say(parts.said, reason(said));
  renew(parts.todo, ...coded(toDo));
  once(parts.output, output, () => [make("details", {}, make("summary", {}, "End of its output"), make("pre", { class: "output" }, output))]);
  once(parts.command, command, () => [copyable(command)]);
  once(parts.ids, JSON.stringify([said, about, count]), () => ids(need));
}

// Draws it again only where it is something else than before.
function once(element, known, draw) {
  if (element.dataset.known === (known || "")) return;
  element.dataset.known = known || "";
  element.replaceChildren(...(known ? draw() : []));
}

function ids({ about, count, said }) {
  if (!about.length) return [];
  const asked = requests(said).map((request) => make("p", { class: "request" }, "Request: ", make("code", {}, request)));
  if (count === 1) {
    return [make("p", {}, "live migration ", copyableId(about[0].live_migration_id), " project ", copyableId(about[0].group_id)), ...asked];
  }
  const list = about.map(({ name, live_migration_id: id }) => make("li", {}, `${name} `, copyableId(id)));
  if (count > about.length) list.push(make("li", {}, `and ${number(count - about.length)} more: see the table`));
  const shown = [make("ul", {}, ...list), copyButton(about.map(({ live_migration_id: id }) => id).join("\n"), {
    word: `Copy ${number(about.length)} ids`, label: `Copy ${number(about.length)} ids of live migrations`,
  }), ...asked];
  return count <= IDS_SHOWN ? shown : [make("details", {}, make("summary", {}, "Ids"), ...shown)];
}
