// Which view the address asks for.

import { showRun } from "./run.js";
import { showRuns } from "./runs.js";

const run = /^\/runs\/([^/]+)$/.exec(location.pathname);
if (run) showRun(decodeURIComponent(run[1]));
else showRuns();
