// What may come next in a command for doveadm-server: names by the catalog, or those that somebody may run; then its options. It does
// not know where the line stands.

import { type Command, commandsOf, ownCommands, type Parameter } from '../../domain/commands/catalog.js';
import { statusFields } from '../../domain/commands/fetch-fields.js';
import { resolveCommand, resolveOwnCommand } from '../../domain/commands/resolve.js';
import { allSeries } from '../../domain/commands/series.js';
import type { Rights } from '../../domain/policy/rights.js';
import { type Candidate, type Candidates, nothing, wordsFrom } from './candidates.js';

/** What is known of the line around it. */
export interface CommandPlace {
  /** dovegate's own commands may be asked there too. */
  readonly hasOwn: boolean;
  /** What the one who types may run; asked only where names are wanted. Undefined: not known. */
  readonly rights: () => Promise<Rights | undefined>;
}

/** `words`: the command so far, the last one begun or empty. */
export async function completeCommandWords(
  words: readonly string[],
  place: CommandPlace,
): Promise<Candidates> {
  const before = words.slice(0, -1);
  const begun = words.at(-1) ?? '';
  const found = commandOf(before, place.hasOwn);
  if (found === undefined) return wordsFrom(begun, nextWords(before, namesIn(await place.rights(), place)));
  const { command, args } = found;
  if (args.includes('--')) return nothing;
  const wanted = optionNamed(command, args.at(-1));
  if (wanted !== undefined && wanted.type !== 'bool') return valuesOf(command, wanted, begun);
  if (begun.startsWith('-')) return wordsFrom(begun, optionsOf(command));
  const positional = command.params.find((parameter) => parameter.isPositional);
  if (args.length === 0 && positional !== undefined) return valuesOf(command, positional, begun);
  return nothing;
}

/** As the newest series has it. */
function commandOf(
  words: readonly string[],
  hasOwn: boolean,
): { command: Command; args: readonly string[] } | undefined {
  for (const series of allSeries.toReversed()) {
    const found = resolveCommand(series, words);
    if (found !== undefined) return found;
  }
  return hasOwn ? resolveOwnCommand(words) : undefined;
}

/** Names that may be sent: all that a server may know, or what rights list. Under observe more is allowed than is listed. */
function namesIn(rights: Rights | undefined, { hasOwn }: CommandPlace): Set<string> {
  const names = new Set(hasOwn ? ownCommands.map(({ name }) => name) : []);
  const all = allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name));
  const isKnown = rights !== undefined && !rights.isObserving;
  const denied = new Set(
    (rights?.deny ?? []).flatMap(({ command, says }) => (says.length === 0 ? [command] : [])),
  );
  for (const name of isKnown ? rights.allow.map(({ command }) => command) : all)
    if (!denied.has(name)) names.add(name);
  return names;
}

/** The words that go on from what stands there. */
function nextWords(before: readonly string[], names: ReadonlySet<string>): Candidate[] {
  const begin = before.map((word) => `${word} `).join('');
  const next = new Set<string>();
  for (const name of names) {
    const [word] = name.startsWith(begin) ? name.slice(begin.length).split(' ') : [];
    if (word !== undefined) next.add(word);
  }
  return [...next].toSorted().map((word) => ({ word, description: '' }));
}

function optionsOf(command: Command): Candidate[] {
  return command.params
    .filter((parameter) => !parameter.isPositional && parameter.role !== 'internal')
    .map(({ short, name }) => ({ word: short === undefined ? `--${name}` : `-${short}`, description: name }));
}

function optionNamed({ params }: Command, word: string | undefined): Parameter | undefined {
  return params.find(
    ({ isPositional, short, name }) => !isPositional && (word === `--${name}` || word === `-${short ?? ''}`),
  );
}

/** What a value may be, where the catalog knows it. Files are those of this machine, which is where `-S` and `-F` look. */
function valuesOf(command: Command, { role, name }: Parameter, begun: string): Candidates {
  if (role === 'socket' || role === 'user-file' || role === 'content-file') return { kind: 'files' };
  if (command.name === 'mailbox status' && name.startsWith('field')) {
    return wordsFrom(
      begun,
      ['all', ...statusFields].map((word) => ({ word, description: '' })),
    );
  }
  return nothing;
}
