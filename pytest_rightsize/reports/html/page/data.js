// Unpacks the page's data: columns, read at once, and texts as numbers of words, read when one is shown or searched.

/** The bytes inside a packed script element. */
async function unpackBytes(element) {
  const packed = element.textContent.trim();
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(packed) : fromBase64(packed);
  // Written by hand: a Blob's stream goes through another process, which takes longer than the unpacking.
  const { readable, writable } = new DecompressionStream('gzip');
  const writer = writable.getWriter();
  // What fails here fails the reading too, which is awaited.
  writer.write(bytes).catch(() => {});
  writer.close().catch(() => {});
  return new Response(readable);
}

function fromBase64(packed) {
  const binary = atob(packed);
  const bytes = new Uint8Array(binary.length);
  for (let place = 0; place < binary.length; place += 1) bytes[place] = binary.charCodeAt(place);
  return bytes;
}

/** The JSON value inside a packed script element. */
const unpack = async (element) => (await unpackBytes(element)).json();

/** The numbers of words inside a packed chunk, with a 0 at the end of each text, and where each text begins. */
async function unpackChunk(element) {
  const bytes = new Uint8Array(await (await unpackBytes(element)).arrayBuffer());
  const numbers = new Uint32Array(bytes.length);
  const begins = [0];
  let count = 0;
  for (let place = 0; place < bytes.length; place += 1) {
    let number = bytes[place] & 127;
    for (let shift = 7; bytes[place] > 127; shift += 7) { place += 1; number |= (bytes[place] & 127) << shift; }
    numbers[count] = number;
    count += 1;
    if (number === 0) begins.push(count);
  }
  return { numbers: numbers.slice(0, count), begins };
}

// As in texts.py: a part of a text is a word or what stands between words, and between two words there is one space.
const PARTS = /[A-Za-z0-9_\u0080-\uffff]+|[^A-Za-z0-9_\u0080-\uffff]+/g;
const isWord = (part) => /^[A-Za-z0-9_\u0080-\uffff]/.test(part);
// One form of a text for a search that takes no notice of case; a Greek sigma has two small letters.
const folded = (text) => text.toLowerCase().replaceAll('ς', 'σ');

/** The texts by number, `texts` of them; `starts` has the number of each chunk's first text. */
class Texts {
  constructor(table, elements, { starts, texts }) {
    this.count = texts;
    this.table = table;
    this.elements = elements;
    this.starts = starts;
    this.chunks = new Map();
    this.words = null;
  }

  /** The words by number less 1, whether each is a word and no space or sign, and their forms for a search. */
  dictionary() {
    this.words ??= unpack(this.table).then((words) => ({ words, isWord: Uint8Array.from(words, isWord), folded: null }));
    return this.words;
  }

  chunk(place) {
    if (!this.chunks.has(place)) this.chunks.set(place, unpackChunk(this.elements[place]));
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
    const [{ words, isWord: are }, { numbers, begins }] = await Promise.all([this.dictionary(), this.chunk(low)]);
    const parts = [];
    let wasWord = false;
    for (let place = begins[number - this.starts[low]]; numbers[place] !== 0; place += 1) {
      const word = numbers[place] - 1;
      if (wasWord && are[word]) parts.push(' ');
      wasWord = are[word] === 1;
      parts.push(words[word]);
    }
    return parts.join('');
  }

  /** Unpack what a search needs, a piece at a time while the browser has nothing else to do. */
  async prepare() {
    await idle();
    const dictionary = await this.dictionary();
    await idle();
    dictionary.folded ??= dictionary.words.map(folded);
    for (let place = 0; place < this.starts.length; place += 1) {
      await idle();
      await this.chunk(place);
    }
  }

  /** 1 for each text that contains `query`, whatever its case; null once `stale()` says that nobody waits. */
  async search(query, stale) {
    const dictionary = await this.dictionary();
    dictionary.folded ??= dictionary.words.map(folded);
    const wanted = wantedWords(folded(query).match(PARTS), dictionary.folded);
    const found = new Uint8Array(this.count);
    if (wanted.every((allowed) => allowed !== null)) {
      // All at once: the browser unpacks beside this thread.
      this.starts.forEach((_, place) => this.chunk(place));
      for (let place = 0; place < this.starts.length; place += 1) {
        const chunk = await this.chunk(place);
        if (stale()) return null;
        for (const text of textsWith(chunk, wanted)) found[this.starts[place] + text] = 1;
      }
    }
    return found;
  }
}

/** Which words may stand in each place of a query: its first may end a longer word, its last may begin one. */
function wantedWords(parts, words) {
  const last = parts.length - 1;
  return parts.flatMap((part, place) => {
    if (part === ' ' && place > 0 && place < last) return [];
    const fits = last === 0 ? (word) => word.includes(part)
      : place === 0 ? (word) => word.endsWith(part)
        : place === last ? (word) => word.startsWith(part) : (word) => word === part;
    const allowed = new Uint8Array(words.length + 1);
    let some = false;
    words.forEach((word, number) => { if (fits(word)) { allowed[number + 1] = 1; some = true; } });
    return [some ? allowed : null];
  });
}

/** The texts of a chunk in which words that are wanted follow one another. */
function textsWith({ numbers, begins }, wanted) {
  const [first, ...rest] = wanted;
  const found = [];
  let text = 0;
  for (let place = 0; place < numbers.length; place += 1) {
    const number = numbers[place];
    if (number === 0) text += 1;
    else if (first[number] === 1 && rest.every((allowed, more) => allowed[numbers[place + 1 + more]] === 1)) {
      found.push(text);
      // The rest of this text is of no interest.
      place = begins[text + 1] - 1;
      text += 1;
    }
  }
  return found;
}

/** Wait until the browser has nothing else to do, or a moment has passed. */
const idle = () => new Promise((go) => { (window.requestIdleCallback ?? setTimeout)(go, window.requestIdleCallback ? { timeout: 1000 } : 30); });

/** The same, and nobody waits for a search. */
const calm = async () => { do await idle(); while (view.awaited); };

const OUTCOMES = ['passed', 'failed', 'error', 'not_run'];
const MARKS = { passed: 'passes', failed: 'fails', error: 'error', not_run: 'not_run', mixed: 'mixed' };
const WORDS = { passed: 'passed', failed: 'too small', error: 'error', not_run: 'not run', mixed: 'mixed' };

/** The cases by number, from columns: what the list filters by at once, the rest when a case is shown. */
class Cases {
  constructor(index) {
    this.index = index;
    this.count = index.cases.name.length;
    this.firstTrial = sums(index.cases.trials);
    this.firstAnswer = sums(index.trials.answers);
    this.sides = new Uint8Array(this.count);
    this.summed = new Uint8Array(this.count * index.rungs.length);
    this.names = null;
    this.sum();
  }

  /** Which outcomes each case has on each rung, as bits, and what follows for the filters. */
  sum() {
    const { rung, outcome, earlier } = this.index.trials;
    const rungs = this.index.rungs.length;
    for (let number = 0; number < this.count; number += 1) {
      let since = 0;
      for (let trial = this.firstTrial[number]; trial < this.firstTrial[number + 1]; trial += 1) {
        if (earlier[trial]) since = SINCE;
        else this.summed[number * rungs + rung[trial]] |= 1 << outcome[trial];
      }
      let [seen, error, mixed] = [0, 0, 0];
      for (let place = 0; place < rungs; place += 1) {
        const bits = this.summed[number * rungs + place];
        seen |= bits & 3;
        if ((bits & 3) === 3) mixed = 1;
        if (bits & 4) error = ERROR;
      }
      // Where one rung passes and another fails, or samples of one do, both bits are seen.
      this.sides[number] = since | error | (seen === 3 || mixed ? CHANGED : 0) | (seen & 2 ? SMALL : 0);
    }
  }

  /** The outcome of a case on a rung over its samples; null where none was planned. */
  outcome(number, rung) {
    const bits = this.summed[number * this.index.rungs.length + rung];
    if (bits === 0) return null;
    if (bits & 4) return 'error';
    return (bits & 3) === 3 ? 'mixed' : bits & 1 ? 'passed' : bits & 2 ? 'failed' : 'not_run';
  }

  /** Whether a case has the query, in folded form, in its name, its prompts or its answers; `found` has the texts that do. */
  holds(number, query, found) {
    this.names ??= this.index.cases.name.map(folded);
    if (this.names[number].includes(query)) return true;
    if (!found) return false;
    const { trials, answers, prompts } = this.index;
    for (let trial = this.firstTrial[number]; trial < this.firstTrial[number + 1]; trial += 1) {
      if (found[trials.detail[trial]]) return true;
      for (let answer = this.firstAnswer[trial]; answer < this.firstAnswer[trial + 1]; answer += 1) {
        if (found[answers.text[answer]] || found[answers.reasoning[answer]] || found[answers.calls[answer]]) return true;
        if (answers.prompt[answer] >= 0 && prompts[answers.prompt[answer]].some(([, text]) => found[text])) return true;
      }
    }
    return false;
  }

  /** A case with its trials and answers as objects. */
  read(number) {
    const { cases, trials, answers, words } = this.index;
    const word = (place) => (place < 0 ? null : words[place]);
    const range = (first, end) => Array.from({ length: end - first }, (_, place) => first + place);
    const answer = (row) => ({
      text: answers.text[row], reasoning: answers.reasoning[row], calls: answers.calls[row], prompt: answers.prompt[row],
      tokens: [answers.prompt_tokens[row], answers.completion_tokens[row], answers.reasoning_tokens[row]],
      seconds: answers.seconds[row], joules: answers.joules[row], usd: answers.usd[row],
      finish: word(answers.finish[row]), cached: Boolean(answers.cached[row]),
    });
    const trial = (row) => ({
      rung: trials.rung[row], sample: trials.sample[row], outcome: OUTCOMES[trials.outcome[row]], reason: word(trials.reason[row]),
      detail: trials.detail[row], earlier: Boolean(trials.earlier[row]),
      answers: range(this.firstAnswer[row], this.firstAnswer[row + 1]).map(answer),
    });
    return { number, task: cases.task[number], name: cases.name[number], trials: range(this.firstTrial[number], this.firstTrial[number + 1]).map(trial) };
  }
}

// Bits of what the list filters by.
const [CHANGED, SMALL, ERROR, SINCE] = [1, 2, 4, 8];

/** `[2, 3]` as `[0, 2, 5]`: where the rows of each begin. */
function sums(counts) {
  const ends = new Uint32Array(counts.length + 1);
  for (let place = 0; place < counts.length; place += 1) ends[place + 1] = ends[place] + counts[place];
  return ends;
}
