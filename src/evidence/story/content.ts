// Whether a command asks for mail content, according to its record. Pure; it needs the catalog, so the browser gets its result.

import { allSeries, commandNamed, commandsNamed, type Series } from '../../doveadm/commands/catalog.js';
import { type ParsedArguments, parseArguments } from '../../doveadm/commands/parse.js';
import { recordedWords } from '../../doveadm/meaning/canonical.js';
import { contentAsked } from '../../doveadm/meaning/reach.js';
import { asList, asText, isText, type StoredRecord } from '../../host/values/values.js';
import type { TrailContent } from './row.js';
import type { Certainty } from './story.js';

/** `isSearch`: it searches in content and shows none. `isAnsweredByNone`: even an answer without rows reveals content, as with a search. */
export interface ContentAsked {
  readonly content: Certainty;
  readonly isSearch?: boolean;
  readonly isAnsweredByNone: boolean;
}

const nothing: ContentAsked = { content: 'no', isAnsweredByNone: false };

/** Commands that return mails, files of mails, or a key to them. */
const givers = new Set(
  'backup,dsync-server,fs get,mail fs get,mailbox cryptokey export,mailbox cryptokey password,sync'.split(
    ',',
  ),
);
/** Whether the command returns or gives away content whatever its arguments are. */
export function givesContent(command: string): boolean {
  return givers.has(command);
}

/** Commands whose content depends on their arguments. */
const dependents = new Set(['fetch', 'search', 'user']);

export function askedOf({ command: name, series, args }: StoredRecord, isWireUser: boolean): ContentAsked {
  if (!isText(name)) return nothing;
  if (givesContent(name)) return { content: 'yes', isAnsweredByNone: true };
  // The catalog does not have commands that a file of the site added, or that another release has.
  const isForeign = commandsNamed(name).length === 0 && !name.startsWith('dovegate ');
  const content = isForeign || dependents.has(name) ? 'maybe' : 'no';
  const unknown: ContentAsked = { content, isAnsweredByNone: true };
  const known = seriesOf(series);
  // If several series are possible, it shows content if it does so in one of them.
  const readings = known.map((each) => parsedIn(each, name, args));
  const parsed = readings.filter((one) => one !== undefined);
  if (parsed.length === 0) return unknown;
  const [first] = parsed;
  if (first?.values.has('source-user') === true && !isWireUser)
    return { content: 'yes', isAnsweredByNone: true };
  // A command that changes or destroys mails selected by content returns no mails.
  if (first?.command.effect !== 'read') return nothing;
  const words = parsed.flatMap(contentAsked);
  if (words.length === 0) return readings.length > parsed.length ? unknown : nothing;
  return {
    content: 'yes',
    isSearch: words.every((word) => word.startsWith('key ')),
    isAnsweredByNone: words.some((word) => !word.startsWith('field ')),
  };
}

/** For commands of any effect; {@link shownEffect} uses it only for those that read. */
export function contentOf(fields: StoredRecord): TrailContent | undefined {
  const { content, isSearch } = askedOf(fields, false);
  if (content === 'no') return undefined;
  return isSearch === true ? 'searched' : content;
}

/** The same for the most that a command or a rule permits. `asked`: fields and keys of content, as `contentAsked` names them. */
export function contentAtMost(command: string, asked: readonly string[]): TrailContent | undefined {
  if (givesContent(command)) return 'yes';
  if (asked.length === 0) return undefined;
  return asked.every((word) => word.startsWith('key ')) ? 'searched' : 'yes';
}

/** The series that a record was evaluated for; if it names none, any is possible. */
function seriesOf(text: unknown): readonly Series[] {
  const words = asText(text)?.split(' ') ?? [];
  const found = allSeries.filter((series) => words.includes(series));
  return found.length === 0 ? allSeries : found;
}

function parsedIn(series: Series, name: string, args: unknown): ParsedArguments | undefined {
  const command = commandNamed(series, name);
  const list = asList(args);
  if (command === undefined || list === undefined) return undefined;
  const words = recordedWords(command, list);
  if (typeof words === 'string') return undefined;
  const parsed = parseArguments(series, command, words);
  return parsed.kind === 'parsed' ? parsed : undefined;
}
