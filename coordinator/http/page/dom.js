// Building and updating the document. Every text goes in as a text node, so what an LLM or a
// corpus wrote can never become markup; nothing here or elsewhere on the page sets innerHTML.
//
// Views build a fresh tree on each update; patch() carries it over into the tree on screen and
// keeps the nodes that are there, so focus, selection, scrolling and open <details> survive.

const SVG = "http://www.w3.org/2000/svg";

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

function create(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  return append(node, children);
}

/** An HTML element: h("a", {href: "#/"}, "text", child). Null and false are left out. */
export function h(tag, attributes, ...children) {
  return create(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes, ...children) {
  return create(document.createElementNS(SVG, tag), attributes, children);
}

function patchAttributes(target, source) {
  for (const { name } of [...target.attributes]) {
    const isUsers = name === "open" && target.nodeName === "DETAILS";
    if (!isUsers && !source.hasAttribute(name)) target.removeAttribute(name);
  }
  for (const { name, value } of source.attributes) {
    if (target.getAttribute(name) !== value) target.setAttribute(name, value);
  }
}

function isSameKind(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName &&
    (a.dataset?.key ?? null) === (b.dataset?.key ?? null);
}

function patchNode(target, source) {
  if (target.nodeType === Node.TEXT_NODE) {
    if (target.data !== source.data) target.data = source.data;
    return;
  }
  patchAttributes(target, source);
  patch(target, source);
}

/** The node on screen that stands for `wanted`: by data-key, else the next one of its kind. */
function findMatch(cursor, wanted, keyed) {
  const key = wanted.dataset?.key;
  if (key !== undefined) {
    const known = keyed.get(key);
    keyed.delete(key); // a key that comes twice stands for one node only
    return known && isSameKind(known, wanted) ? known : null;
  }
  return cursor && isSameKind(cursor, wanted) ? cursor : null;
}

/** Children with a key, by key; those that are not wanted any more leave first, so that nobody
 * has to move (a node that moves loses focus) because a neighbour went. */
function keyedChildren(target, source) {
  const wanted = new Set([...source.children].map((child) => child.dataset.key));
  const keyed = new Map();
  for (const child of [...target.children]) {
    const { key } = child.dataset;
    if (key === undefined) continue;
    if (wanted.has(key) && !keyed.has(key)) keyed.set(key, child);
    else child.remove();
  }
  return keyed;
}

/** Make the children of `target` equal to those of `source`; `source` is used up. */
export function patch(target, source) {
  const keyed = keyedChildren(target, source);
  let cursor = target.firstChild;
  for (const wanted of [...source.childNodes]) {
    const match = findMatch(cursor, wanted, keyed);
    if (match) {
      patchNode(match, wanted);
      if (match === cursor) cursor = cursor.nextSibling;
      else target.insertBefore(match, cursor);
    } else {
      target.insertBefore(wanted, cursor);
    }
  }
  while (cursor) {
    const next = cursor.nextSibling;
    cursor.remove();
    cursor = next;
  }
}
