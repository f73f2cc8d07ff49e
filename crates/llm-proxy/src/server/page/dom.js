// The few things that every part of the page does to the document. What comes from outside only
// ever becomes a text node or a data attribute, never markup.

// Controls, the invisible and what turns the direction of a text; no line break, no tab, and not the
// joiners that scripts and emoji need.
const UNSEEN = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A text whose control characters are seen, as `‹U+202E›`, instead of obeyed. */
const visible = (text) => text.replace(UNSEEN, (found) => `‹U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}›`);

/** Makes an element. A child that is a string becomes text; one that is null is left out. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(node, name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (typeof child === 'string' ? visible(child) : child)));
  return node;
}

/** Sets or takes away an attribute, only where that changes something. */
export function set(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? '' : visible(String(value));
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

/** Sets a text, only where that changes something. */
export function say(node, text) {
  const shown = visible(text);
  if (node.textContent !== shown) node.textContent = shown;
}

/** Shows or hides. */
export function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

export const find = (selector) => document.querySelector(selector);

// The document's own drawing names the namespace, so that no address is written here.
const { namespaceURI } = find('.sprite');

/** Makes an SVG element. */
export function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS(namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) set(node, name, value);
  node.append(...children.map((child) => (typeof child === 'string' ? visible(child) : child)));
  return node;
}

/** One of the shapes that say a state beside its word and colour. */
export function icon(name) {
  const use = draw('use', { href: `#i-${name}` });
  const node = draw('svg', { class: 'icon', 'aria-hidden': 'true', viewBox: '0 0 16 16' }, use);
  node.show = (next) => set(use, 'href', `#i-${next}`);
  return node;
}

/**
 * Makes the children of `parent` stand for `items`. A node stays with its key, so that focus,
 * scroll position and opened details stay too; only what is new, gone or moved is touched.
 * `make` returns a node that may have a function `show`, which is called with each newer item.
 */
export function keyed(parent, items, keyOf, make) {
  const old = parent.nodesByKey ?? new Map();
  const nodes = new Map();
  items.forEach((item, index) => {
    const key = keyOf(item, index);
    if (!nodes.has(key)) nodes.set(key, old.get(key) ?? make(item));
    nodes.get(key).show?.(item, index);
  });
  for (const [key, node] of old) if (!nodes.has(key)) node.remove();
  let place = parent.firstChild;
  for (const node of nodes.values()) {
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  parent.nodesByKey = nodes;
}

/** A button that is pressed or not. */
export function chip(onPress) {
  const label = h('span');
  const count = h('span', { class: 'count' });
  const node = h('button', { type: 'button', class: 'chip', 'aria-pressed': 'false' }, label, ' ', count);
  node.addEventListener('click', () => onPress(node.item));
  node.show = (item) => {
    node.item = item;
    say(label, item.label);
    say(count, item.count === undefined ? '' : number(item.count));
    set(node, 'aria-pressed', String(item.pressed));
    set(node, 'data-tone', item.tone);
  };
  return node;
}

const grouped = new Intl.NumberFormat('en-US');
const rounded = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 });

/** `1,234` */
export const number = (value) => grouped.format(value);

/** `1,234` up to ten thousand, then `12.3K` */
export const compact = (value) => (value < 10_000 ? grouped : rounded).format(value);

/** `1 request`, `2 requests` */
export const many = (count, noun) => `${compact(count)} ${noun}${count === 1 ? '' : 's'}`;

/** `$0.0012`, `$3.40` */
export const dollars = (value) => {
  const digits = value >= 0.01 || value === 0 ? 2 : 4;
  return `$${value.toFixed(digits)}`;
};

/** `rate_limited` as a person writes it. */
export const plain = (word) => String(word ?? '').replaceAll('_', ' ');
