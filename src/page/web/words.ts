// A command line as people type it, in words and back, as a shell does it with quotes; nothing in it is expanded.

/** The words of a line, or as a text why it cannot be split. */
export function splitWords(line: string): readonly string[] | string {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < line.length; at += 1) {
    const one = line[at] ?? '';
    if (/\s/.test(one)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (one === '"' || one === "'") {
      const end = closing(line, at);
      if (end < 0) return `the quote ${one} is not closed`;
      const inside = line.slice(at + 1, end);
      word = (word ?? '') + (one === '"' ? inside.replace(/\\(["\\$`])/g, '$1') : inside);
      at = end;
    } else if (one === '\\' && at + 1 < line.length) {
      at += 1;
      word = (word ?? '') + (line[at] ?? '');
    } else {
      word = (word ?? '') + one;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

function closing(line: string, from: number): number {
  const quote = line[from];
  for (let at = from + 1; at < line.length; at += 1) {
    if (line[at] === quote) return at;
    if (quote === '"' && line[at] === '\\') at += 1;
  }
  return -1;
}

/** A command as it would be typed: the name as it is, and its arguments, quoted where a shell would take them apart. */
export function formatCommand([name = '', ...args]: readonly string[]): string {
  return [name, ...args.map(formatWord)].join(' ');
}

/** For display: without the `--` that ends the options, which says nothing to people. */
export function shownCommand(words: readonly string[]): string {
  return formatCommand(withoutEnd(words));
}

/** Without the first `--`. */
export function withoutEnd<Word>(words: readonly Word[]): readonly Word[] {
  const end = words.findIndex((word) => word === '--');
  return words.filter((_, at) => at !== end);
}

function formatWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
