// Builds the list of cases: a row for each, and its details with the prompt once and the answers side by side.

const PAGE = 25;
// Key, label, and the bit of a case's sides that it shows; 0 shows all.
const FILTERS = [['all', 'All', 0], ['changed', 'Models disagree', CHANGED], ['small', 'Too small', SMALL], ['errors', 'Errors', ERROR]];

/** Split `file::function[parameters]` into the part that distinguishes cases, on one line, and the rest. */
function nameParts(name) {
  const bracket = name.indexOf('[');
  const at = name.lastIndexOf('::');
  const [label, where] = bracket > 0 && name.endsWith(']') ? [name.slice(bracket + 1, -1), name.slice(0, bracket)]
    : at < 0 ? [name, ''] : [name.slice(at + 2), name.slice(0, at)];
  // pytest writes the end of a line in a parameter as `\n`.
  return [label.replace(/(?<!\\)(\\[nrt])+/g, ' '), where];
}

const caseLink = (index, one) => `#${new URLSearchParams({ task: index.tasks[one.task], case: one.name })}`;

/** `2 of 3` beside an outcome where a rung was asked several times. */
function tally(trials) {
  const heard = trials.filter((trial) => ['passed', 'failed'].includes(trial.outcome));
  return heard.length > 1 ? ` ${heard.filter((trial) => trial.outcome === 'passed').length} of ${heard.length}` : '';
}

/** One row of the list, all its repeats folded into it; its details are built when it is opened. */
function caseRow(number, cases, texts, options) {
  const { index } = cases;
  const one = cases.read(number);
  const [label, where] = nameParts(one.name);
  const panel = el('div', { class: 'detail', id: `case-${number}`, hidden: true });
  const outs = index.rungs.map((name, rung) => {
    const outcome = cases.outcome(number, rung);
    const mine = one.trials.filter((trial) => trial.rung === rung);
    const before = earlierOutcome(mine);
    return outcome && el('span', {}, mark(outcome), ' ', shown(name), tally(mine.filter((trial) => !trial.earlier)), el('span', { class: 'sr' }, ` ${WORDS[outcome]}${before ? '' : ';'}`),
      before ? el('small', {}, ` (before: ${WORDS[before]})`, el('span', { class: 'sr' }, ';')) : null);
  });
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

/** The outcome that an earlier run had, where it is shown because it was another. */
function earlierOutcome(trials) {
  const outcomes = new Set(trials.filter((trial) => trial.earlier).map((trial) => trial.outcome));
  return outcomes.has('passed') && outcomes.has('failed') ? 'mixed' : ['error', 'failed', 'passed'].find((outcome) => outcomes.has(outcome));
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
  const now = one.trials.filter((trial) => !trial.earlier);
  const passed = now.find((trial) => trial.outcome === 'passed' && trial.answers.length) ?? now.findLast((trial) => trial.answers.length);
  const reference = passed?.answers.length === 1 ? { trial: passed, text: await texts.get(passed.answers[0].text) ?? '' } : null;
  const columns = await Promise.all(repeats(one.trials).map((same) => trialColumn(same, index, texts, { query, reference, asked, name: one.name })));
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

/** The trials in groups: samples of one rung that ended alike, with the same answers, stand together. */
function repeats(trials) {
  const groups = new Map();
  for (const trial of trials) {
    const { rung, earlier, outcome, reason, detail } = trial;
    const key = JSON.stringify([rung, earlier, outcome, reason, detail, trial.answers.map((answer) => [answer.text, answer.reasoning, answer.calls, answer.prompt])]);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(trial);
  }
  return [...groups.values()];
}

async function promptBlocks(messages, index, texts, query) {
  const blocks = await Promise.all(messages.map(async ([role, number, ...images]) => {
    const text = await texts.get(number) ?? '';
    return [el('p', { class: 'role' }, shown(index.words[role])), ...block(text, `Prompt, ${index.words[role]}`, query), ...await pictures(images)];
  }));
  return blocks.flat();
}

let allPictures = null;

/** Images of a prompt, small; they are unpacked when the first one is shown, and all of them are data in this page. */
async function pictures(numbers) {
  if (!numbers.length) return [];
  allPictures ??= unpack($('pictures'));
  const all = await allPictures;
  return [el('div', { class: 'pictures' }, numbers.map((number) => {
    const [src, width, height, words] = all[number];
    return el('figure', {}, el('img', { src, width, height, alt: 'Image in the prompt', decoding: 'async' }), el('figcaption', {}, `${width.toLocaleString('en')} × ${height.toLocaleString('en')} ${words}`));
  }))];
}

/** Samples on one rung that ended alike: their outcome and answers, and the mean of what these took. */
async function trialColumn(same, index, texts, { query, reference, asked, name }) {
  const [trial] = same;
  const rung = index.rungs[trial.rung];
  const numbers = same.map((one) => one.sample + 1);
  const sample = numbers.length > 1 ? `, samples ${numbers.join(', ')}` : trial.sample ? `, sample ${numbers[0]}` : '';
  const title = el('h5', {}, mark(trial.outcome), trial.earlier ? 'before: ' : '', shown(rung), sample, el('span', { class: 'note' }, [WORDS[trial.outcome], ...(trial.reason && trial.reason !== 'wrong' ? [`(${trial.reason})`] : [])].join(' ')));
  const parts = [title];
  for (const [place, answer] of trial.answers.entries()) {
    if (place && answer.prompt >= 0) parts.push(el('p', { class: 'role' }, 'then asked'), ...await promptBlocks(index.prompts[answer.prompt].slice(-1), index, texts, query));
    else if (asked && answer.prompt >= 0 && answer.prompt !== asked.prompt) parts.push(el('p', { class: 'role' }, 'was asked otherwise'), ...await promptBlocks(index.prompts[answer.prompt], index, texts, query));
    const all = same.map((one) => one.answers[place]);
    parts.push(...await answerBlocks(answer, all, texts, { query, reference: trial.answers.length === 1 && reference ? reference.text : null, label: `Answer of ${rung} to ${name}` }));
  }
  const detail = await texts.get(trial.detail);
  if (detail) parts.push(el('div', { class: 'why-failed' }, block(detail, `Why: ${rung}`, query)));
  return el('div', { class: `answer ${trial.outcome}${trial.earlier ? ' earlier' : ''}` }, parts);
}

async function answerBlocks(answer, all, texts, { query, reference, label }) {
  const [text, reasoning, calls] = await Promise.all([texts.get(answer.text), texts.get(answer.reasoning), texts.get(answer.calls)]);
  const folded = (title, content) => (content ? el('details', {}, el('summary', {}, title), block(content, title, query)) : null);
  const thought = answer.tokens[2] === null ? '' : ` (${answer.tokens[2].toLocaleString('en')} tokens)`;
  return [...block(text ?? '', label, query, reference), folded(`Reasoning${thought}`, reasoning), folded('Tool calls', calls), el('p', { class: 'meta' }, all.length > 1 ? `on average ${taken(meanOf(all))}` : taken(answer))].filter(Boolean);
}

/** The mean of what answers took; an amount that is unknown of one is unknown. */
function meanOf(all) {
  const mean = (read) => (all.some((answer) => read(answer) === null) ? null : all.reduce((sum, answer) => sum + read(answer), 0) / all.length);
  const tokens = [0, 1, 2].map((place) => mean((answer) => answer.tokens[place]));
  return {
    tokens: tokens.map((value) => (value === null ? null : Math.round(10 * value) / 10)),
    seconds: mean((answer) => answer.seconds), joules: mean((answer) => answer.joules), usd: mean((answer) => answer.usd),
    finish: all[0].finish, cached: all.every((answer) => answer.cached),
  };
}

/** `12 + 3 tokens (2 reasoning) · 0.4 s · energy unknown`: an unknown amount is called unknown, never 0. */
function taken({ tokens: [prompt, completion, reasoning], seconds, joules, usd, finish, cached }) {
  const number = (value, unit, unknown) => (value === null ? unknown : `${Number(value.toPrecision(3)).toLocaleString('en', { maximumSignificantDigits: 3 })} ${unit}`);
  return [
    completion === null ? 'tokens unknown' : `${prompt?.toLocaleString('en') ?? '?'} + ${completion.toLocaleString('en')} tokens${reasoning ? ` (${reasoning.toLocaleString('en')} reasoning)` : ''}`,
    number(seconds, 's', 'time unknown'),
    number(joules, 'J', 'energy unknown'),
    ...(usd === null ? [] : [number(usd, 'USD', '')]),
    ...(finish && finish !== 'stop' ? [`ended by ${finish}`] : []),
    ...(cached ? ['recorded'] : []),
  ].join(' · ');
}
