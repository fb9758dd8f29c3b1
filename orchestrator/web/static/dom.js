// Elements. Text goes in as text alone: what Atlas or a workflow says is never markup.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

// Changes the text only where it differs, so that screen readers are not told the same twice.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon({ icon: name, tone }) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("class", `icon ${tone}`);
  picture.setAttribute("viewBox", "0 0 16 16");
  picture.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  picture.append(use);
  return picture;
}

export function chip(state) {
  return make("span", { class: "chip" }, icon(state), make("span", {}, state.word));
}

export function show(view) {
  const main = byId("main");
  main.replaceChildren(byId(view).content.cloneNode(true));
  return main;
}

// At most once a frame, however often it is asked for.
export function oncePerFrame(action) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      action();
    });
  };
}
