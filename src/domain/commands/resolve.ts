// Which command the words of a line name. As the server does it: the first registered name that the leading words use up
// completely, whether a word holds one of its words or several. No abbreviation, no folding of case. No name is the
// beginning of another (a test holds that), so the order of registration does not matter.
import { type Command, commandsOf, ownCommands } from './catalog.js';
import { allSeries, type Series } from './series.js';

const byFirstWord = new Map<Series, Map<string, Command[]>>();
for (const series of allSeries) {
  const index = new Map<string, Command[]>();
  for (const command of commandsOf(series)) {
    const first = command.words[0] ?? '';
    const commands = index.get(first);
    if (commands === undefined) index.set(first, [command]);
    else commands.push(command);
  }
  byFirstWord.set(series, index);
}

/**
 * The command that `words` (everything after the user field) begins with, and the words behind its name. Undefined: the
 * server would answer "unknown command". `mailbox`, `cache purge` and `mailbox cache purge` spell the same; an empty word, a
 * second blank or a blank at an end matches nothing.
 */
export function resolveCommand(
  series: Series,
  words: readonly string[],
): { command: Command; args: readonly string[] } | undefined {
  const first = words[0];
  if (first === undefined || first === '') return undefined;
  const blank = first.indexOf(' ');
  const candidates = byFirstWord.get(series)?.get(blank === -1 ? first : first.slice(0, blank)) ?? [];
  for (const command of candidates) {
    const used = wordsUsed(command.name, words);
    if (used !== undefined) return { command, args: words.slice(used) };
  }
  return undefined;
}

/** The same for a command of our own, which no series has. */
export function resolveOwnCommand(
  words: readonly string[],
): { command: Command; args: readonly string[] } | undefined {
  for (const command of ownCommands) {
    const used = wordsUsed(command.name, words);
    if (used !== undefined) return { command, args: words.slice(used) };
  }
  return undefined;
}

/** How many leading words spell the name out to its end; undefined when they do not. */
function wordsUsed(name: string, words: readonly string[]): number | undefined {
  let at = 0;
  let used = 0;
  while (at < name.length) {
    const word = words[used];
    if (word === undefined || word === '' || !name.startsWith(word, at)) return undefined;
    const end = at + word.length;
    if (end !== name.length && name[end] !== ' ') return undefined;
    at = end + 1;
    used += 1;
  }
  return used;
}
