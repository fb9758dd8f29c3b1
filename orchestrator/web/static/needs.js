// What waits for a person, first on the page: what happened, to which, what to do, and the command.

import { copyable } from "./copy.js";
import { byId, icon, make, say } from "./dom.js";
import { STATES, both, duration, number } from "./words.js";

const AT_MOST = 6; // shown; the others with a click
const LOOKS = {
  ...STATES,
  UNDER_WAY: { ...STATES.UNDER_WAY, word: "UNDER_WAY, followed by nobody" },
  SILENT: { word: "No sign of life", icon: "INTERRUPTED", tone: "failed" },
  HOOK: { word: "Hook failed", icon: "FAILED", tone: "failed" },
  CONFIRMATION: { word: "Waits to be confirmed", icon: "WAITING", tone: "waits" },
  APPROVAL: { word: "Waits for approval", icon: "WAITING", tone: "waits" },
  PAUSE: { word: "Paused", icon: "PAUSED", tone: "waits" },
};

// buttons: called with a need and whether the page knows that it is so; the buttons that do something about it.
export function needs(run, options, buttons) {
  const items = new Map(); // by what they are about: text that is marked and buttons that have the focus stay as they are
  let all = false;

  byId("needs-more").addEventListener("click", () => {
    all = true;
    draw(0, true);
  });

  function draw(now, knows) {
    const shown = all ? run.needs : run.needs.slice(0, AT_MOST);
    const keys = shown.map(keyOf);
    for (const [key, item] of items) {
      if (keys.includes(key)) continue;
      item.remove();
      items.delete(key);
    }
    const list = byId("needs");
    shown.forEach((need, place) => {
      const key = keys[place];
      if (!items.has(key)) items.set(key, made(need, options));
      const item = items.get(key);
      if (list.children[place] !== item) list.insertBefore(item, list.children[place] || null);
      if (need.since && now) say(item.querySelector(".since"), `since ${both(need.since)}, ${duration(now - need.since)}`);
      buttons(need, item.querySelector(".buttons"), knows);
    });
    const more = run.needs.length - shown.length;
    byId("needs-more").hidden = !more;
    say(byId("needs-more"), `Show ${number(more)} more`);
    byId("needs-section").hidden = !run.needs.length;
  }

  return { draw };
}

function keyOf({ since, ...need }) {
  return JSON.stringify(need);
}

function made(need, options) {
  const look = LOOKS[need.kind];
  return make("li", { class: `need ${look.tone}` },
    make("p", { class: "need-head" }, icon(look), make("strong", {}, look.word), " ", make("span", { class: "what" }, need.what === "the run" ? "" : need.what),
      need.count === 1 && need.about.length ? make("span", { class: "quiet" }, need.about[0].wave) : null,
      make("span", { class: "quiet since" })),
    need.said && need.kind !== "APPROVAL" ? make("p", { class: "said" }, need.said) : null,
    ids(need),
    make("p", { class: "to-do" }, need.to_do.replaceAll("`", "")),
    make("div", { class: "need-foot" }, need.command ? copyable(need.command + options) : null, make("div", { class: "buttons" })));
}

function ids({ about, count }) {
  if (!about.length) return null;
  const line = make("p", { class: "quiet ids" });
  about.forEach((each, place) => {
    line.append(place ? ", " : "", count > 1 ? `${each.name} ` : "", make("code", {}, each.live_migration_id));
    if (count === 1) line.append(", project ", make("code", {}, each.group_id));
  });
  if (count > about.length) line.append(` and ${number(count - about.length)} more: see the table`);
  return line;
}
