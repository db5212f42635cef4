// The session behind a label: its rounds, and the texts that tried to disprove it.

import { h } from "./dom.js";
import { count, score, UNKNOWN } from "./format.js";
import { panel } from "./elements.js";
import { visible } from "./evidence.js";

/** How many texts the model did as the label said; those without an outcome are wrong. */
export const countRight = (experiments) =>
  experiments.filter((one) => one.fired !== null && one.fired === one.predicted).length;

/** Why there were no more rounds (coordinator/session/session_outlook.h). */
const ENDS = {
  settled: ", and settled it.",
  hopeless: "; it was given up as hopeless.",
  decided: "; it is clear, and short of the target.",
};

const signed = (value) => `${value >= 0 ? "+" : "\u2212"}${score(Math.abs(value))}`;

/** One sentence each: which round was chosen, other text, whether refining paid. */
export function courseOf(session) {
  const list = [];
  if (session.mode === "score_only") list.push("The label was given.");
  else if (session.chosen_round !== null && session.rounds.length > 1) {
    list.push(`Round ${session.chosen_round} of ${session.rounds.length} was best on validate ` +
      `windows${ENDS[session.settled ? "settled" : session.outlook] || "; it never settled."}`);
  }
  if (session.ood.detection || session.ood.fuzzing) {
    list.push(session.supported_ood ? "It holds on other text." : "It does not hold on other text.");
  }
  if (session.refinement && session.refinement.difference !== null) {
    list.push(`The last round's label scores ${signed(session.refinement.difference)} on test, ` +
      "compared with the first one's.");
  }
  return list;
}

function did(one) {
  if (one.fired === null) return "no outcome";
  return one.fired ? "fires" : "is silent";
}

function texts(round) {
  if (!round.experiments.length) return null;
  return h("details", null,
    h("summary", null, `${count(countRight(round.experiments))} of ` +
      `${count(round.experiments.length)} texts as said`),
    h("ul", null, round.experiments.map((one) => h("li",
      { class: one.fired === one.predicted ? null : "is-bad" },
      h("span", { class: "muted" }, `${one.kind.replace("_", " ")}, ${did(one)}: `),
      h("bdi", null, visible(one.text))))));
}

function row(round, number, chosen) {
  const cell = (name, className, ...children) =>
    h("td", { class: className, "data-label": name }, children);
  const { adversarial, validate, check } = round;
  return h("tr", { "data-key": `round ${number}` },
    h("th", { scope: "row" }, `${number}${number === chosen ? " (chosen)" : ""}`),
    cell("Label", "label-cell", round.label === null
      ? h("span", { class: "muted" }, round.failure ?? UNKNOWN)
      : h("bdi", null, round.label), texts(round)),
    cell("Validate", "num", score(validate?.random.balanced_accuracy ?? null)),
    cell("Explain", "num", score(check?.balanced_accuracy ?? null)),
    cell("Adversarial", `num ${adversarial.passed ? "" : "is-bad"}`,
      adversarial.n ? `${adversarial.right} of ${adversarial.n}` : "none"));
}

/** The panel; null for a single pass. */
export function sessionPanel({ session }) {
  if (!session) return null;
  const columns = [["Round"], ["Label"],
    ["Validate", "balanced accuracy that chooses the round; never shown to the explainer"],
    ["Explain", "the same on explain windows, whose errors are shown"],
    ["Adversarial", "texts meant to disprove the label that came out as it says"]];
  const numeric = new Set(["Validate", "Explain", "Adversarial"]);
  return panel({ title: "Session", side: session.mode.replace("_", " ") },
    courseOf(session).map((text) => h("p", { class: "baseline" }, text)),
    h("div", { class: "table-box" }, h("table", { class: "table table-cards" },
      h("thead", null, h("tr", null, columns.map(([name, hint]) =>
        h("th", { scope: "col", title: hint, class: numeric.has(name) ? "num" : null }, name)))),
      h("tbody", null, session.rounds.map((round, i) =>
        row(round, i + 1, session.chosen_round))))));
}
