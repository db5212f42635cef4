// Labels as they arrive. Label text comes from LLMs and corpora: it is data, in a text node, in
// an element that isolates its writing direction.

import { h } from "./dom.js";
import { ago, score } from "./format.js";
import { badge, emptyState } from "./elements.js";
import { to } from "./router.js";

function entry(label, now) {
  return h("li", { "data-key": `${label.sweep}/${label.feature}` },
    h("a", { class: "label-link", href: to.feature(label.sweep, label.feature) },
      h("bdi", { class: "label-text" }, label.label),
      h("span", { class: "label-meta" },
        h("span", { class: "mono", title: label.sweep }, `#${label.feature}`), badge(label.status),
        label.score === null ? null
          : h("span", { class: "num", title: "balanced accuracy on test windows" },
            score(label.score)),
        h("span", { class: "muted num label-age" }, ago(label.at, now)))));
}

export function labelFeed(labels, now) {
  if (!labels.length) {
    return emptyState("No label yet", "They appear here as a sweep finds them.");
  }
  return h("ol", { class: "labels", tabindex: "0", "aria-label": "Newest labels" },
    labels.map((label) => entry(label, now)));
}
