// The charts, by Vega-Lite: unpacked when the first one comes into view; expressions are interpreted, never compiled.

let embedding = null;

function embed() {
  embedding ??= unpack($('vega-data')).then((code) => {
    const script = document.createElement('script');
    script.textContent = code;
    document.head.append(script);
    return window.rightsizeEmbed;
  });
  return embedding;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

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
  const box = el('div', { role: 'img', 'aria-label': words });
  place.replaceChildren(box);
  await vega(box, { ...spec, config: config() }, { actions: false, ast: true, renderer: 'svg', defaultStyle: false, tooltip: tip });
  // The words above say it all; the marks inside would only be read one by one.
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
  return index.points.filter((point) => point.task === task).map((point) => {
    const price = point[measure];
    return {
      ...point, price,
      low_price: measure === 'joules' ? point.joules_low ?? price : price,
      high_price: measure === 'joules' ? point.joules_high ?? price : price,
      label: [point.rung, ...(point.smallest ? ['smallest'] : []), ...(point.chosen ? ['chosen'] : [])].join(' · '),
      tip: `${point.rung}: ${point.passed} of ${point.trials} (${rate(point.rate)}${point.low === null ? '' : `, interval ${rate(point.low)} to ${rate(point.high)}`})\n${price === null ? 'price unknown' : `${short(price)} ${index.measures[measure].unit} a case`}${measure === 'joules' && point.kind ? `\n${point.kind}` : ''}`,
    };
  });
}

// How near each other two labels may stand, as a part of the panel's height.
const LABEL_GAP = 0.115;

/** The points with a place for each label: on the side that has room, and not on one another. */
function spread(points, middle, along) {
  const right = points.filter((point) => point.price > middle).length * 2 > points.length;
  const placed = [];
  for (const point of [...points].sort((a, b) => b.rate - a.rate || a.price - b.price)) {
    const own = points.some((other) => Math.abs(along(other.price) - along(point.price)) > 0.35) ? point.price > middle : right;
    const near = placed.filter((other) => other.right === own && Math.abs(along(other.price) - along(point.price)) < 0.4);
    placed.push({ ...point, right: own, label_at: Math.min(point.rate, 1, ...near.map((other) => other.label_at - LABEL_GAP)) });
  }
  // What was pushed below the panel pushes the others up again.
  for (const point of placed.toReversed()) {
    const below = placed.filter((other) => other !== point && other.right === point.right && other.label_at <= point.label_at && Math.abs(along(other.price) - along(point.price)) < 0.4 && placed.indexOf(other) > placed.indexOf(point));
    point.label_at = Math.max(point.label_at, 0, ...below.map((other) => other.label_at + LABEL_GAP));
  }
  return placed;
}

function panelSpec(points, goal, unit, domain) {
  const log = domain[0] > 0 && domain[1] / domain[0] > 4;
  const x = { field: 'price', type: 'quantitative', title: `${unit} per case${log ? ' (log)' : ''}`, scale: log ? { type: 'log', domain: [domain[0] / 1.3, domain[1] * 1.6], nice: false } : { domain: [0, domain[1] * 1.15] }, axis: { tickCount: 4, grid: false, format: '~s', labelOverlap: true, tickSize: 3 } };
  const y = { field: 'rate', type: 'quantitative', title: null, scale: { domain: [0, 1.05], nice: false }, axis: { format: '.0%', values: [0, 0.25, 0.5, 0.75, 1] } };
  const middle = log ? Math.sqrt(domain[0] * domain[1]) : domain[1] / 2;
  const labels = spread(points, middle, (price) => (log ? Math.log(price / domain[0]) / Math.log(domain[1] / domain[0]) : price / domain[1]));
  const paint = { field: 'state', type: 'nominal', legend: null, scale: { domain: ['passes', 'fails', 'undecided'], range: [colour('passes'), colour('fails'), colour('undecided')] } };
  const label = (align, halo) => ({
    data: { values: labels.filter((point) => point.right === (align === 'right')) },
    mark: { type: 'text', align, dx: align === 'left' ? 9 : -9, dy: -1, baseline: 'middle', ...(halo ? { stroke: colour('surface'), strokeWidth: 4, strokeJoin: 'round', fill: colour('surface') } : {}) },
    encoding: { x, y: { ...y, field: 'label_at' }, text: { field: 'label' } },
  });
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json', width: 'container', height: 170, padding: { left: 2, right: 6, top: 6, bottom: 2 }, autosize: { type: 'fit', resize: true, contains: 'padding' },
    data: { values: points.map((point) => ({ ...point, low_price: Math.max(point.low_price, domain[0] / 1.3), high_price: Math.min(point.high_price, domain[1] * 1.6) })) },
    layer: [
      { data: { values: [{ rate: goal }] }, mark: { type: 'rule', strokeDash: [5, 4], color: colour('ink'), opacity: 0.6 }, encoding: { y } },
      { data: { values: front(points) }, mark: { type: 'line', color: colour('muted'), strokeWidth: 1.2, opacity: 0.7 }, encoding: { x, y, order: { field: 'price' } } },
      { mark: { type: 'rule', strokeWidth: 1.6, opacity: 0.75, clip: true }, encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color: paint } },
      { mark: { type: 'rule', strokeWidth: 1.6, opacity: 0.75, clip: true }, encoding: { x: { ...x, field: 'low_price' }, x2: { field: 'high_price' }, y, color: paint } },
      { mark: { type: 'point', size: 85, strokeWidth: 2, opacity: 1 }, encoding: { x, y, stroke: paint, fill: { condition: { test: "datum.state === 'passes'", value: colour('passes') }, value: colour('surface') }, shape: { field: 'state', type: 'nominal', legend: null, scale: { domain: ['passes', 'fails', 'undecided'], range: ['circle', 'square', 'triangle-up'] } }, tooltip: { field: 'tip' } } },
      label('left', true), label('right', true), label('left', false), label('right', false),
    ],
  };
}

function pricePanels(index) {
  const place = $('panels');
  const measured = () => document.querySelector('input[name=measure]:checked')?.value;
  const tasks = index.policies.filter((policy) => index.points.some((point) => point.task === policy.task));
  let most = 12;
  const render = () => {
    const measure = measured();
    if (!measure) return;
    const domain = priceDomain(index, measure);
    place.replaceChildren(...tasks.slice(0, most).map((policy) => pricePanel(index, policy, measure, domain)));
    $('more-panels').hidden = tasks.length <= most;
  };
  $('more-panels').addEventListener('click', () => { most = tasks.length; render(); });
  $('measure').hidden = false;
  $('measure').addEventListener('change', render);
  document.addEventListener('theme', render);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', render);
  render();
}

// How far an interval may widen the panels beyond the prices themselves; what reaches further is cut at their edge.
const MOST_WIDER = 6;

/** The range that all panels share, so that they can be compared. */
function priceDomain(index, measure) {
  const known = index.tasks.flatMap((task) => panelPoints(index, task, measure)).filter((point) => point.price !== null);
  const [least, most] = [Math.min(...known.map((point) => point.price)), Math.max(...known.map((point) => point.price))];
  const low = Math.min(...known.map((point) => point.low_price));
  const high = Math.max(...known.map((point) => point.high_price));
  return [Math.max(low, least / MOST_WIDER), Math.min(high, most * MOST_WIDER)];
}

function pricePanel(index, policy, measure, domain) {
  const all = panelPoints(index, policy.task, measure);
  const points = all.filter((point) => point.price !== null);
  const missing = all.filter((point) => point.price === null).map((point) => point.rung);
  const idle = index.rungs.filter((rung) => !all.some((point) => point.rung === rung));
  const said = [...(missing.length ? [`${index.measures[measure].label.toLowerCase()} unknown: ${missing.join(', ')}`] : []), ...(idle.length ? [`not run: ${idle.join(', ')}`] : [])].join('; ');
  const place = el('div', { class: 'plot' });
  const figure = el('figure', { class: 'chart' }, el('figcaption', {}, el('span', {}, shown(policy.task)), el('span', { class: `pill ${policy.verdict}` }, policy.verdict)), place, said ? el('p', { class: 'missing' }, shown(said)) : '');
  const unit = index.measures[measure].unit;
  const words = `${policy.task}: ${points.map((point) => `${point.rung} ${rate(point.rate)} at ${short(point.price)} ${unit}`).join(', ')}`;
  if (points.length) whenSeen(figure, () => draw(place, panelSpec(points, points[0].goal, unit, domain), words));
  return figure;
}

function whenSeen(element, act) {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    act();
  }, { rootMargin: '200px' });
  observer.observe(element);
}

/** Prompt, reasoning and answer of a mean case, one bar for each rung. */
function tokensChart(index) {
  const kinds = [['prompt', 'prompt'], ['reasoning', 'reasoning'], ['answer', 'answer'], ['completion', 'answer, with any reasoning']];
  const rows = index.token_means.flatMap((row) => kinds
    .filter(([key]) => row[key] !== null && (key !== 'completion' || row.answer === null))
    .map(([key, label], order) => ({ rung: `${row.rung} · ${row.cases.toLocaleString('en')} cases`, kind: label, order, tokens: row[key], tip: `${row.rung}: ${short(row[key])} ${label} tokens a case` })));
  const place = $('tokens-chart');
  if (!rows.length) { place.replaceChildren(el('p', { class: 'missing' }, 'No tokens are known.')); return; }
  const used = [...new Set(rows.map((row) => row.kind))];
  const paint = { prompt: 'prompt', reasoning: 'reasoning', answer: 'answer' };
  const spec = () => ({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json', width: 'container', height: 78 + 30 * index.token_means.length, autosize: { type: 'fit', resize: true, contains: 'padding' }, padding: { left: 2, right: 10, top: 4, bottom: 2 },
    data: { values: rows },
    mark: { type: 'bar', cornerRadius: 2, stroke: colour('surface'), strokeWidth: 1 },
    encoding: {
      y: { field: 'rung', type: 'nominal', sort: null, title: null, axis: { labelFontSize: 12, labelColor: colour('ink'), domain: false, ticks: false, labelLimit: 220 } },
      x: { field: 'tokens', type: 'quantitative', title: 'tokens per case', axis: { tickCount: 6 } },
      color: { field: 'kind', type: 'nominal', title: null, sort: used, scale: { domain: used, range: used.map((kind) => colour(paint[kind] ?? 'mixed')) }, legend: { orient: 'top', labelLimit: 0 } },
      order: { field: 'order' }, tooltip: { field: 'tip' },
    },
  });
  const words = `Tokens per case: ${rows.map((row) => row.tip).join('; ')}`;
  const render = () => draw(place, spec(), words);
  whenSeen(place, render);
  const again = () => place.childElementCount && render();
  document.addEventListener('theme', again);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', again);
}

function charts(index) {
  pricePanels(index);
  tokensChart(index);
}
