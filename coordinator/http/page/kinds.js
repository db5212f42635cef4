// What kind of feature it is: its type with the evidence, its meanings where it has several, and
// what it writes.

import { h } from "./dom.js";
import { count, significant, UNKNOWN } from "./format.js";
import { facts, panel } from "./elements.js";
import { scoreTable } from "./scores.js";

const TYPE_WORDS = {
  concrete: "certain words or spellings decide",
  syntactic: "the word or class before, the class of the token, position or repetition decide",
  abstract: "the same token fires in one context and is silent in another",
  polysemantic: "its windows fall into groups that each have something of their own in common",
};

const value = (number) => number === null ? UNKNOWN : significant(number);

export function typePanel({ typing }) {
  if (!typing) return null;
  const { evidence } = typing;
  return panel({ title: "Type", side: "from validate windows and groups of explain windows" },
    h("p", null, h("strong", null, typing.type), `: ${TYPE_WORDS[typing.type] ?? ""}`),
    facts([
      ["Groups of windows", `${count(evidence.n_clusters)}` +
        (evidence.is_founded ? "" : " (nothing holds it together)")],
      ["Silhouette", value(evidence.silhouette)],
      ["Pattern, F1 over tokens", value(evidence.token_f1)],
      ["Of it by spelling", value(evidence.spelled)],
      ["Words that fire fire again", value(evidence.constancy)],
      ["Words that fire", count(evidence.n_words)],
      ["Claimed by the explainer", typing.claimed ?? UNKNOWN],
    ]));
}

function meaning(one, index) {
  const other = one.lexical && one.lexical.label !== one.label ? one.lexical.label : null;
  return h("section", { class: "meaning", "data-key": String(index) },
    h("h3", null, one.label === null ? h("span", { class: "muted" }, one.no_label ?? "No label")
      : h("bdi", null, one.label)),
    h("p", { class: "muted" }, `${count(one.n_windows)} explain windows`,
      other && [", lexical: ", h("bdi", null, other)]),
    scoreTable(one.scores) ?? h("p", { class: "muted" }, "no test window of its own"));
}

/** Nothing of a feature with one meaning. */
export function meaningsPanel({ meanings }) {
  if (!meanings) return null;
  return panel({ title: "Meanings",
    side: `${count(meanings.n_test_grouped)} of ${count(meanings.n_test_firing)} test windows ` +
      "belong to one; scored, not tested against a null" },
  meanings.list.map(meaning));
}

const tokenRow = (one, i) => h("li", { class: "chip", "data-key": String(i) },
  h("bdi", { class: "mono" }, one.token), h("span", { class: "num muted" },
    ` ${one.logit.toFixed(2).replace("-", "\u2212")}`));

/** What its direction does to the logits when nothing comes between. */
export function outputPanel({ promoted, suppressed, output_label: label, no_output: why }) {
  if (!promoted && !why) return null;
  return panel({ title: "Output side", side: "logit lens: tokens that its direction writes" },
    promoted ? [
      label && h("p", { class: "chips-name" }, "promotes ", h("bdi", null, label)),
      h("p", { class: "chips-name" }, "promoted"),
      h("ul", { class: "chips" }, promoted.map(tokenRow)),
      h("p", { class: "chips-name" }, "suppressed"),
      h("ul", { class: "chips" }, suppressed.map(tokenRow)),
    ] : h("p", { class: "chips-name" }, why));
}
