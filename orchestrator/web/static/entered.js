// Keeps the key where this address and port alone find it, and goes on to the page; the address with the code is not gone back to.

import { keep } from "./key.js";

keep(document.querySelector("meta[name=key]").content);
location.replace(document.getElementById("then").href);
