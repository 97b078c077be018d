// Reacts to the reader: chosen task, filters, search, links, theme. The page's address holds the state.

const $ = (id) => document.getElementById(id);
// `awaited` says that the reader has typed a search and has not seen its end: charts wait for that.
const view = { task: null, show: 'all', query: '', page: 0, found: null, case: null, awaited: false };
let index;
let cases;
let texts;
let searching = 0;

async function start() {
  theme();
  if (!window.DecompressionStream) { $('old-browser').hidden = false; return; }
  index = await unpack($('page-data'));
  texts = new Texts($('text-words'), [...document.querySelectorAll('script.bodies')], index);
  cases = new Cases(index);
  if (index.earlier) {
    FILTERS.splice(1, 0, ['since', `Changed since ${index.earlier}`, SINCE]);
    if (cases.sides.some((bits) => bits & SINCE)) view.show = 'since';
  }
  const name = (task) => shown(task).map((node) => node.textContent ?? node).join('');
  $('task').append(el('option', { value: '' }, 'All tasks'), ...index.tasks.map((task) => el('option', { value: task }, name(task))));
  for (const [key, label] of FILTERS) {
    const button = el('button', { type: 'button', 'data-show': key }, label, el('b', {}));
    button.addEventListener('click', () => go({ show: key, page: 0 }));
    $('filters').append(button);
  }
  $('task').addEventListener('change', () => go({ task: $('task').value || null, page: 0, case: null }));
  let timer;
  $('search').addEventListener('input', () => { view.awaited = true; clearTimeout(timer); timer = setTimeout(() => go({ query: $('search').value, page: 0, case: null }), 60); });
  $('tools').hidden = false;
  window.addEventListener('hashchange', () => follow(true));
  await follow(false);
  document.documentElement.dataset.ready = 'true';
  // What a search needs comes first: a reader may type at once, and charts take the browser longer.
  const prepared = texts.prepare();
  await Promise.race([prepared, new Promise((go) => { setTimeout(go, 500); })]);
  charts(index);
  await prepared;
}

/** Take the state from the address. */
async function follow(moved) {
  const given = new URLSearchParams(location.hash.slice(1));
  if (location.hash && !given.has('task') && !given.has('case') && !given.has('q') && !given.has('show')) {
    if (!moved) await list();
    return;
  }
  Object.assign(view, { task: given.get('task'), case: given.get('case'), show: given.get('show') ?? (location.hash ? 'all' : view.show), page: 0 });
  if (view.case !== null && given.get('task') === null) view.task = index.tasks[index.cases.task[index.cases.name.indexOf(view.case)]] ?? null;
  await search(given.get('q') ?? '');
  await list();
  if (location.hash) (document.querySelector('.case.target') ?? $('cases')).scrollIntoView({ block: 'start', behavior: 'instant' });
}

/** Change the state, and the address with it. */
async function go(change) {
  Object.assign(view, change);
  if ('query' in change && await search(change.query) === null) return;
  const said = new URLSearchParams();
  if (view.task !== null) said.set('task', view.task);
  if (view.show !== 'all') said.set('show', view.show);
  if (view.query) said.set('q', view.query);
  history.replaceState(null, '', `#${said.toString() || 'cases'}`);
  await list();
  if ('query' in change) view.awaited = false;
}

/** Find the texts that contain the query; null if another search has begun meanwhile. */
async function search(query) {
  view.query = query.trim();
  const mine = (searching += 1);
  view.found = null;
  if (!view.query) return true;
  $('status').textContent = 'Searching…';
  const found = await texts.search(view.query, () => mine !== searching);
  if (found === null) return null;
  view.found = found.includes(1) ? found : null;
  return true;
}

async function list() {
  const task = view.task === null ? -1 : index.tasks.indexOf(view.task);
  const known = view.task === null || task >= 0;
  const near = [];
  const query = folded(view.query);
  for (let number = 0; number < cases.count; number += 1) {
    if ((task < 0 || index.cases.task[number] === task) && (!view.query || cases.holds(number, query, view.found))) near.push(number);
  }
  const fits = (bit) => (number) => bit === 0 || (cases.sides[number] & bit) !== 0;
  $('task').value = known ? view.task ?? '' : '';
  if ($('search').value.trim() !== view.query) $('search').value = view.query;
  for (const [key, , bit] of FILTERS) {
    const button = $('filters').querySelector(`[data-show="${key}"]`);
    button.setAttribute('aria-pressed', String(key === view.show));
    button.querySelector('b').textContent = near.filter(fits(bit)).length.toLocaleString('en');
  }
  const chosen = known ? near.filter(fits(FILTERS.find(([key]) => key === view.show)?.[2] ?? 0)) : [];
  const wanted = view.case === null ? -1 : chosen.findIndex((number) => index.cases.name[number] === view.case);
  if (wanted >= 0) view.page = Math.floor(wanted / PAGE);
  const shownCases = chosen.slice(view.page * PAGE, (view.page + 1) * PAGE);
  facts(task);
  status(chosen.length, known, wanted);
  const list = $('list');
  list.replaceChildren();
  let last = -1;
  for (const number of shownCases) {
    const of = index.cases.task[number];
    if (of !== last) list.append(el('h3', {}, el('a', { href: `#${new URLSearchParams({ task: index.tasks[of] })}` }, shown(index.tasks[of]))));
    last = of;
    const row = caseRow(number, cases, texts, { query: view.query });
    const isTarget = index.cases.name[number] === view.case;
    list.append(row.element);
    if (isTarget || (view.query && shownCases.length <= 5)) await row.open();
    if (isTarget) { row.element.classList.add('target'); row.button.focus({ preventScroll: true }); }
  }
  pager(chosen.length);
}

function status(number, known, wanted) {
  const missing = view.case !== null && wanted < 0 ? ` There is no case “${view.case}” here.` : '';
  const text = known ? `${number.toLocaleString('en')} of ${cases.count.toLocaleString('en')} cases.${missing}` : `There is no task “${view.task}” in this run.`;
  $('status').replaceChildren(...shown(text));
}

/** The facts of the chosen task: verdict, bar, smallest and chosen model, what to change. */
function facts(task) {
  const row = task < 0 ? null : index.policies[task];
  $('task-facts').replaceChildren(...(row ? [el('p', {},
    el('span', { class: `pill ${row.verdict}` }, row.verdict), ' ',
    `Bar ${row.bar}; smallest that passes: `, el('b', {}, shown(row.smallest ?? 'none')), '; chosen: ', el('b', {}, shown(row.chosen ?? 'none')),
    row.test_at ? ['; test at ', el('code', {}, shown(row.test_at))] : '', '. ', shown(row.remedy))] : []));
}

function pager(number) {
  const last = Math.max(0, Math.ceil(number / PAGE) - 1);
  const turn = (page) => () => { view.page = page; view.case = null; list().then(() => $('status').scrollIntoView({ block: 'start' })); };
  const [first, end] = [view.page * PAGE + 1, Math.min(number, (view.page + 1) * PAGE)];
  $('pager').hidden = number <= PAGE;
  $('pager').replaceChildren(
    el('button', { type: 'button', disabled: view.page === 0, onclick: turn(view.page - 1) }, 'Previous'),
    el('span', {}, `${first.toLocaleString('en')} to ${end.toLocaleString('en')} of ${number.toLocaleString('en')}`),
    el('button', { type: 'button', disabled: view.page >= last, onclick: turn(view.page + 1) }, 'Next'),
  );
}

/** The button of the theme: system, light and dark, in turn. */
function theme() {
  const names = ['system', 'light', 'dark'];
  const button = $('theme');
  button.hidden = false;
  button.addEventListener('click', () => {
    const next = names[(names.indexOf(document.documentElement.dataset.theme ?? 'system') + 1) % names.length];
    if (next === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    button.textContent = `Theme: ${next}`;
  });
}

start();
