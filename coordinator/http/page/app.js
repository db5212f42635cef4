// The page's frame: reads the address, keeps the feeds of the view it names going, and draws
// view, navigation and connection whenever the store changes.

import { h, patch } from "./dom.js";
import { roughly } from "./format.js";
import { wantFeeds, askAllNow } from "./feed.js";
import { answer, changed, store, subscribe } from "./store.js";
import { match, readAddress, to } from "./router.js";
import { OVERVIEW, overviewView } from "./view_overview.js";
import { sweepView } from "./view_sweep.js";
import { featureView } from "./view_feature.js";
import { workersView } from "./view_workers.js";
import { deadView } from "./view_dead.js";
import { emptyState } from "./elements.js";

const routes = [
  ["", overviewView],
  ["sweeps/:sweep", sweepView],
  ["sweeps/:sweep/features/:feature", featureView],
  ["workers", workersView],
  ["dead", deadView],
];

const nowhere = {
  title: () => "Not found",
  render: () => emptyState("There is no such view",
    h("a", { href: to.overview() }, "Back to the overview")),
};

let current = { view: nowhere, parameters: {}, query: new URLSearchParams() };

function resolve() {
  const { path, query } = readAddress();
  for (const [pattern, view] of routes) {
    const parameters = match(pattern, path);
    if (parameters) return { view, parameters, query };
  }
  return { view: nowhere, parameters: {}, query };
}

/* --- frame --------------------------------------------------------------------------------- */

function drawNavigation() {
  const overview = answer(OVERVIEW);
  const nDead = overview?.queue?.dead ?? 0;
  const items = [
    ["Overview", to.overview(), [overviewView, sweepView, featureView], null],
    ["Workers", to.workers(), [workersView], overview?.workers?.length ?? null],
    ["Dead tasks", to.dead(), [deadView], nDead || null],
  ];
  patch(document.getElementById("nav"), h("nav", null, items.map(([name, href, views, badge]) =>
    h("a", { href, "aria-current": views.includes(current.view) ? "page" : null, "data-key": name },
      name, badge === null ? null : h("span", { class: "nav-count" }, badge)))));
}

function drawConnection() {
  const { state } = store.connection;
  const overview = answer(OVERVIEW);
  const text = { live: "Live", connecting: "Connecting", lost: "Not connected" }[state];
  const version = overview?.version ? `v${overview.version}` : "";
  patch(document.getElementById("connection"), h("div", null,
    h("span", { class: `pulse pulse-${state}` }), h("span", null, text),
    version && h("span", { class: "version" }, version)));
}

function drawBanner() {
  const { state, message, lastOkAt, retryAt } = store.connection;
  const overview = answer(OVERVIEW);
  const banner = h("div");
  if (state === "lost") {
    const left = Math.max(0, (retryAt - Date.now()) / 1000);
    const age = lastOkAt ? ` What you see is ${roughly((Date.now() - lastOkAt) / 1000)} old.` : "";
    banner.append(h("div", { class: "banner banner-lost", role: "alert" }, h("div", null,
      h("strong", null, "Not connected to the coordinator"),
      h("span", null, ` (${message}).${age} Trying again in ${roughly(left)}.`)),
      h("button", { type: "button", "data-action": "retry" }, "Try now")));
  } else if (overview && overview.is_store_up === false) {
    banner.append(h("div", { class: "banner banner-lost", role: "alert" }, h("div", null,
      h("strong", null, "Redis does not answer."),
      " Nothing is lost: work goes on as soon as it is back.")));
  }
  patch(document.getElementById("banner"), banner);
  document.body.classList.toggle("is-stale", state === "lost");
}

/* --- drawing ------------------------------------------------------------------------------- */

let isDrawPlanned = false;

function draw() {
  isDrawPlanned = false;
  const { view, parameters, query } = current;
  const own = view.feeds ? view.feeds(parameters, query) : [];
  wantFeeds([{ path: OVERVIEW, everyMs: 1000, isMain: true }, ...own]);
  drawNavigation();
  drawConnection();
  drawBanner();
  patch(document.getElementById("view"), h("main", null, view.render(parameters, query)));
  document.title = `${view.title(parameters)} \u00b7 interp`;
}

function planDraw() {
  if (isDrawPlanned) return;
  isDrawPlanned = true;
  // a hidden tab gets no animation frames, and needs none
  requestAnimationFrame(draw);
}

function go() {
  const isInsidePage = location.hash && !location.hash.startsWith("#/"); // the skip link
  if (isInsidePage && current.view !== nowhere) return;
  const before = current;
  current = resolve();
  draw();
  const isOtherPlace = before.view !== current.view ||
    JSON.stringify(before.parameters) !== JSON.stringify(current.parameters);
  if (isOtherPlace && before.view !== nowhere) {
    window.scrollTo(0, 0);
    document.getElementById("view").focus({ preventScroll: true });
  }
}

const commonActions = { retry: askAllNow };

function onAction(event) {
  const element = event.target.closest?.("[data-action]");
  if (!element) return;
  const name = element.dataset.action;
  const action = current.view.actions?.[name] ?? commonActions[name];
  if (!action) return;
  event.preventDefault();
  action(element, current);
  changed();
}

document.addEventListener("click", (event) => {
  if (!event.target.closest?.("form[data-action]")) onAction(event);
});
document.addEventListener("submit", onAction);
document.addEventListener("pointermove", (event) => {
  const chart = event.target.closest?.("[data-hover]");
  const box = chart?.getBoundingClientRect();
  const fraction = box?.width ? (event.clientX - box.left) / box.width : null;
  if (fraction === store.ui.hoverFraction) return;
  store.ui.hoverFraction = fraction;
  changed();
});
window.addEventListener("hashchange", go);
subscribe(planDraw);
// the banner counts down by itself
setInterval(() => store.connection.state === "lost" && planDraw(), 1000);
go();
