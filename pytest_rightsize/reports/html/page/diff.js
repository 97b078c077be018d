// Shows text: every character visible, differences and search hits marked; text is never markup.

/** An element with attributes and children; text is always text. */
function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'class') element.className = value;
    else if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ''));
  return element;
}

/** The shape that stands for an outcome. */
function mark(outcome) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', `mark ${MARKS[outcome]}`);
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#mark-${MARKS[outcome]}`);
  svg.append(use);
  return svg;
}

// The same characters as in reports/escaping.py: controls, and those that turn or hide the text around them.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Nodes for a text, with hidden characters by name and hits of the query marked. */
function shown(text, query = '') {
  const nodes = [];
  let end = 0;
  const plain = text.replaceAll('\r\n', '\n');
  for (const found of plain.matchAll(HIDDEN)) {
    nodes.push(...hits(plain.slice(end, found.index), query));
    const code = found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    nodes.push(el('span', { class: 'ctl' }, `U+${code}`));
    end = found.index + found[0].length;
  }
  return [...nodes, ...hits(plain.slice(end), query)];
}

function hits(text, query) {
  if (!query || !text) return text ? [text] : [];
  const nodes = [];
  let end = 0;
  const pattern = new RegExp(query.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'giu');
  for (const found of text.matchAll(pattern)) {
    nodes.push(text.slice(end, found.index), el('mark', { class: 'hit' }, found[0]));
    end = found.index + found[0].length;
  }
  return [...nodes, text.slice(end)].filter((node) => node !== '');
}

const words = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
const MOST_WORDS = 1500;

/** The differences of `text` from `reference`: a list of [kind, words], kind one of same, other, missing. */
function differences(reference, text) {
  const [a, b] = [words(reference), words(text)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [x, y] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const middle = x.length > MOST_WORDS || y.length > MOST_WORDS ? [['missing', x], ['other', y]] : aligned(x, y);
  return [['same', b.slice(0, start)], ...middle, ['same', b.slice(b.length - end)]]
    .filter(([, part]) => part.length)
    .map(([kind, part]) => [kind, part.join('')]);
}

/** The longest common subsequence of two lists of words, as runs. */
function aligned(x, y) {
  const width = y.length + 1;
  const table = new Uint16Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i -= 1) {
    for (let j = y.length - 1; j >= 0; j -= 1) {
      table[i * width + j] = x[i] === y[j]
        ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const runs = [];
  const add = (kind, word) => (runs.at(-1)?.[0] === kind ? runs.at(-1)[1].push(word) : runs.push([kind, [word]]));
  let [i, j] = [0, 0];
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) { add('same', y[j]); i += 1; j += 1; }
    else if (j === y.length || (i < x.length && table[(i + 1) * width + j] >= table[i * width + j + 1])) { add('missing', x[i]); i += 1; }
    else { add('other', y[j]); j += 1; }
  }
  return runs;
}

/** Nodes for an answer, with its differences from the reference marked. */
function compared(reference, text, query) {
  return differences(reference, text).flatMap(([kind, part]) => {
    if (kind === 'same') return shown(part, query);
    if (kind === 'other') return [el('mark', {}, shown(part, query))];
    return part.trim() ? [el('span', { class: 'gap', title: `missing: ${part}` }, el('span', { class: 'sr' }, `[missing: ${part}]`))] : [];
  });
}

const MOST_SHOWN = 20000;

/** A block of text; a long one shows its beginning and a button for the rest. */
function block(text, label, query, reference = null) {
  const render = (part) => (reference === null || reference === text ? shown(part, query) : compared(reference.slice(0, MOST_SHOWN), part, query));
  const pre = el('pre', { tabindex: '0', role: 'region', 'aria-label': label, dir: 'auto' }, render(text.slice(0, MOST_SHOWN)));
  if (text === '') pre.append(el('span', { class: 'unknown' }, 'empty'));
  if (text.length <= MOST_SHOWN) return [pre];
  const button = el('button', { type: 'button', class: 'show-all' }, `Show all ${text.length.toLocaleString('en')} characters`);
  button.addEventListener('click', () => { pre.replaceChildren(...shown(text, '')); button.remove(); pre.focus(); });
  return [pre, button];
}
