// The words that differ between two elements, marked in both.

const MOST = 1200; // words that may differ; beyond, all between the first and the last difference is marked

export function mark(first, second) {
  const [a, b] = [wordsOf(first), wordsOf(second)];
  const [inA, inB] = compare(a.map((word) => word.text), b.map((word) => word.text));
  wrap(a, inA);
  wrap(b, inB);
}

/** Which of the words of `a` and of `b` are not in a longest common sequence: two arrays of booleans. */
export function compare(a, b) {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const [inA, inB] = [new Array(a.length).fill(false), new Array(b.length).fill(false)];
  inA.fill(true, start, a.length - end);
  inB.fill(true, start, b.length - end);
  for (const [x, y] of common(a.slice(start, a.length - end), b.slice(start, b.length - end))) {
    inA[start + x] = inB[start + y] = false;
  }
  return [inA, inB];
}

/** Pairs of equal words in order (Myers 1986, O((N + M) D)); none where more than MOST differ. */
function common(a, b) {
  const trace = [];
  const far = new Map([[1, 0]]);
  for (let d = 0; d <= Math.min(a.length + b.length, MOST); d++) {
    trace.push(new Map(far));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && far.get(k - 1) < far.get(k + 1));
      let x = down ? far.get(k + 1) : far.get(k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      far.set(k, x);
      if (x >= a.length && x - k >= b.length) return walk(trace, a.length, b.length);
    }
  }
  return [];
}

function walk(trace, x, y) {
  const pairs = [];
  for (let d = trace.length - 1; d >= 0; d--) {
    const far = trace[d];
    const k = x - y;
    const down = k === -d || (k !== d && far.get(k - 1) < far.get(k + 1));
    const from = down ? far.get(k + 1) : far.get(k - 1);
    const fromY = from - (down ? k + 1 : k - 1);
    while (x > Math.max(from, 0) && y > Math.max(fromY, 0) && x > (down ? from : from + 1) && y > (down ? fromY + 1 : fromY)) {
      pairs.push([--x, --y]);
    }
    [x, y] = [from, fromY];
  }
  return pairs;
}

function wordsOf(element) {
  const found = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest("math, .language")) continue;
    // A character of Chinese, Japanese or Korean is a word of its own.
    for (const { 0: text, index } of node.data.matchAll(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]|[\p{L}\p{N}\p{M}_]+|[^\s]/gu)) {
      found.push({ node, text, at: index });
    }
  }
  return found;
}

function wrap(words, differs) {
  // From the end, so that what is split off a node leaves the offsets before it as they are.
  for (let at = words.length - 1; at >= 0; at--) {
    if (!differs[at]) continue;
    let first = at;
    while (first > 0 && differs[first - 1] && words[first - 1].node === words[at].node) first--;
    const part = words[first].node.splitText(words[first].at);
    part.splitText(words[at].at + words[at].text.length - words[first].at);
    const marked = document.createElement("mark");
    part.replaceWith(marked);
    marked.append(part);
    at = first;
  }
}
