// Draws the charts with Vega-Lite, unpacked when the first one comes into view; it interprets expressions, never compiles.

let embedding = null;

function embed() {
  embedding ??= unpack($('vega-data')).then(async (code) => {
    await calm();
    const script = document.createElement('script');
    script.textContent = code;
    document.head.append(script);
    return window.rightsizeEmbed;
  });
  return embedding;
}

// Variables of the style sheet, not their values, so that drawn charts follow the theme, and change for print.
const colour = (name) => `var(--${name})`;

function config() {
  const [ink, muted, line] = ['ink', 'muted', 'line'].map(colour);
  return {
    background: 'transparent', font: 'system-ui, sans-serif', view: { stroke: null },
    axis: { labelColor: muted, titleColor: muted, titleFontWeight: 'normal', gridColor: line, domainColor: line, tickColor: line, labelFontSize: 11, titleFontSize: 11, tickSize: 3 },
    legend: { labelColor: ink, titleColor: muted, labelFontSize: 12, symbolType: 'square' },
    text: { color: ink, fontSize: 11 },
  };
}

async function draw(place, spec, words) {
  const vega = await embed();
  await calm();
  const box = el('div', { role: 'img', 'aria-label': words });
  place.replaceChildren(box);
  await vega(box, { ...spec, config: config() }, { actions: false, ast: true, renderer: 'svg', defaultStyle: false, tooltip: tip });
  // The label has all that the chart shows; a screen reader would only read the marks inside one by one.
  for (const part of box.querySelectorAll('[role], [aria-label], [aria-roledescription]')) {
    for (const name of ['role', 'aria-label', 'aria-roledescription']) part.removeAttribute(name);
  }
}

let bubble = null;

/** Vega's tooltip handler: our own bubble, text only. */
function tip(handler, event, item, value) {
  bubble?.remove();
  bubble = null;
  if (value === null || value === undefined || value === '') return;
  bubble = el('div', { class: 'tip', role: 'tooltip' }, shown(String(value)));
  document.body.append(bubble);
  bubble.style.left = `${Math.min(event.clientX + 12, innerWidth - bubble.offsetWidth - 8)}px`;
  bubble.style.top = `${Math.min(event.clientY + 12, innerHeight - bubble.offsetHeight - 8)}px`;
}

const short = (value) => Number(value.toPrecision(3)).toLocaleString('en', { maximumSignificantDigits: 3 });
const rate = (value) => `${Math.round(1000 * value) / 10} %`;

/** The points that no other beats on both quality and price, cheapest first. */
function front(points) {
  const best = [];
  for (const point of [...points].sort((a, b) => a.price - b.price || b.rate - a.rate)) {
    if (!best.length || point.rate > best.at(-1).rate) best.push(point);
  }
  return best;
}

function panelPoints(index, task, measure) {
  const points = index.points.filter((point) => point.task === task);
  return points.map((point) => {
    const price = point[measure];
    return {
      ...point, price,
      low_price: measure === 'joules' ? point.joules_low ?? price : price,
      high_price: measure === 'joules' ? point.joules_high ?? price : price,
      label: [point.rung, [...(point.smallest ? ['smallest'] : []), ...(point.chosen ? ['chosen'] : [])].join(' · ')].filter(Boolean),
      tip: `${point.rung}: ${point.passed} of ${point.trials} (${rate(point.rate)}${point.low === null ? '' : `, interval ${rate(point.low)} to ${rate(point.high)}`})\n${price === null ? 'price unknown' : `${short(price)} ${index.measures[measure].unit} a case`}${measure === 'joules' && point.kind ? `\n${point.kind}` : ''}`,
    };
  });
}

// Sizes in px: the height of a panel's plot and what is left and right of it; a mark; a letter and a line of 11 px text.
const [PLOT_HEIGHT, PLOT_LEFT, PLOT_RIGHT] = [128, 40, 8];
const [MARK_PX, CHAR_PX, LINE_PX] = [13, 6.1, 13];
const TOP_RATE = 1.05;
// Places for a label, the best first: its alignment, px to the right of its mark, and own heights below it.
const PLACES = [
  ['left', 10, 0], ['right', -10, 0], ['center', 0, -1.3], ['center', 0, 1.3],
  ['left', 9, -0.8], ['left', 9, 0.8], ['right', -9, -0.8], ['right', -9, 0.8], ['center', 0, -2], ['center', 0, 2],
  ['left', 9, -1.6], ['left', 9, 1.6], ['right', -9, -1.6], ['right', -9, 1.6],
];

const overlap = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
const boxAt = (x, y, width, height) => ({ left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 });

/** The box of a label at one of these places, in px of the plot. */
function labelBox({ x, y, label }, [align, dx, heights]) {
  const [width, height] = [Math.max(...label.map((line) => line.length)) * CHAR_PX + 2, label.length * LINE_PX];
  return boxAt(x + dx + { left: width / 2, right: -width / 2, center: 0 }[align], y + below(heights, height), width, height);
}

/** The distance from a mark down to the middle of a label of this height, in px. */
const below = (heights, height) => Math.sign(heights) * (Math.abs(heights) * height + (Math.abs(heights) > 1 ? (MARK_PX - height) / 2 : 0));

/** The points, each with the place where its label least hides marks and other labels and leaves the panel. */
function labelled(points, along, width) {
  const frame = { left: -2, right: width + PLOT_RIGHT, top: -16, bottom: PLOT_HEIGHT + 4 };
  const placed = points.map((point) => ({ ...point, x: along(point.price) * width, y: (1 - point.rate / TOP_RATE) * PLOT_HEIGHT, place: PLACES[0], box: null }));
  const cost = (point, place, rank) => {
    const box = labelBox(point, place);
    const outside = (box.right - box.left) * (box.bottom - box.top) - overlap(box, frame);
    const hidden = placed.reduce((sum, other) => sum + (other === point ? 0 : 2 * overlap(box, boxAt(other.x, other.y, MARK_PX, MARK_PX)) + (other.box ? overlap(box, other.box) : 0)), 0);
    return 4 * outside + 4 * hidden + rank;
  };
  // In the second round all other labels have a place.
  for (let round = 0; round < 2; round += 1) {
    for (const point of [...placed].sort((a, b) => b.label.join().length - a.label.join().length)) {
      const costs = PLACES.map((place, rank) => cost(point, place, rank));
      point.place = PLACES[costs.indexOf(Math.min(...costs))];
      point.box = labelBox(point, point.place);
    }
  }
  return placed.map(({ place: [align, dx, heights], ...point }) => ({ ...point, align, dx, dy: below(heights, point.label.length * LINE_PX) - (point.label.length - 1) * LINE_PX / 2 }));
}

// The units of a price, the largest first; an axis has the largest unit that its middle reaches.
const UNITS = {
  joules: [['MJ per case', 1e6], ['kJ per case', 1e3], ['J per case', 1], ['mJ per case', 1e-3], ['µJ per case', 1e-6]],
  seconds: [['s per case', 1], ['ms per case', 1e-3]],
  completion: [['completion tokens per case', 1]],
  usd: [['USD per 1,000 cases', 1e-3]],
};

/** The ticks of a logarithmic axis: powers of ten, and 2 and 5 times them where those are few. */
function logTicks(low, high) {
  const powers = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) powers.push(Number(`1e${power}`));
  const inside = (values) => values.filter((value) => value >= low && value <= high);
  const tens = inside(powers);
  return tens.length > 2 ? tens : inside(powers.flatMap((power) => [power, 2 * power, 5 * power]));
}

/** The horizontal axis that all panels share: its ends, its unit, and the place of a price along it, 0 to 1. */
function priceAxis(measure, [least, most]) {
  const log = least > 0 && most / least > 4;
  const [low, high] = log ? [least / 1.3, most * 1.6] : [0, most * 1.15 || 1];
  const middle = log ? Math.sqrt(least * most) : most;
  const [title, factor] = UNITS[measure].find(([, size]) => middle >= size) ?? UNITS[measure].at(-1);
  // With ~g a linear axis would show 1e+1 for 10; with ~f a logarithmic one would show nothing for a millionth.
  const axis = { grid: false, format: log ? ',~g' : ',~f', labelOverlap: true, tickSize: 3, ...(log ? { values: logTicks(low / factor, high / factor) } : { tickCount: 4 }) };
  return {
    low, high, factor,
    along: (price) => (log ? Math.log(price / low) / Math.log(high / low) : price / high),
    x: { field: 'price', type: 'quantitative', title: `${title}${log ? ' (log)' : ''}`, scale: { ...(log ? { type: 'log' } : {}), domain: [low / factor, high / factor], nice: false }, axis },
  };
}

/** The points with numbers for names, which stand below the chart then. */
const numbered = (points) => points.map((point, place) => ({ ...point, number: place + 1, label: [String(place + 1), ...point.label.slice(1)] }));

// So many px² of a label may lie on a mark or another label, at their corners.
const MOST_HIDDEN = 12;

/** Whether the names of the points hide marks or one another, wherever they are put. */
function areCrowded(points, axis, width) {
  const boxes = labelled(points, axis.along, width).map((point) => ({ box: point.box, mark: boxAt(point.x, point.y, MARK_PX, MARK_PX) }));
  return boxes.some(({ box }, place) => boxes.some((other, at) => at !== place && (overlap(box, other.box) > MOST_HIDDEN || overlap(box, other.mark) > MOST_HIDDEN)));
}

function panelSpec(points, goal, axis, width) {
  const { x, factor } = axis;
  const y = { field: 'rate', type: 'quantitative', title: null, scale: { domain: [0, TOP_RATE], nice: false }, axis: { format: '.0%', values: [0, 0.25, 0.5, 0.75, 1] } };
  const scaled = (values) => values.map((point) => ({ ...point, price: point.price / factor, low_price: Math.max(point.low_price, axis.low) / factor, high_price: Math.min(point.high_price, axis.high) / factor }));
  const paint = { field: 'state', type: 'nominal', legend: null, scale: { domain: ['passes', 'fails', 'undecided'], range: [colour('passes'), colour('fails'), colour('undecided')] } };
  const label = (more) => ({
    data: { values: scaled(labelled(points, axis.along, width)) },
    mark: { type: 'text', align: { expr: 'datum.align' }, dx: { expr: 'datum.dx' }, dy: { expr: 'datum.dy' }, baseline: 'middle', lineHeight: LINE_PX, ...more },
    encoding: { x, y, text: { field: 'label' } },
  });
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json', width: 'container', height: 180, padding: { left: 2, right: 6, top: 16, bottom: 2 }, autosize: { type: 'fit', resize: true, contains: 'padding' },
    data: { values: scaled(points) },
    layer: [
      { data: { values: [{ rate: goal }] }, mark: { type: 'rule', strokeDash: [5, 4], color: colour('ink'), opacity: 0.6 }, encoding: { y } },
      { data: { values: scaled(front(points)) }, mark: { type: 'line', color: colour('muted'), strokeWidth: 1.2, opacity: 0.7 }, encoding: { x, y, order: { field: 'price' } } },
      { mark: { type: 'rule', strokeWidth: 1.6, opacity: 0.75, clip: true }, encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color: paint } },
      { mark: { type: 'rule', strokeWidth: 1.2, opacity: 0.4, clip: true }, encoding: { x: { ...x, field: 'low_price' }, x2: { field: 'high_price' }, y, color: paint } },
      label({ stroke: colour('surface'), strokeWidth: 4, strokeJoin: 'round', fill: colour('surface') }),
      { mark: { type: 'point', size: 85, strokeWidth: 2, opacity: 1 }, encoding: { x, y, stroke: paint, fill: { condition: { test: "datum.state === 'passes'", value: colour('passes') }, value: colour('surface') }, shape: { field: 'state', type: 'nominal', legend: null, scale: { domain: ['passes', 'fails', 'undecided'], range: ['circle', 'square', 'triangle-up'] } }, tooltip: { field: 'tip' } } },
      label({}),
    ],
  };
}

function pricePanels(index) {
  const place = $('panels');
  const measured = () => document.querySelector('input[name=measure]:checked')?.value;
  const tasks = index.policies.filter((policy) => index.points.some((point) => point.task === policy.task));
  let most = 12;
  const render = () => {
    if (!tasks.length) {
      place.replaceChildren(el('p', { class: 'empty' }, 'Nothing to draw: no model has a pass rate, as each was stopped early or gave no answer. --rightsize-strategy=full asks all cases of all models.'));
      return;
    }
    const measure = measured();
    if (!measure) return;
    const known = index.points.flatMap((point) => panelPoints(index, point.task, measure)).filter((point) => point.price !== null);
    const axis = priceAxis(measure, priceDomain(known));
    place.replaceChildren(...tasks.slice(0, most).map((policy) => pricePanel(index, policy, measure, axis)));
    $('more-panels').hidden = tasks.length <= most;
    $('cut').hidden = !known.some((point) => point.low_price < axis.low || point.high_price > axis.high);
  };
  $('more-panels').addEventListener('click', () => { most = tasks.length; render(); });
  $('measure').hidden = !tasks.length;
  $('measure').addEventListener('change', render);
  whenWider(render);
  render();
}

/** The places of labels depend on the width: act again when the window's has changed. */
function whenWider(act) {
  let [width, timer] = [innerWidth, 0];
  addEventListener('resize', () => {
    clearTimeout(timer);
    timer = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; act(); } }, 200);
  });
}

// The factor by which intervals may widen the panels beyond the prices; those that reach further are cut at the edge.
const MOST_WIDER = 6;

/** The range that all panels share, so that they can be compared. */
function priceDomain(known) {
  const [least, most] = [Math.min(...known.map((point) => point.price)), Math.max(...known.map((point) => point.price))];
  const low = Math.min(...known.map((point) => point.low_price));
  const high = Math.max(...known.map((point) => point.high_price));
  return [Math.max(low, least / MOST_WIDER), Math.min(high, most * MOST_WIDER)];
}

function pricePanel(index, policy, measure, axis) {
  const all = panelPoints(index, policy.task, measure);
  const points = all.filter((point) => point.price !== null);
  const { label, unit } = index.measures[measure];
  const said = missing([
    ...all.filter((point) => point.price === null).map((point) => [`${label.toLowerCase()} unknown`, point.rung]),
    ...policy.without.map(([rung, why]) => [why, rung]),
  ]);
  const place = el('div', { class: 'plot' });
  const figure = el('figure', { class: 'chart' }, el('figcaption', {}, el('span', {}, shown(policy.task)), el('span', { class: `pill ${policy.verdict}` }, policy.verdict)), place, said ? el('p', { class: 'missing' }, shown(said)) : '');
  const words = `${policy.task}: ${points.map((point) => `${point.rung} ${rate(point.rate)} at ${short(point.price)} ${unit}`).join(', ')}`;
  if (points.length) whenSeen(figure, () => {
    const width = place.clientWidth - PLOT_LEFT - PLOT_RIGHT;
    const crowded = areCrowded(points, axis, width);
    const named = crowded ? numbered(points) : points;
    if (crowded) place.after(el('ol', {}, named.map((point) => el('li', {}, el('b', {}, String(point.number)), ' ', shown(point.rung)))));
    return draw(place, panelSpec(named, points[0].goal, axis, width), words);
  });
  else place.replaceChildren(el('p', { class: 'empty' }, `Nothing to draw: ${label.toLowerCase()} unknown.`));
  return figure;
}

/** `energy unknown: 1b, 4b; not run: frontier`, from pairs of a reason and a rung. */
function missing(pairs) {
  const reasons = [...new Set(pairs.map(([why]) => why))];
  return reasons.map((reason) => `${reason}: ${pairs.filter(([why]) => why === reason).map(([, rung]) => rung).join(', ')}`).join('; ');
}

/** Act once the element comes into view; else when its turn comes, as print also shows what nobody scrolled to. */
function whenSeen(element, act) {
  let isDone = false;
  const once = async () => {
    if (isDone || !element.isConnected) return;
    isDone = true;
    observer.disconnect();
    await act();
  };
  const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && once(), { rootMargin: '200px' });
  observer.observe(element);
  // One at a time, so that the page answers between two of them.
  turn = turn.then(calm).then(once);
}

let turn = Promise.resolve();

/** Prompt, reasoning and answer of a mean case, one bar for each rung. */
function tokensChart(index) {
  const kinds = [['prompt', 'prompt'], ['reasoning', 'reasoning'], ['answer', 'answer'], ['completion', 'answer + reasoning']];
  const rows = index.token_means.flatMap((row) => kinds
    .filter(([key]) => row[key] !== null && (key !== 'completion' || row.answer === null))
    .map(([key, label], order) => ({ rung: row.rung, kind: label, order, tokens: row[key], tip: `${row.rung}: ${short(row[key])} ${label} tokens a case` })));
  const place = $('tokens-chart');
  const unknown = index.token_means.filter((row) => row.completion === null).map((row) => ['tokens unknown', row.rung]);
  if (unknown.length) place.after(el('p', { class: 'why' }, shown(missing(unknown))));
  if (!rows.length) { place.replaceChildren(el('p', { class: 'missing' }, 'No tokens are known.')); return; }
  const used = [...new Set(rows.map((row) => row.kind))];
  const paint = { prompt: 'prompt', reasoning: 'reasoning', answer: 'answer' };
  const spec = () => ({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json', width: 'container', height: 78 + 30 * new Set(rows.map((row) => row.rung)).size + (isNarrow() ? 20 : 0), autosize: { type: 'fit', resize: true, contains: 'padding' }, padding: { left: 2, right: 10, top: 4, bottom: 2 },
    data: { values: rows },
    mark: { type: 'bar', cornerRadius: 2, stroke: colour('surface'), strokeWidth: 1 },
    encoding: {
      y: { field: 'rung', type: 'nominal', sort: null, title: null, axis: { labelFontSize: 12, labelColor: colour('ink'), domain: false, ticks: false, labelLimit: isNarrow() ? 130 : 300 } },
      x: { field: 'tokens', type: 'quantitative', title: 'tokens per case', axis: { tickCount: isNarrow() ? 4 : 6 } },
      color: { field: 'kind', type: 'nominal', title: null, sort: used, scale: { domain: used, range: used.map((kind) => colour(paint[kind] ?? 'mixed')) }, legend: { orient: 'top', labelLimit: 0, columns: isNarrow() ? 2 : 4, offset: 6 } },
      order: { field: 'order' }, tooltip: { field: 'tip' },
    },
  });
  const words = `Tokens per case: ${rows.map((row) => row.tip).join('; ')}`;
  const isNarrow = () => place.clientWidth < 520;
  const render = () => draw(place, spec(), words);
  whenSeen(place, render);
  const again = () => place.childElementCount && render();
  whenWider(again);
}

function charts(index) {
  pricePanels(index);
  if ($('tokens-chart')) tokensChart(index);
}
