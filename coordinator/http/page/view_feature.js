// One feature: its label, how well the label does, and the text it was found in.

import { agreementPanel } from "./agreement.js";
import { h } from "./dom.js";
import { count, share, significant } from "./format.js";
import { answer, refusal } from "./store.js";
import { badge, emptyState, facts, loading, panel, refused } from "./elements.js";
import { evidenceGroups, strongestTokens, tokenChip } from "./evidence.js";
import { meaningsPanel, outputPanel, typePanel } from "./kinds.js";
import { sessionPanel } from "./rounds.js";
import { scoreTable } from "./scores.js";
import { to } from "./router.js";

const featurePath = ({ sweep, feature }) =>
  `/api/v1/sweeps/${encodeURIComponent(sweep)}/features/${encodeURIComponent(feature)}`;

const STATUS_WORDS = {
  dead: "It fired on no token of the corpus.",
  insufficient: "It fires in too few test documents for a score to be claimed.",
  dense: "It fires on more than half of all tokens.",
  position: "Its position in the text alone explains it.",
  token: "One token type explains it.",
};

function heading(record, { sweep }) {
  const number = record.feature;
  const step = (name, feature) => h("a", { class: "step", href: to.feature(sweep, feature),
    rel: name === "Previous" ? "prev" : "next", "data-key": name }, name);
  return h("div", { class: "heading" },
    h("div", { class: "crumbs-row" },
      h("p", { class: "crumbs" }, h("a", { href: to.overview() }, "Overview"), " / ",
        h("a", { class: "mono", href: to.sweep(sweep) }, sweep), " / ",
        h("span", { class: "mono" }, `feature ${number}`)),
      h("nav", { class: "pages", "aria-label": "Neighbouring features" },
        number > 0 && step("Previous", number - 1), step("Next", number + 1))),
    h("h1", { class: "feature-label" }, record.label === null
      ? h("span", { class: "muted" }, "No label") : h("bdi", null, record.label)),
    record.no_label && h("p", { class: "muted" }, h("bdi", null, record.no_label)),
    h("p", { class: "feature-badges" }, badge(record.status),
      record.label === null ? null : badge(record.supported ? "supported" : "unsupported"),
      record.typing ? badge(record.typing.type) : null,
      record.control ? badge(`control: ${record.control}`) : null,
      h("span", { class: "muted" }, record.explainer ? `by ${record.explainer}` : null,
        record.judge ? `, judged by ${record.judge}` : null)),
    STATUS_WORDS[record.status] && h("p", { class: "muted" }, STATUS_WORDS[record.status]));
}

const base = (path) => path === null ? null : path.split("/").filter(Boolean).pop() ?? path;

function firingPanel(record) {
  const { firing, target } = record;
  return panel({ title: "Firing" }, facts([
    ["Density", `${share(firing.density)} of tokens`],
    ["Firing tokens", `${count(firing.n_firing_tokens)} of ${count(firing.n_tokens)}`],
    ["Test documents", count(firing.n_test_documents)],
    ["Largest value", significant(firing.max, 4)],
    ["Fires above", significant(record.fire_threshold)],
    ["Explained by token", significant(firing.token_f1)],
    ["Explained by position", significant(firing.position_f1)],
    ["Hook point", h("span", { class: "mono" }, target.hook_point)],
    ["Dictionary", target.dictionary === null ? "none"
      : h("bdi", { class: "mono", title: target.dictionary }, base(target.dictionary))],
    ["Model", target.model === null ? null
      : h("bdi", { class: "mono", title: target.model }, base(target.model))],
  ]));
}

function tokensPanel(record) {
  const strongest = strongestTokens(record.evidence);
  if (!strongest.length) return null;
  return panel({ title: "Strongest tokens", side: "in the windows below" },
    h("ul", { class: "chips" }, strongest.map((one) => tokenChip(one, record.firing.max))));
}

function scoresPanel(record) {
  return panel({ title: "Scores", className: "span-2",
    side: "on test windows, 95 % interval over documents" },
  scoreTable(record.scores) ?? emptyState("No score", record.label === null
    ? "There is no label to score." : "None was asked for, or no test window was left."));
}

function lexicalPanel(record) {
  const { lexical, explainer } = record;
  if (!lexical || explainer === "lexical") return null;
  return panel({ title: "Lexical baseline", side: "the best pattern found without an LLM" },
    h("p", { class: "baseline" }, h("bdi", null, lexical.label),
      h("span", { class: "muted" }, ` ${lexical.family}`)),
    scoreTable(lexical.scores));
}

function evidencePanel(record) {
  return panel({ title: "Evidence", side: "hover a token for its value" },
    evidenceGroups(record.evidence, record.firing.max) ??
      emptyState("No window is kept", "It never fired, or its windows are still being merged."));
}

function origin(record) {
  const { dropped, prompts } = record;
  return h("details", { class: "panel origin", "data-key": "origin" },
    h("summary", null, "Where this comes from"),
    facts([
      ["Test windows dropped", `${count(dropped.leaked)} leaked, ` +
        `${count(dropped.mislabelled)} mislabelled, ` +
        `${count(dropped.near_duplicates)} near duplicates`],
      ["Documents shared between splits", count(record.n_shared_documents)],
      ...Object.entries(prompts).map(([name, hash]) => [`Prompt: ${name}`,
        h("span", { class: "mono hash" }, hash)]),
    ]));
}

export const featureView = {
  title: ({ sweep, feature }) => `Feature ${feature} of ${sweep}`,
  feeds: (parameters) => {
    const record = answer(featurePath(parameters));
    return [{ path: featurePath(parameters), everyMs: record ? 30000 : 3000 }];
  },
  render: (parameters) => {
    const path = featurePath(parameters);
    const record = answer(path);
    if (!record) {
      return refusal(path) ? [refused(refusal(path)),
        h("p", null, h("a", { href: to.sweep(parameters.sweep) }, "Back to the sweep"))]
        : loading();
    }
    return [
      heading(record, parameters),
      h("div", { class: "columns" }, scoresPanel(record), firingPanel(record)),
      agreementPanel(record),
      meaningsPanel(record),
      sessionPanel(record),
      typePanel(record),
      outputPanel(record),
      tokensPanel(record),
      evidencePanel(record),
      lexicalPanel(record),
      origin(record),
    ];
  },
};
