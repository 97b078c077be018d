// Builds the list of cases: a row for each, and its details with the prompt once and the answers side by side.

const PAGE = 25;
const FILTERS = [
  ['all', 'All', () => true],
  ['changed', 'Changed sides', (one) => one.changed],
  ['small', 'Too small', (one) => one.small],
  ['errors', 'Errors', (one) => one.error],
];

/** Split `file::function[parameters]` into the part that distinguishes cases, and the rest. */
function nameParts(name) {
  const bracket = name.indexOf('[');
  if (bracket > 0 && name.endsWith(']')) return [name.slice(bracket + 1, -1), name.slice(0, bracket)];
  const at = name.lastIndexOf('::');
  return at < 0 ? [name, ''] : [name.slice(at + 2), name.slice(0, at)];
}

const caseLink = (index, one) => `#${new URLSearchParams({ task: index.tasks[one.task], case: one.name })}`;

/** One row of the list; its details are built when it is opened. */
function caseRow(one, index, texts, options) {
  const [label, where] = nameParts(one.name);
  const panel = el('div', { class: 'detail', id: `case-${one.number}`, hidden: true });
  const outs = one.outcomes.map((outcome, rung) => outcome && el('span', {}, mark(outcome), ' ', shown(index.rungs[rung]), el('span', { class: 'sr' }, ` ${WORDS[outcome]};`)));
  const below = el('small', {}, shown(where));
  preview(one, index, texts).then((text) => text && below.replaceChildren(...shown(text, options.query)));
  const button = el('button', { type: 'button', 'aria-expanded': 'false', 'aria-controls': panel.id },
    el('span', { class: 'name' }, shown(label, options.query), below),
    el('span', { class: 'outs' }, outs));
  const open = async () => {
    const closed = button.getAttribute('aria-expanded') === 'false';
    button.setAttribute('aria-expanded', String(closed));
    panel.hidden = !closed;
    if (closed && !panel.childElementCount) panel.append(...await caseDetail(one, index, texts, options));
  };
  button.addEventListener('click', open);
  return { element: el('article', { class: 'case', 'data-case': one.name }, el('h4', {}, button), panel), button, open };
}

const firstAnswer = (one) => one.trials.flatMap((trial) => trial.answers.slice(0, 1)).find((answer) => answer.prompt >= 0);

/** The beginning of the prompt, on one line: it distinguishes cases whose names do not. */
async function preview(one, index, texts) {
  const message = index.prompts[firstAnswer(one)?.prompt]?.at(-1);
  return message ? (await texts.get(message[1]) ?? '').slice(0, 400).replace(/\s+/g, ' ').trim().slice(0, 160) : '';
}

/** The prompt once, then each rung's answers; differences are marked against the smallest rung that passed the case. */
async function caseDetail(one, index, texts, { query }) {
  const asked = firstAnswer(one);
  const passed = one.trials.find((trial) => trial.outcome === 'passed' && trial.answers.length) ?? one.trials.findLast((trial) => trial.answers.length);
  const reference = passed?.answers.length === 1 ? { trial: passed, text: await texts.get(passed.answers[0].text) ?? '' } : null;
  const columns = await Promise.all(one.trials.map((trial) => trialColumn(trial, index, texts, { query, reference, asked, name: one.name })));
  const others = one.trials.filter((trial) => trial.answers.length).length > 1;
  const note = reference && others
    ? el('p', { class: 'note' }, 'Differences are marked against ', el('b', {}, shown(index.rungs[reference.trial.rung])),
      reference.trial.outcome === 'passed' ? ', the smallest model that passed this case.' : ', the largest that answered.')
    : null;
  return [
    asked ? el('div', { class: 'prompt' }, el('h5', {}, 'Prompt'), await promptBlocks(index.prompts[asked.prompt], index, texts, query)) : el('p', { class: 'note' }, 'The prompt is not in the results file.'),
    note,
    el('div', { class: 'answers' }, columns),
    el('p', { class: 'note' }, el('code', {}, shown(one.name)), ' · ', el('a', { href: caseLink(index, one) }, 'Link to this case')),
  ].filter(Boolean);
}

async function promptBlocks(messages, index, texts, query) {
  const blocks = await Promise.all(messages.map(async ([role, number]) => {
    const text = await texts.get(number) ?? '';
    return [el('p', { class: 'role' }, shown(index.words[role])), ...block(text, `Prompt, ${index.words[role]}`, query)];
  }));
  return blocks.flat();
}

/** One sample on one rung: its outcome, its answers, and their tokens, time, energy and cost. */
async function trialColumn(trial, index, texts, { query, reference, asked, name }) {
  const rung = index.rungs[trial.rung];
  const sample = trial.sample ? `, sample ${trial.sample + 1}` : '';
  const title = el('h5', {}, mark(trial.outcome), shown(rung), sample, el('span', { class: 'note' }, [WORDS[trial.outcome], ...(trial.reason && trial.reason !== 'wrong' ? [`(${trial.reason})`] : [])].join(' ')));
  const parts = [title];
  for (const [place, answer] of trial.answers.entries()) {
    if (place && answer.prompt >= 0) parts.push(el('p', { class: 'role' }, 'then asked'), ...await promptBlocks(index.prompts[answer.prompt].slice(-1), index, texts, query));
    else if (asked && answer.prompt >= 0 && answer.prompt !== asked.prompt) parts.push(el('p', { class: 'role' }, 'was asked otherwise'), ...await promptBlocks(index.prompts[answer.prompt], index, texts, query));
    parts.push(...await answerBlocks(answer, texts, { query, reference: trial.answers.length === 1 && reference ? reference.text : null, label: `Answer of ${rung} to ${name}` }));
  }
  const detail = await texts.get(trial.detail);
  if (detail) parts.push(el('div', { class: 'why-failed' }, block(detail, `Why: ${rung}`, query)));
  return el('div', { class: `answer ${trial.outcome}` }, parts);
}

async function answerBlocks(answer, texts, { query, reference, label }) {
  const [text, reasoning, calls] = await Promise.all([texts.get(answer.text), texts.get(answer.reasoning), texts.get(answer.calls)]);
  const folded = (title, content) => (content ? el('details', {}, el('summary', {}, title), block(content, title, query)) : null);
  const thought = answer.tokens[2] === null ? '' : ` (${answer.tokens[2].toLocaleString('en')} tokens)`;
  return [...block(text ?? '', label, query, reference), folded(`Reasoning${thought}`, reasoning), folded('Tool calls', calls), el('p', { class: 'meta' }, taken(answer))].filter(Boolean);
}

/** `12 + 3 tokens · 0.4 s · energy unknown`: an unknown amount is called unknown, never 0. */
function taken({ tokens: [prompt, completion], seconds, joules, usd, finish, cached }) {
  const number = (value, unit, unknown) => (value === null ? unknown : `${Number(value.toPrecision(3)).toLocaleString('en', { maximumSignificantDigits: 3 })} ${unit}`);
  return [
    prompt === null || completion === null ? 'tokens unknown' : `${prompt.toLocaleString('en')} + ${completion.toLocaleString('en')} tokens`,
    number(seconds, 's', 'time unknown'),
    number(joules, 'J', 'energy unknown'),
    ...(usd === null ? [] : [number(usd, 'USD', '')]),
    ...(finish && finish !== 'stop' ? [`ended by ${finish}`] : []),
    ...(cached ? ['recorded'] : []),
  ].join(' · ');
}
