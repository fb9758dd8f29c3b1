// States are never told by colour alone: what is not a plain success, or still waits, has a texture over its colour. base.css has the
// same for what is not a picture.

import { drawing } from "./dom.js";

const LINES = {
  failed: "M-1 1l2-2M0 6l6-6M5 7l2-2", // rising
  doubt: "M0 0l6 6M0 6l6-6", // crossed
  late: "M1.5 0v6M4.5 0v6", // upright
  active: "M0 3h6", // lying
};

export function textures() {
  const made = drawing("defs");
  for (const [tone, d] of Object.entries(LINES)) {
    const pattern = drawing("pattern", { id: `texture-${tone}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" });
    pattern.append(drawing("path", { class: "t-lines", d }));
    made.append(pattern);
  }
  return made;
}

// A shape in the colour and the texture of a state.
export function shape(state, d) {
  const colour = drawing("path", { class: `t-bar ${state.tone}`, d });
  if (!(state.tone in LINES)) return [colour];
  return [colour, drawing("path", { class: "t-texture", fill: `url(#texture-${state.tone})`, d })];
}
