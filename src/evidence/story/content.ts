// Whether a command asks for content of mails, as its record says. Pure; it needs the catalog, so the browser is told.

import { allSeries, commandNamed, commandsNamed, type Series } from '../../doveadm/commands/catalog.js';
import { type ParsedArguments, parseArguments } from '../../doveadm/commands/parse.js';
import { recordedWords } from '../../doveadm/meaning/canonical.js';
import { contentAsked } from '../../doveadm/meaning/reach.js';
import { asList, asText, isText, type StoredRecord } from '../../host/values/values.js';
import type { TrailContent } from './row.js';
import type { Certainty } from './story.js';

/**
 * Whether a command reads content; whether it searches in content and shows none; and whether even an answer without rows reveals some, as
 * with a search.
 */
export interface ContentAsked {
  readonly content: Certainty;
  readonly isSearch?: boolean;
  readonly isAnsweredByNone: boolean;
}

const nothing: ContentAsked = { content: 'no', isAnsweredByNone: false };

/** They return mails, files of mails, or a key to them. */
const givers = new Set(
  'backup,dsync-server,fs get,mail fs get,mailbox cryptokey export,mailbox cryptokey password,sync'.split(
    ',',
  ),
);
/** Whether what the command returns, or gives away, is content whatever its arguments are. */
export function givesContent(command: string): boolean {
  return givers.has(command);
}

/** Their content depends on the arguments. */
const dependents = new Set(['fetch', 'search', 'user']);

export function askedOf({ command: name, series, args }: StoredRecord, isWireUser: boolean): ContentAsked {
  if (!isText(name)) return nothing;
  if (givesContent(name)) return { content: 'yes', isAnsweredByNone: true };
  // Of a command that a file of the site added, or another release has, nothing is known here.
  const isForeign = commandsNamed(name).length === 0 && !name.startsWith('dovegate ');
  const content = isForeign || dependents.has(name) ? 'maybe' : 'no';
  const unknown: ContentAsked = { content, isAnsweredByNone: true };
  const known = seriesOf(series);
  // Judged for several series, it shows content if it does so in one of them.
  const readings = known.map((each) => parsedIn(each, name, args));
  const parsed = readings.filter((one) => one !== undefined);
  if (parsed.length === 0) return unknown;
  const [first] = parsed;
  if (first?.values.has('source-user') === true && !isWireUser)
    return { content: 'yes', isAnsweredByNone: true };
  // Its answer has no rows of mails: a command that changes or destroys by a content key shows none.
  if (first?.command.effect !== 'read') return nothing;
  const words = parsed.flatMap(contentAsked);
  if (words.length === 0) return readings.length > parsed.length ? unknown : nothing;
  return {
    content: 'yes',
    isSearch: words.every((word) => word.startsWith('key ')),
    isAnsweredByNone: words.some((word) => !word.startsWith('field ')),
  };
}

/** Of commands of any effect: {@link shownEffect} says of which it is told. */
export function contentOf(fields: StoredRecord): TrailContent | undefined {
  const { content, isSearch } = askedOf(fields, false);
  if (content === 'no') return undefined;
  return isSearch === true ? 'searched' : content;
}

/** The same of what a command or a rule permits at most; `asked`: the fields and keys of content, as `contentAsked` names them. */
export function contentAtMost(command: string, asked: readonly string[]): TrailContent | undefined {
  if (givesContent(command)) return 'yes';
  if (asked.length === 0) return undefined;
  return asked.every((word) => word.startsWith('key ')) ? 'searched' : 'yes';
}

/** The series of a record's judgement; without one, any is possible. */
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
