// What is to be typed or searched somewhere else, with a button that copies it.

import { make } from "./dom.js";

const SAID_FOR = 1500; // milliseconds

// A command. Its lines end between its words, not at the hyphens of an option or of a run's id.
export function copyable(text) {
  const words = text.split(" ").flatMap((word, place) => [place ? " " : null, make("span", { class: "word" }, word)]);
  const code = make("code", { class: "command" }, ...words);
  return make("span", { class: "copyable" }, code, copyButton(text, { label: `Copy: ${text}`, code }));
}

// An id.
export function copyableId(id) {
  const code = make("code", { class: "id" }, id);
  return make("span", { class: "copyable" }, code, copyButton(id, { label: `Copy ${id}`, code }));
}

// word: what it shows; label: what it is called, for those who only hear it; code: what is selected where there is no clipboard.
export function copyButton(text, { word = "Copy", label, code = null }) {
  const button = make("button", { type: "button", class: "copy", "aria-label": label }, word);
  button.addEventListener("click", async () => {
    button.textContent = (await copied(text, code)) ? "Copied" : code ? "Selected" : "No clipboard here";
    setTimeout(() => (button.textContent = word), SAID_FOR);
  });
  return button;
}

// Without a clipboard (a page over plain HTTP from another machine has none) the text is selected at least.
async function copied(text, code) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (code) getSelection().selectAllChildren(code);
    return false;
  }
}
