// Shared by all windows of a browser: it has the one connection, and passes on what each of them follows.

import { Hub } from "./hub.js";

const hub = new Hub();

addEventListener("connect", ({ ports: [port] }) => {
  const tell = (message) => port.postMessage(message);
  port.onmessage = ({ data }) => (data.follow ? hub.follow(tell, data.follow, data.key) : hub.leave(tell));
});
