// What the server says, as it comes, and whether it still says anything. A page that hears nothing must not look as if it did.

import { byId, make, say } from "./dom.js";
import { Hub } from "./hub.js";
import { key } from "./key.js";
import { set, stop } from "./now.js";
import { both } from "./words.js";

const MISSED = 2; // beats after which what is shown is not known to be so any more

// Calls `handlers[kind](document)` for each message about `topic` (a run's id, or * for the list), and `handlers.fresh(knows)` when the page
// begins (true) or ceases (false) to know how things stand.
export function follow(topic, handlers) {
  let every = 5; // seconds between two beats; the server says so
  let heard = { at: null, ours: Date.now(), since: performance.now() }; // the last beat: by the server's clock, by ours, by the page's age
  let state = "";
  const knows = () => state === "live" || state === "lost";

  const hub = connected(({ kind, data }) => {
    const document = data && JSON.parse(data);
    if (kind === "beat") {
      every = document.every;
      heard = { at: Date.parse(document.at) / 1000, ours: Date.now(), since: performance.now() };
      set(document.at);
      change("live");
    } else if (kind === "refused" || (kind === "lost" && knows())) {
      change(kind);
    } else if (kind !== "lost") {
      handlers[kind](document);
    }
  });

  // By both clocks: one stands still while the machine sleeps, the other can be set.
  function check() {
    const silence = Math.max(Date.now() - heard.ours, performance.now() - heard.since) / 1000;
    if (silence > MISSED * every + 1 && state !== "refused") change("stale");
  }

  function change(next) {
    if (next === state) return;
    const knew = knows();
    state = next;
    if (!knows() && heard.at) stop(heard.at);
    linkState(state, heard.at);
    if (knows() !== knew) handlers.fresh(knows());
  }

  byId("sign-in").addEventListener("click", toHere);
  addEventListener("pagehide", () => hub.leave());
  addEventListener("pageshow", (event) => event.persisted && hub.follow(topic));
  document.addEventListener("visibilitychange", check);
  setInterval(check, 1000);
  hub.follow(topic);
}

// Where the browser has shared workers, one connection serves all of its windows. Where it has none, a window that nobody looks at gives
// its connection back, and is out of date until somebody does.
function connected(tell) {
  if (window.SharedWorker) {
    const { port } = new SharedWorker("/static/worker.js", { type: "module", name: byId("version").content });
    port.onmessage = ({ data }) => tell(data);
    return { follow: (topic) => port.postMessage({ follow: topic, key: key() }), leave: () => port.postMessage({}) };
  }
  const hub = new Hub();
  let followed = "";
  document.addEventListener("visibilitychange", () => (document.hidden ? hub.leave(tell) : hub.follow(tell, followed, key())));
  return {
    follow(topic) {
      followed = topic;
      if (!document.hidden) hub.follow(tell, topic, key());
    },
    leave: () => hub.leave(tell),
  };
}

const LINK_STATES = {
  live: ["live", "success"],
  lost: ["connection lost, trying again …", "late"],
  stale: ["no news, trying again …", "failed"],
  refused: ["not signed in (any more)", "failed"],
};

function linkState(state, since) {
  const [text, tone] = LINK_STATES[state];
  say(byId("link-state"), text);
  byId("link-state").className = `link-state ${tone}`;
  const known = state === "live" || state === "lost";
  document.body.classList.toggle("stale", !known);
  byId("no-news").hidden = known;
  byId("sign-in").hidden = state !== "refused";
  if (!known) say(byId("no-news-since"), since ? `No news since ${both(since)}.` : "No news yet.");
  for (const id of ["details", "confirm"]) inDialog(byId(id), known);
}

// Whoever signs in comes back to what they looked at, details too.
function toHere({ currentTarget: link }) {
  link.hash = location.hash;
}

// Details and a question lie over the banner, and what is outside of them is not read aloud.
function inDialog(dialog, known) {
  dialog.querySelector(".no-news")?.remove();
  if (known) return;
  const again = byId("sign-in").hidden ? null : make("a", { href: byId("sign-in").href, onclick: toHere }, "Sign in again");
  dialog.prepend(make("p", { class: "no-news", role: "alert" }, `${byId("no-news-since").textContent} What is shown was so then; how it stands now is not known. `,
    make("span", { class: "on-its-way" }, byId("on-its-way").textContent), " ", again));
}
