// Settings as lines of JSON, from the thread that reads a configuration to the main thread. Functions cannot cross, so patterns
// and expressions travel as text and are compiled again; each line is a small step, so that the main thread can pause between
// two.

import assert from 'node:assert/strict';
import { AddedCommands } from '../domain/commands/catalog.js';
import type { Problem } from '../domain/config/problem.js';
import type { Asking } from '../domain/config/read-files.js';
import type {
  BackendSettings,
  ListenerSettings,
  PolicyTest,
  RouteSettings,
  Settings,
} from '../domain/config/settings.js';
import { GlobList } from '../domain/names/glob.js';
import {
  createPolicy,
  type Policy,
  type PolicyParts,
  type RequestRule,
  type Rule,
} from '../domain/policy/policy.js';
import { createRegex, type Regex } from '../domain/policy/regex.js';

/** The orders to the thread; it answers each with the next {@link Piece} of its lines. */
export type ThreadOrder =
  /** Settings, if there are any, and the files that were read. */
  | { readonly kind: 'read'; readonly file: string; readonly nowMs: number }
  | { readonly kind: 'report'; readonly inspected: readonly Problem[] }
  | { readonly kind: 'more' };

export interface Piece {
  readonly text: string;
  readonly isLast: boolean;
}

/** A file of the configuration, and the setting that names it. */
export type FileLine = readonly ['file', { readonly path: string; readonly from?: Asking | undefined }];
export type ProblemLine = readonly [Problem, string];

/** Characters of an effective text, or patterns of a list, in one line. */
const textStep = 8 * 1024;
const patternStep = 200;

type PolicyHead = Omit<PolicyParts, 'added' | 'allow' | 'deny' | 'onRequest' | 'shadow' | 'effectiveText'>;
type Lists = Pick<Settings, 'listeners' | 'backends' | 'routes' | 'tests'>;
type Rest = Omit<Settings, keyof Lists | 'policies'>;

/** A policy is between `policy` and `end`, with its shadow; patterns of long lists are lines before that of the list. */
type Line =
  | readonly ['rest', Rest]
  | { [Name in keyof Lists]: readonly [Name, Lists[Name][number]] }[keyof Lists]
  | readonly ['policy', PolicyHead]
  | readonly ['patterns', list: number, texts: readonly string[]]
  | readonly ['allow' | 'deny', Rule]
  | readonly ['onRequest', RequestRule]
  | readonly ['text', string]
  | readonly ['end'];

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

export function* settingsLines(settings: Settings): Generator<string> {
  const { listeners, backends, routes, tests, policies, ...rest } = settings;
  yield* linesOf(['rest', rest]);
  for (const [name, items] of Object.entries({ listeners, backends, routes, tests })) {
    for (const item of items) yield* linesOf([name, item]);
  }
  for (const policy of policies.values()) yield* policyLines(policy);
}

function* policyLines(policy: Policy): Generator<string> {
  const { allow, deny, onRequest, shadow, effectiveText, ...more } = policy;
  const {
    isForEverybody: _,
    allowByCommand: _allow,
    denyByCommand: _deny,
    onRequestByCommand: _onRequest,
    // Those of `rest`.
    added: _added,
    ...head
  } = more;
  yield* linesOf(['policy', head]);
  // The plain meaning of a rule is for commands only, and may be as long as the rule.
  for (const { meaning: _meaning, ...rule } of allow) yield* linesOf(['allow', rule]);
  for (const { meaning: _meaning, ...rule } of deny) yield* linesOf(['deny', rule]);
  for (const { meaning: _meaning, ...rule } of onRequest) yield* linesOf(['onRequest', rule]);
  for (let at = 0; at < effectiveText.length; at += textStep)
    yield* linesOf(['text', effectiveText.slice(at, at + textStep)]);
  if (shadow !== undefined) yield* policyLines(shadow);
  yield* linesOf(['end']);
}

function* linesOf(line: Line | readonly [string, unknown]): Generator<string> {
  const long: GlobList[] = [];
  const text = JSON.stringify(line, (_key, value: unknown) => {
    if (!(value instanceof GlobList) || value.texts.length <= patternStep) return asPlain(value);
    long.push(value);
    return { $: 'long', of: long.length - 1 } satisfies Tagged;
  });
  for (const [list, { texts }] of long.entries()) {
    for (let at = 0; at < texts.length; at += patternStep)
      yield JSON.stringify(['patterns', list, texts.slice(at, at + patternStep)]);
  }
  yield text;
}

type Tagged =
  | { readonly $: 'globs'; readonly of: readonly string[] }
  /** The list with this number in the lines before. */
  | { readonly $: 'long'; readonly of: number }
  | { readonly $: 'regex'; readonly of: string }
  | { readonly $: 'map'; readonly of: readonly (readonly [unknown, unknown])[] }
  | { readonly $: 'set'; readonly of: readonly unknown[] }
  | { readonly $: 'bigint'; readonly of: string }
  | { readonly $: 'commands'; readonly of: string }
  // A map of the configuration may have a key of this name.
  | { readonly $: '$'; readonly of: readonly (readonly [string, unknown])[] };

function asPlain(value: unknown): unknown {
  assert.ok(typeof value !== 'function', 'a function does not cross');
  return tagged(value) ?? value;
}

function tagged(value: unknown): Tagged | undefined {
  if (typeof value === 'bigint') return { $: 'bigint', of: String(value) };
  if (typeof value !== 'object' || value === null) return undefined;
  if (value instanceof Map) return { $: 'map', of: [...value] };
  if (value instanceof Set) return { $: 'set', of: [...value] };
  if (value instanceof GlobList) return { $: 'globs', of: value.texts };
  if (value instanceof AddedCommands) return { $: 'commands', of: value.table };
  if (isRegex(value)) return { $: 'regex', of: value.source };
  return '$' in value ? { $: '$', of: Object.entries(value) } : undefined;
}

function isRegex(value: object): value is Regex {
  return 'source' in value && 'matches' in value;
}

function isTagged(value: unknown): value is Tagged {
  return typeof value === 'object' && value !== null && '$' in value;
}

/** `long`: the lists of the lines before. */
function untagged(value: Tagged, long: readonly GlobList[]): unknown {
  switch (value.$) {
    case 'bigint':
      return BigInt(value.of);
    case 'map':
      return new Map(value.of);
    case 'set':
      return new Set(value.of);
    case 'globs':
      return new GlobList(value.of);
    case 'long':
      return long[value.of];
    case 'regex': {
      const result = createRegex(value.of);
      assert.ok(result.kind === 'regex');
      return result.regex;
    }
    case 'commands':
      return new AddedCommands(value.of);
    case '$':
      return Object.fromEntries(value.of);
    default:
      return value satisfies never;
  }
}

export interface SettingsBuilder {
  push(line: string): void;
  settings(): Settings;
}

interface Draft {
  readonly head: PolicyHead;
  readonly allow: Rule[];
  readonly deny: Rule[];
  readonly onRequest: RequestRule[];
  readonly texts: string[];
  shadow?: Policy;
}

/** Builds settings from the lines of {@link settingsLines}; they equal the original ones. */
export function createSettingsBuilder(): SettingsBuilder {
  const listeners: ListenerSettings[] = [];
  const backends: BackendSettings[] = [];
  const routes: RouteSettings[] = [];
  const tests: PolicyTest[] = [];
  const policies = new Map<string, Policy>();
  const drafts: Draft[] = [];
  let long: GlobList[] = [];
  let rest: Rest | undefined;

  function end({ head, texts, ...draft }: Draft): void {
    const policy = createPolicy({
      ...head,
      ...draft,
      ...(rest?.catalog && { added: rest.catalog.added }),
      effectiveText: texts.join(''),
    });
    const above = drafts.at(-1);
    if (above === undefined) policies.set(policy.name, policy);
    else above.shadow = policy;
  }

  return {
    push(text) {
      const line: Line = JSON.parse(text, (_key, value: unknown) =>
        isTagged(value) ? untagged(value, long) : value,
      );
      if (line[0] === 'patterns') {
        const [, at, texts] = line;
        long[at] ??= new GlobList();
        long[at].add(texts);
        return;
      }
      long = [];
      const draft = drafts.at(-1);
      switch (line[0]) {
        case 'rest':
          rest = line[1];
          break;
        case 'listeners':
          listeners.push(line[1]);
          break;
        case 'backends':
          backends.push(line[1]);
          break;
        case 'routes':
          routes.push(line[1]);
          break;
        case 'tests':
          tests.push(line[1]);
          break;
        case 'policy':
          drafts.push({ head: line[1], allow: [], deny: [], onRequest: [], texts: [] });
          break;
        case 'allow':
        case 'deny':
          draft?.[line[0]].push(line[1]);
          break;
        case 'onRequest':
          draft?.onRequest.push(line[1]);
          break;
        case 'text':
          draft?.texts.push(line[1]);
          break;
        case 'end':
          drafts.pop();
          if (draft !== undefined) end(draft);
          break;
        default:
          line satisfies never;
      }
    },
    settings() {
      assert.ok(rest !== undefined && drafts.length === 0);
      return { ...rest, listeners, backends, routes, tests, policies };
    },
  };
}
