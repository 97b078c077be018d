// Unpacks the page's data: one index, read at once, and lists of texts, each read when one of its texts is needed.

/** The JSON value inside a packed script element. */
async function unpack(element) {
  const binary = atob(element.textContent.trim());
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return JSON.parse(await new Response(stream).text());
}

/** The texts by number; `starts` has the number of each chunk's first text. */
class Texts {
  constructor(elements, starts) {
    this.elements = elements;
    this.starts = starts;
    this.chunks = new Map();
  }

  chunk(place) {
    if (!this.chunks.has(place)) this.chunks.set(place, unpack(this.elements[place]));
    return this.chunks.get(place);
  }

  async get(number) {
    if (number < 0) return null;
    let [low, high] = [0, this.starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.starts[middle] <= number) low = middle;
      else high = middle - 1;
    }
    return (await this.chunk(low))[number - this.starts[low]];
  }

  /** The numbers of all texts that contain `query`, whatever its case; null once `stale()` says that nobody waits. */
  async search(query, stale) {
    const pattern = new RegExp(query.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'iu');
    const found = new Set();
    for (let place = 0; place < this.starts.length; place += 1) {
      const texts = await this.chunk(place);
      if (stale()) return null;
      texts.forEach((text, index) => pattern.test(text) && found.add(this.starts[place] + index));
    }
    return found;
  }
}

const OUTCOMES = ['passed', 'failed', 'error', 'not_run'];
const MARKS = { passed: 'passes', failed: 'fails', error: 'error', not_run: 'not_run', mixed: 'undecided' };
const WORDS = { passed: 'passed', failed: 'too small', error: 'error', not_run: 'not run', mixed: 'mixed' };

/** The rows of the index as objects, each case with the outcomes by which the list filters. */
function readCases(index) {
  const word = (number) => (number < 0 ? null : index.words[number]);
  const answer = ([text, reasoning, calls, prompt, tokens, seconds, joules, usd, finish, cached]) => ({
    text, reasoning, calls, prompt, tokens, seconds, joules, usd, finish: word(finish), cached: Boolean(cached),
  });
  return index.cases.map(([task, name, rows], number) => {
    const trials = rows.map(([rung, sample, outcome, reason, detail, answers]) => ({
      rung, sample, outcome: OUTCOMES[outcome], reason: word(reason), detail, answers: answers.map(answer),
    }));
    return { number, task, name, trials, ...sides(trials, index.rungs.length) };
  });
}

/** The outcome of a case on each rung, and whether rungs or samples differ, fail, or have errors. */
function sides(trials, rungs) {
  const outcomes = Array.from({ length: rungs }, (_, rung) => summed(trials.filter((trial) => trial.rung === rung)));
  const told = new Set(outcomes.filter((outcome) => ['passed', 'failed', 'mixed'].includes(outcome)));
  return {
    outcomes,
    changed: told.size > 1 || told.has('mixed'),
    small: told.has('failed') || told.has('mixed'),
    error: outcomes.includes('error'),
  };
}

function summed(trials) {
  const found = new Set(trials.map((trial) => trial.outcome));
  if (found.size === 0) return null;
  if (found.has('error')) return 'error';
  if (found.has('passed') && found.has('failed')) return 'mixed';
  return ['passed', 'failed', 'not_run'].find((outcome) => found.has(outcome));
}
