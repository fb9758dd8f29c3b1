// What is to be typed somewhere else, with a button that copies it.

import { make } from "./dom.js";

const SAID_FOR = 1500; // milliseconds

export function copyable(text) {
  const code = make("code", { class: "command" }, text);
  const button = make("button", { type: "button", class: "copy", "aria-label": `Copy: ${text}` }, "Copy");
  button.addEventListener("click", async () => {
    button.textContent = (await copied(text, code)) ? "Copied" : "Selected";
    setTimeout(() => (button.textContent = "Copy"), SAID_FOR);
  });
  return make("span", { class: "copyable" }, code, button);
}

// Without a clipboard (a page over plain HTTP from another machine has none) the text is selected at least.
async function copied(text, code) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return false;
  }
}
