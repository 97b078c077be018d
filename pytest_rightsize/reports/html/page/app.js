// Reacts to the reader: chosen task, filters, search, links, theme. The page's address holds the state.

const $ = (id) => document.getElementById(id);
const view = { task: null, show: 'all', query: '', page: 0, found: null, case: null };
let index;
let cases;
let texts;
let searching = 0;

async function start() {
  theme();
  index = await unpack($('page-data'));
  texts = new Texts([...document.querySelectorAll('script.bodies')], index.starts);
  cases = readCases(index);
  const name = (task) => shown(task).map((node) => node.textContent ?? node).join('');
  $('task').append(el('option', { value: '' }, 'All tasks'), ...index.tasks.map((task) => el('option', { value: task }, name(task))));
  for (const [key, label] of FILTERS) {
    const button = el('button', { type: 'button', 'data-show': key }, label, el('b', {}));
    button.addEventListener('click', () => go({ show: key, page: 0 }));
    $('filters').append(button);
  }
  $('task').addEventListener('change', () => go({ task: $('task').value || null, page: 0, case: null }));
  let timer;
  $('search').addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(() => go({ query: $('search').value, page: 0, case: null }), 200); });
  $('tools').hidden = false;
  window.addEventListener('hashchange', () => follow(true));
  await follow(false);
  charts(index);
  document.documentElement.dataset.ready = 'true';
}

/** Take the state from the address. */
async function follow(moved) {
  const given = new URLSearchParams(location.hash.slice(1));
  if (location.hash && !given.has('task') && !given.has('case') && !given.has('q') && !given.has('show')) {
    if (!moved) await list();
    return;
  }
  Object.assign(view, { task: given.get('task'), case: given.get('case'), show: given.get('show') ?? 'all', page: 0 });
  if (view.case !== null && given.get('task') === null) view.task = index.tasks[cases.find((one) => one.name === view.case)?.task] ?? null;
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
}

/** Find the texts that contain the query; null if another search has begun meanwhile. */
async function search(query) {
  view.query = query.trim();
  const mine = (searching += 1);
  view.found = null;
  if (!view.query) return true;
  $('status').textContent = 'Searching…';
  view.found = await texts.search(view.query, () => mine !== searching);
  return view.found;
}

/** True if a case contains the query in its name, its prompts or its answers. */
function holds(one) {
  if (!view.query) return true;
  if (one.name.toLowerCase().includes(view.query.toLowerCase())) return true;
  const has = (number) => number >= 0 && view.found?.has(number);
  return one.trials.some((trial) => has(trial.detail) || trial.answers.some((answer) => has(answer.text) || has(answer.reasoning) || has(answer.calls) || (answer.prompt >= 0 && index.prompts[answer.prompt].some(([, number]) => has(number)))));
}

async function list() {
  const task = view.task === null ? -1 : index.tasks.indexOf(view.task);
  const known = view.task === null || task >= 0;
  const near = cases.filter((one) => (task < 0 || one.task === task) && holds(one));
  $('task').value = known ? view.task ?? '' : '';
  if ($('search').value.trim() !== view.query) $('search').value = view.query;
  for (const [key, , test] of FILTERS) {
    const button = $('filters').querySelector(`[data-show="${key}"]`);
    button.setAttribute('aria-pressed', String(key === view.show));
    button.querySelector('b').textContent = near.filter(test).length.toLocaleString('en');
  }
  const test = FILTERS.find(([key]) => key === view.show)?.[2] ?? (() => true);
  const chosen = known ? near.filter(test) : [];
  const wanted = view.case === null ? -1 : chosen.findIndex((one) => one.name === view.case);
  if (wanted >= 0) view.page = Math.floor(wanted / PAGE);
  const shownCases = chosen.slice(view.page * PAGE, (view.page + 1) * PAGE);
  facts(task);
  status(chosen.length, known, wanted);
  const list = $('list');
  list.replaceChildren();
  let last = -1;
  for (const one of shownCases) {
    if (one.task !== last) list.append(el('h3', {}, el('a', { href: `#${new URLSearchParams({ task: index.tasks[one.task] })}` }, shown(index.tasks[one.task]))));
    last = one.task;
    const row = caseRow(one, index, texts, { query: view.query });
    list.append(row.element);
    if (one.name === view.case || (view.query && shownCases.length <= 5)) await row.open();
    if (one.name === view.case) { row.element.classList.add('target'); row.button.focus({ preventScroll: true }); }
  }
  pager(chosen.length);
}

function status(number, known, wanted) {
  const missing = view.case !== null && wanted < 0 ? ` There is no case “${view.case}” here.` : '';
  const text = known ? `${number.toLocaleString('en')} of ${cases.length.toLocaleString('en')} cases.${missing}` : `There is no task “${view.task}” in this run.`;
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
