// The search line of the trail: `user:alice* command:expunge since:7d outcome:failed`, its values in quotes where they hold blanks; as a
// filter, as completion, and as the command that finds the same.

import { type Exclusion, exclusionKeys, withoutOk } from '../../evidence/story/leave-out.js';
import { besideWords, shownEffects } from '../../evidence/story/row.js';
import type { AskTrail } from '../../evidence/views/asked.js';
import { outcomeWords, rowKinds } from '../../gate/outcome/class.js';
import { momentForms, parseMoment } from '../../host/words/moments.js';
import { encoded } from './route.js';
import { zoneOffsetMs } from './wording.js';

/** `alias`: as the table calls it, where that is another word; the key is that of the command line. */
const keyTable = [
  { key: 'user', label: 'Mail user' },
  { key: 'command', label: 'Command' },
  { key: 'principal', alias: 'requester', label: 'Requester' },
  { key: 'outcome', label: 'Outcome', values: outcomeWords },
  { key: 'since', label: 'Since' },
  { key: 'until', label: 'Until' },
  { key: 'listener', label: 'Listener' },
  { key: 'backend', label: 'Backend' },
  { key: 'policy', label: 'Policy' },
  { key: 'effect', label: 'Effect', values: shownEffects },
  { key: 'would', label: 'The rules would', values: besideWords },
  { key: 'shadow', label: 'The candidate would', values: besideWords },
  { key: 'session', label: 'Session' },
  { key: 'kind', label: 'Kind', values: [...rowKinds, 'all'] },
  { key: 'by', label: 'By' },
  { key: 'grant', label: 'Grant' },
  { key: 'reason', label: 'Reason' },
  { key: 'text', label: 'Text' },
] as const;

export type QueryKey = (typeof keyTable)[number]['key'];

interface KeyFacts {
  readonly key: QueryKey;
  readonly label: string;
  readonly alias?: string;
  readonly values?: readonly string[];
}

export const queryKeys: readonly KeyFacts[] = keyTable;

export type Terms = Readonly<Partial<Record<QueryKey, string>>>;

export interface Parsed {
  readonly terms: Terms;
  readonly filter: AskTrail['filter'];
  readonly not?: readonly Exclusion[] | undefined;
}

/** `problem`: a sentence: what is wrong, and what would be right. */
export type ParsedQuery = Parsed | { readonly problem: string };

/** `nowMs`: the wall clock, for times that are counted from now. */
export function parseQuery(text: string, nowMs: number): ParsedQuery {
  const terms: Partial<Record<QueryKey, string>> = {};
  const not: Exclusion[] = [];
  /** Words without a key are searched for as one text. */
  const bare: string[] = [];
  for (const word of wordsOf(text)) {
    if (!word.isClosed) return { problem: 'A quote is not closed: write the value as user:"a name".' };
    const colon = word.keyEnd;
    if (colon < 0) {
      bare.push(word.text);
      continue;
    }
    const isNot = word.text.startsWith('-');
    const name = word.text.slice(isNot ? 1 : 0, colon);
    const key = keyNamed(name)?.key;
    if (key === undefined)
      return {
        problem: `There is no key "${name}". The keys are ${queryKeys.map((each) => each.key).join(', ')}.`,
      };
    const value = word.text.slice(colon + 1);
    if (value === '') return { problem: `${key}: has no value.` };
    if (isNot) {
      if (!canLeaveOut(key)) return { problem: `${key}: cannot be left out; it can only be searched for.` };
      not.push({ key, value });
      continue;
    }
    if (terms[key] !== undefined)
      return { problem: `${key}: stands there twice; a search takes each key once.` };
    terms[key] = value;
  }
  if (bare.length > 0) {
    if (terms.text !== undefined)
      return {
        problem: `"${bare.join(' ')}" has no key, and text: stands there, too; a search takes one text.`,
      };
    terms.text = bare.join(' ');
  }
  const meant = withoutOk(terms.outcome, not);
  if (meant.outcome !== undefined) terms.outcome = meant.outcome;
  const parsed = withFilter(terms, nowMs);
  return 'problem' in parsed || meant.not.length === 0 ? parsed : { ...parsed, not: meant.not };
}

function keyNamed(name: string): KeyFacts | undefined {
  return queryKeys.find(({ key, alias }) => key === name || alias === name);
}

export function canLeaveOut(key: QueryKey): key is Exclusion['key'] {
  return exclusionKeys.some((each) => each === key);
}

export function withFilter(terms: Terms, nowMs: number): ParsedQuery {
  const filter: { -readonly [Key in keyof AskTrail['filter']]: AskTrail['filter'][Key] } = {};
  for (const { key, values } of queryKeys) {
    const value = terms[key];
    if (value === undefined || value === '') continue;
    if (values !== undefined && !values.includes(value))
      return { problem: `${key}: is one of ${values.join(', ')}; "${value}" is not.` };
    if (key === 'since' || key === 'until') {
      const atMs = parseMoment(value, key === 'since' ? 'start' : 'end', nowMs, zoneOffsetMs);
      if (atMs === undefined) return { problem: `${key}: is ${momentForms}; "${value}" is none of these.` };
      filter[key === 'since' ? 'sinceMs' : 'untilMs'] = atMs;
    } else if (key === 'principal') filter.principal = /[@*]/.test(value) ? value : `${value}@*`;
    else if (key === 'kind') filter.kind = [...rowKinds, 'all' as const].find((kind) => kind === value);
    else filter[key] = value;
  }
  if (filter.sinceMs !== undefined && filter.untilMs !== undefined && filter.sinceMs >= filter.untilMs)
    return { problem: 'since: is not before until:, so nothing can be found.' };
  return { terms, filter };
}

interface Word {
  readonly text: string;
  /** Where the colon after the key is in `text`; -1: there is no key. */
  readonly keyEnd: number;
  readonly at: number;
  readonly isClosed: boolean;
}

function wordsOf(line: string): Word[] {
  const words: Word[] = [];
  let word: { text: string; keyEnd: number; at: number; isQuoted: boolean } | undefined;
  for (let at = 0; at < line.length; at += 1) {
    const character = line.charAt(at);
    if (word?.isQuoted !== true && /\s/.test(character)) {
      if (word !== undefined) words.push({ ...word, isClosed: true });
      word = undefined;
      continue;
    }
    word ??= { text: '', keyEnd: -1, at, isQuoted: false };
    if (character === '"') word.isQuoted = !word.isQuoted;
    else if (word.isQuoted && character === '\\' && /["\\]/.test(line.charAt(at + 1))) {
      at += 1;
      word.text += line.charAt(at);
    } else {
      if (character === ':' && word.keyEnd < 0 && !word.isQuoted) word.keyEnd = word.text.length;
      word.text += character;
    }
  }
  if (word !== undefined) words.push({ ...word, isClosed: !word.isQuoted });
  return words;
}

function quoted(value: string): string {
  return /[\s"\\]/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : value;
}

export function formatQuery(terms: Terms, not: readonly Exclusion[] = []): string {
  const wordOf = (of: string): string => keyNamed(of)?.alias ?? of;
  const wanted = queryKeys.flatMap(({ key }) => {
    const value = terms[key];
    return value === undefined || value === '' ? [] : [`${wordOf(key)}:${quoted(value)}`];
  });
  return [...wanted, ...not.map(({ key, value }) => `-${wordOf(key)}:${quoted(value)}`)].join(' ');
}

/** The terms of days in UTC, as reports count days. A day without a time would be read in the zone that is shown. */
export function dayTerms(day = '', last = day): Pick<Terms, 'since' | 'until'> {
  const next = new Date(parseMoment(last, 'end', 0) ?? 0).toISOString().slice(0, 10);
  return { since: `${day}T00:00Z`, until: `${next}T00:00Z` };
}

export function trailPath(terms: Terms): string {
  const line = formatQuery(terms);
  return line === '' ? '/trail' : `/trail?q=${encoded(line)}`;
}

/** The command that finds the same. It takes days and times for those of UTC, so they are written with their zone. */
export function commandOf({ terms, filter, not = [] }: Parsed): string {
  const timeOf = { since: filter.sinceMs, until: filter.untilMs };
  const options = queryKeys.flatMap(({ key }) => {
    const value = terms[key];
    if (value === undefined || value === '') return [];
    const atMs = key === 'since' || key === 'until' ? timeOf[key] : undefined;
    const isOfZone = atMs !== undefined && !/^\d+[a-z]+$|:\S*([Zz]|[+-]\d\d:\d\d)$/.test(value);
    return [`--${key} ${shellQuoted(isOfZone ? new Date(atMs).toISOString().replace('.000Z', 'Z') : value)}`];
  });
  const without = not.map(({ key, value }) => `--not ${shellQuoted(`${key}:${value}`)}`);
  return ['dovegate audit search', ...options, ...without].join(' ');
}

/** One word for a shell, in which nothing commands the terminal that it is pasted into. */
export function shellQuoted(value: string): string {
  if (/^[A-Za-z0-9_@%+=:,./][A-Za-z0-9_@%+=:,./-]*$/.test(value)) return value;
  if (!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/u.test(value)) return `'${value.replaceAll("'", "'\\''")}'`;
  const escaped = value.replace(/[\\']|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu, (character) => {
    if (character === '\\' || character === "'") return `\\${character}`;
    const code = character.codePointAt(0) ?? 0;
    return code < 0x80
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\U${code.toString(16).padStart(8, '0')}`;
  });
  return `$'${escaped}'`;
}

export interface Completion {
  readonly text: string;
  readonly line: string;
}

const completionsMax = 8;

/** Completions for the end of the line; `known`: values that were seen in rows. */
export function completeQuery(
  line: string,
  known: Partial<Record<QueryKey, readonly string[]>>,
): Completion[] {
  const last = wordsOf(line).at(-1);
  // A blank ends a word, but not within quotes.
  const word = last?.isClosed === true && /\s$/.test(line) ? undefined : last;
  const before = word === undefined ? line : line.slice(0, word.at);
  const used = wordsOf(before).map(({ text, keyEnd }) => keyNamed(text.slice(0, Math.max(keyEnd, 0))));
  if (word === undefined || word.keyEnd < 0) {
    const start = word?.text ?? '';
    return queryKeys
      .filter((facts) => !used.includes(facts))
      .flatMap(
        ({ key, alias = '' }) => [key, alias].find((name) => name !== '' && name.startsWith(start)) ?? [],
      )
      .map((name) => ({ text: `${name}:`, line: `${before}${name}:` }));
  }
  const facts = keyNamed(word.text.slice(0, word.keyEnd));
  if (facts === undefined) return [];
  const start = word.text.slice(word.keyEnd + 1).toLowerCase();
  return [...new Set(facts.values ?? known[facts.key] ?? momentsOf(facts.key))]
    .filter((value) => value.toLowerCase().startsWith(start) && value !== word.text.slice(word.keyEnd + 1))
    .slice(0, completionsMax)
    .map((value) => ({ text: value, line: `${before}${facts.key}:${quoted(value)} ` }));
}

function momentsOf(key: QueryKey): readonly string[] {
  return key === 'since' || key === 'until' ? ['1h', '24h', '7d', '30d', 'today', 'yesterday'] : [];
}
