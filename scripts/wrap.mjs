// Breaks the long lines of generated pages: at most 120 characters, never between backticks, and no line that would start an item.

/** `start` begins the first line, blanks of its length the others. */
export function wrapped(start, text) {
  const indent = ' '.repeat(start.length);
  const lines = [];
  for (const word of text.match(/(?:`[^`]*`|[^\s`])+/g)) {
    const last = lines.at(-1);
    const isSign = /^(?:[-+*]|#+|\d+[.)])$/.test(word);
    if (last !== undefined && (last.length + 1 + word.length <= 120 || isSign))
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`${last === undefined ? start : indent}${word}`);
  }
  return lines.join('\n');
}

/** A page whose items and paragraphs are one line each; rows of tables stay. */
export function wrappedPage(page) {
  let isCode = false;
  return page
    .split('\n')
    .map((line) => {
      if (line.startsWith('```')) isCode = !isCode;
      if (isCode || line.startsWith('|') || line.length <= 120) return line;
      return line.startsWith('- ') ? wrapped('- ', line.slice(2)) : wrapped('', line);
    })
    .join('\n');
}
