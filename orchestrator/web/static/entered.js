// Keeps the key where this address and port alone find it, and goes on to the page, to what the address named of it behind `#`; the address
// with the code is not gone back to.

import { keep } from "./key.js";

keep(document.querySelector("meta[name=key]").content);
const { hash } = location;
history.replaceState(null, "", "/login"); // to the address that it has, with another #, a browser would not go
location.replace(document.getElementById("then").href + hash);
