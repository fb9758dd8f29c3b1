// Elements. Text goes in as text alone: what Atlas or a workflow says is never markup.

const heeding = new WeakSet(); // elements that do something when they are used, so that another one cannot stand for them

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
      heeding.add(element);
    }
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
  if (element.textContent !== text) renew(element, ...nodes(text));
}

// Our own text, in which what stands between backticks is code: the text alone where they do not close.
export function coded(text) {
  const pieces = text.split("`");
  if (pieces.length % 2 === 0) return nodes(text);
  return pieces.flatMap((piece, place) => (place % 2 ? make("code", {}, ...unbroken(piece)) : nodes(piece)));
}

function nodes(text) {
  return unbroken(text).map((piece) => (typeof piece === "string" ? document.createTextNode(piece) : piece));
}

// Makes the children of parent what the fresh ones are, and keeps of them what is there: text that somebody has marked stays marked. Those that
// come and go have a data-part by which they are known.
export function renew(parent, ...fresh) {
  const before = [...parent.childNodes];
  const parts = new Map(before.filter(({ dataset }) => dataset?.part).map((child) => [child.dataset.part, child]));
  arrange(parent, fresh.map((child, place) => {
    const part = child.dataset?.part, known = part ? parts.get(part) : before[place];
    if (!known || !isAlike(known, child)) return child;
    if (child.nodeType === Node.TEXT_NODE) change(known, child.data);
    else become(known, child);
    return known;
  }));
}

function isAlike(one, other) {
  if (one.nodeType !== other.nodeType || one.nodeName !== other.nodeName || one.dataset?.part !== other.dataset?.part) return false;
  return !heeding.has(one) && !heeding.has(other);
}

function become(known, child) {
  for (const { name } of [...known.attributes]) if (!child.hasAttribute(name)) known.removeAttribute(name);
  for (const { name, value } of child.attributes) if (name !== "style" && known.getAttribute(name) !== value) known.setAttribute(name, value);
  if (known.style.cssText !== child.style.cssText) known.style.cssText = child.style.cssText; // as an attribute the policy refuses it
  renew(known, ...child.childNodes);
}

// The words of a text that differ, and no others.
function change(node, text) {
  const from = node.data.split(/(\s+)/), to = text.split(/(\s+)/);
  if (from.length !== to.length) {
    let start = 0, end = 0;
    const most = Math.min(node.data.length, text.length);
    while (start < most && node.data[start] === text[start]) start++;
    while (end < most - start && node.data.at(-1 - end) === text.at(-1 - end)) end++;
    node.replaceData(start, node.data.length - start - end, text.slice(start, text.length - end));
    return;
  }
  let at = 0;
  to.forEach((word, place) => {
    if (word !== from[place]) node.replaceData(at, from[place].length, word);
    at += word.length;
  });
}

// The same for a list: an item each.
export function sayEach(list, texts) {
  while (list.children.length > texts.length) list.lastElementChild.remove();
  while (list.children.length < texts.length) list.append(make("li"));
  texts.forEach((text, place) => say(list.children[place], text));
}

const RUN_ID = /\d{8}-\d{6}-[0-9a-f]{6}/g;

// The text, in which no line ends within the id of a run; what is copied of it is the text alone.
export function unbroken(text) {
  const pieces = [];
  let from = 0;
  for (const { 0: id, index } of String(text ?? "").matchAll(RUN_ID)) {
    pieces.push(text.slice(from, index), make("span", { class: "unbroken" }, id));
    from = index + id.length;
  }
  return [...pieces, String(text ?? "").slice(from)].filter((piece) => piece !== "");
}

const SVG = "http://www.w3.org/2000/svg";

// An element of a picture.
export function drawing(tag, attributes = {}, text = undefined) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

export function icon({ icon: name, tone }) {
  const picture = drawing("svg", { class: `icon ${tone}`, viewBox: "0 0 16 16", "aria-hidden": "true" });
  picture.append(drawing("use", { href: `#i-${name}` }));
  return picture;
}

export function chip(state) {
  return make("span", { class: "chip" }, icon(state), make("span", {}, state.word));
}

// Puts elements into parent in this order, and moves none that stands right.
export function arrange(parent, elements) {
  let at = parent.firstChild;
  for (const element of elements) {
    if (element === at) at = at.nextSibling;
    else parent.insertBefore(element, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
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
