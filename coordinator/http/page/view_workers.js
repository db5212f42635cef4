// All workers.

import { h } from "./dom.js";
import { answer } from "./store.js";
import { loading, panel } from "./elements.js";
import { OVERVIEW } from "./view_overview.js";
import { workerTable } from "./worker_table.js";

export const workersView = {
  title: () => "Workers",
  render: () => {
    const overview = answer(OVERVIEW);
    if (!overview) return loading();
    return [
      h("h1", null, "Workers"),
      panel({ title: "Connected",
        side: "a worker that drains finishes what it runs: interpctl drain WORKER" },
      workerTable(overview.workers, overview.now)),
    ];
  },
};
