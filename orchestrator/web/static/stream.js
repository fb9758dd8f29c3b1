// Server-sent events that come back: after a lost connection, a server that was started again, a tab that was hidden.

import { byId, say } from "./dom.js";

const AGAIN_AFTER = 3000; // milliseconds

// Calls `handlers[event](document)` for each event. `path` is followed until the page is left.
export function follow(path, handlers) {
  let source = null;
  let place = "";
  let timer = 0;

  function open() {
    close();
    source = new EventSource(place ? `${path}?after=${encodeURIComponent(place)}` : path);
    source.addEventListener("open", () => linkState("live"));
    source.addEventListener("error", failed);
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        place = event.lastEventId;
        linkState("live");
        handler(JSON.parse(event.data));
      });
    }
  }

  function close() {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
  }

  async function failed() {
    linkState("lost");
    if (source && source.readyState === EventSource.CLOSED) {
      close();
      if (await refused()) linkState("refused");
      else timer = setTimeout(open, AGAIN_AFTER);
    }
  }

  // A browser opens few connections to one server: a tab that nobody looks at gives its own back.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  if (!document.hidden) open();
}

// Whether the server is there and does not let us in any more (it was started again, with another token).
async function refused() {
  try {
    return (await fetch("/static/icon.svg", { cache: "no-store" })).status === 401;
  } catch {
    return false;
  }
}

const LINK_STATES = {
  live: ["live", "success"],
  lost: ["connection lost, trying again …", "late"],
  refused: ["the page was started again: open the address that it printed", "failed"],
};

function linkState(state) {
  const [text, tone] = LINK_STATES[state];
  const element = byId("link-state");
  say(element, text);
  element.className = `link-state ${tone}`;
}
