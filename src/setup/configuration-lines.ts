// Settings as lines of JSON, from the thread that reads a configuration to the main thread, and to the process of the page. Functions
// cannot cross, so patterns and expressions travel as text and are compiled again; each line is a small step, so that the main
// thread can pause between two. No line depends on what a setting is: large values have lines of their own, before the value
// that holds them, and the last line is the whole.

import assert from 'node:assert/strict';
import type { Finding, Problem } from '../domain/config/problem.js';
import type { Asking } from '../domain/config/read-files.js';
import type { Settings } from '../domain/config/settings.js';
import { createPolicy, type Policy, type PolicyParts } from '../domain/judging/policy/policy.js';
import { createRegex, type Regex } from '../domain/judging/policy/regex.js';
import { AddedCommands } from '../domain/language/commands/catalog.js';
import { GlobList } from '../domain/language/names/glob.js';

/** The orders to the thread; it answers each with the next {@link Piece} of its lines. */
export type ThreadOrder =
  /** The files that were read, an empty line, and settings, if there are any. */
  | { readonly kind: 'read'; readonly file: string; readonly nowMs: number }
  | { readonly kind: 'report'; readonly inspected: readonly Finding[] }
  | { readonly kind: 'more' };

export interface Piece {
  readonly text: string;
  readonly isLast: boolean;
}

/** A file of the configuration, and the setting that names it. */
export interface FileLine {
  readonly path: string;
  readonly from?: Asking | undefined;
}
export type ProblemLine = readonly [Problem, string];

/** Characters of one message: at most 64 KiB, which takes the main thread about 50 us. */
const pieceChars = 32 * 1024;

export function* piecesOf(lines: Iterable<string>): Generator<string> {
  let text = '';
  for (const line of lines) {
    text += `${line}\n`;
    for (; text.length >= pieceChars; text = text.slice(pieceChars)) yield text.slice(0, pieceChars);
  }
  if (text !== '') yield text;
}

/** Characters from which a value has a line of its own, as a rule has; and of a part of a long list or text. */
const ownLineChars = 256;
const partChars = 8 * 1024;

/** In place of a value that JSON does not have, or that has a line. */
type Tagged =
  /** The value of that line. */
  | { readonly $: 'line'; readonly of: number }
  /** A line: more items of the list at that line. */
  | { readonly $: 'more'; readonly of: readonly unknown[]; readonly to: number }
  | { readonly $: 'text'; readonly of: readonly string[] }
  | {
      readonly $: 'globs';
      readonly of: readonly string[];
      readonly isAnyCase: boolean;
      readonly isLocation: boolean;
    }
  | { readonly $: 'map'; readonly of: readonly (readonly [unknown, unknown])[] }
  | { readonly $: 'set'; readonly of: readonly unknown[] }
  | { readonly $: 'regex' | 'bigint' | 'commands'; readonly of: string }
  | { readonly $: 'policy'; readonly of: PolicyParts };

export function* settingsLines(settings: Settings): Generator<string> {
  let count = 0;
  /** Added commands are in every policy, and cross once. */
  const lineOf = new Map<object, string>();

  function* own(text: string): Generator<string, string> {
    yield text;
    count += 1;
    return `{"$":"line","of":${count - 1}}`;
  }

  /** `head` and `end` are around the items of the first part. */
  function* list(items: Iterable<unknown>, head = '[', end = ']'): Generator<string, string> {
    let line: string | undefined;
    let part: string[] = [];
    let chars = 0;
    function* next(): Generator<string> {
      const text = part.join(',');
      if (line === undefined) line = yield* own(`${head}${text}${end}`);
      else yield* own(`{"$":"more","of":[${text}],"to":${line.slice(line.lastIndexOf(':') + 1)}`);
      [part, chars] = [[], 0];
    }
    for (const item of items) {
      const text = yield* textOf(item);
      if (chars + text.length > partChars) yield* next();
      part.push(text);
      chars += text.length;
    }
    if (line === undefined) return `${head}${part.join(',')}${end}`;
    yield* next();
    return line;
  }

  function* object(value: object): Generator<string, string> {
    const members: string[] = [];
    for (const [key, each] of Object.entries(value))
      if (each !== undefined) members.push(`${JSON.stringify(key)}:${yield* textOf(each)}`);
    return `{${members.join(',')}}`;
  }

  function* textOf(value: unknown): Generator<string, string> {
    const text = yield* whole(value);
    return text.length > ownLineChars ? yield* own(text) : text;
  }

  function* whole(value: unknown): Generator<string, string> {
    if (typeof value === 'bigint') return `{"$":"bigint","of":"${value}"}`;
    if (typeof value === 'string' && value.length > partChars)
      return `{"$":"text","of":${yield* list(partsOf(value))}}`;
    if (typeof value !== 'object' || value === null) {
      assert.ok(typeof value !== 'function', 'a function does not cross');
      return JSON.stringify(value);
    }
    if (Array.isArray(value)) return yield* list(value);
    if (value instanceof Map) return `{"$":"map","of":${yield* list(value)}}`;
    if (value instanceof Set) return `{"$":"set","of":${yield* list(value)}}`;
    if (value instanceof GlobList)
      return yield* list(
        value.texts,
        '{"$":"globs","of":[',
        `],"isAnyCase":${value.isAnyCase},"isLocation":${value.isLocation}}`,
      );
    if (isRegex(value)) return yield* object({ $: 'regex', of: value.source });
    if (value instanceof AddedCommands) {
      const line = lineOf.get(value) ?? (yield* own(yield* object({ $: 'commands', of: value.table })));
      lineOf.set(value, line);
      return line;
    }
    return yield* object(isPolicy(value) ? { $: 'policy', of: partsOfPolicy(value) } : value);
  }

  yield yield* whole(settings);
}

function* partsOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; at += partChars) yield text.slice(at, at + partChars);
}

function isRegex(value: object): value is Regex {
  return 'source' in value && 'matches' in value;
}

function isPolicy(value: object): value is Policy {
  return 'allowByCommand' in value;
}

function partsOfPolicy(policy: Policy): PolicyParts {
  const { allow, deny, onRequest, added, ...more } = policy;
  const {
    isForEverybody: _,
    allowByCommand: _allow,
    denyByCommand: _deny,
    onRequestByCommand: _onRequest,
    ...head
  } = more;
  // The plain meaning of a rule is for commands only, and may be as long as the rule.
  const plain = <Each extends object>(rules: readonly Each[]): Each[] =>
    rules.map((rule) => ({ ...rule, meaning: undefined }));
  return {
    ...head,
    allow: plain(allow),
    deny: plain(deny),
    onRequest: plain(onRequest),
    ...(added.table !== '' && { added }),
  };
}

export interface SettingsBuilder {
  push(line: string): void;
  settings(): Settings;
}

/** Builds settings from the lines of {@link settingsLines}; they equal the original ones. */
export function createSettingsBuilder(): SettingsBuilder {
  const values: unknown[] = [];

  function untagged(value: Tagged): unknown {
    switch (value.$) {
      case 'line':
        return values[value.of];
      case 'more': {
        const list = values[value.to];
        if (list instanceof GlobList) list.add(value.of.map(String));
        else if (Array.isArray(list)) list.push(...value.of);
        return undefined;
      }
      case 'text':
        return value.of.join('');
      case 'globs':
        return new GlobList(value.of, value);
      case 'map':
        return new Map(value.of);
      case 'set':
        return new Set(value.of);
      case 'regex': {
        const result = createRegex(value.of);
        assert.ok(result.kind === 'regex');
        return result.regex;
      }
      case 'bigint':
        return BigInt(value.of);
      case 'commands':
        return new AddedCommands(value.of);
      case 'policy':
        return createPolicy(value.of);
      default:
        return value satisfies never;
    }
  }

  return {
    push(line) {
      values.push(JSON.parse(line, (_key, value: unknown) => (isTagged(value) ? untagged(value) : value)));
    },
    settings() {
      const settings = values.at(-1);
      assert.ok(isSettings(settings));
      return settings;
    },
  };
}

function isTagged(value: unknown): value is Tagged {
  return typeof value === 'object' && value !== null && '$' in value;
}

function isSettings(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && 'policies' in value;
}
