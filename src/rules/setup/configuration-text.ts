// Settings as one JSON text: from the thread that reads a configuration to the main thread, to the process of the page, and to its
// reviews. Functions cannot cross, so patterns and expressions travel as text and are compiled again.

import assert from 'node:assert/strict';
import { AddedCommands } from '../../doveadm/commands/catalog.js';
import { GlobList } from '../../doveadm/names/glob.js';
import type { ProblemReport } from '../config/parse-settings.js';
import type { Finding } from '../config/problem.js';
import type { Asking } from '../config/read-files.js';
import type { Settings } from '../config/settings.js';
import { createPolicy, type Policy, type PolicyParts } from '../policy/policy.js';
import { createRegex, type Regex } from '../policy/regex.js';

export type ThreadOrder =
  | { readonly kind: 'read'; readonly file: string; readonly nowMs: number }
  | { readonly kind: 'report'; readonly inspected: readonly Finding[] };

/** The answer to each order. `files`: each file with the reference to it; `text`: the settings, if there are any. */
export type ThreadAnswer =
  | {
      readonly kind: 'read';
      readonly files: ReadonlyMap<string, Asking | undefined>;
      readonly text: string | undefined;
    }
  | { readonly kind: 'report'; readonly report: ProblemReport; readonly kept: string };

/** In place of a value that JSON does not have. */
type Tagged =
  | {
      readonly $: 'globs';
      readonly of: readonly string[];
      readonly isAnyCase: boolean;
      readonly isLocation: boolean;
    }
  | { readonly $: 'map'; readonly of: readonly (readonly [unknown, unknown])[] }
  | { readonly $: 'set'; readonly of: readonly unknown[] }
  | { readonly $: 'regex' | 'bigint' | 'commands'; readonly of: string }
  /** The added commands with that number: all policies share them, so they are sent once. */
  | { readonly $: 'same'; readonly of: number }
  | { readonly $: 'policy'; readonly of: PolicyParts };

export function settingsText(settings: Settings): string {
  const added: AddedCommands[] = [];
  const tagged = (value: unknown): unknown => {
    if (typeof value === 'bigint') return { $: 'bigint', of: String(value) } satisfies Tagged;
    assert.ok(typeof value !== 'function', 'a function does not cross');
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof Map) return { $: 'map', of: [...value] } satisfies Tagged;
    if (value instanceof Set) return { $: 'set', of: [...value] } satisfies Tagged;
    if (value instanceof GlobList) {
      const { texts: of, isAnyCase, isLocation } = value;
      return { $: 'globs', of, isAnyCase, isLocation } satisfies Tagged;
    }
    if (isRegex(value)) return { $: 'regex', of: value.source } satisfies Tagged;
    if (value instanceof AddedCommands) {
      const at = added.indexOf(value);
      if (at >= 0) return { $: 'same', of: at } satisfies Tagged;
      added.push(value);
      return { $: 'commands', of: value.table } satisfies Tagged;
    }
    return isPolicy(value) ? ({ $: 'policy', of: partsOfPolicy(value) } satisfies Tagged) : value;
  };
  return JSON.stringify(settings, (_key, value: unknown) => tagged(value));
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
  // Only subcommands show the plain meaning of a rule, which can be as long as the rule.
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

/** Settings from {@link settingsText}; they equal the original ones. */
export function settingsIn(text: string): Settings {
  const added: AddedCommands[] = [];
  const untagged = (value: Tagged): unknown => {
    switch (value.$) {
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
      case 'commands': {
        const commands = new AddedCommands(value.of);
        added.push(commands);
        return commands;
      }
      case 'same':
        return added[value.of];
      case 'policy':
        return createPolicy(value.of);
      default:
        return value satisfies never;
    }
  };
  const settings: unknown = JSON.parse(text, (_key, value: unknown) =>
    isTagged(value) ? untagged(value) : value,
  );
  assert.ok(isSettings(settings));
  return settings;
}

function isTagged(value: unknown): value is Tagged {
  return typeof value === 'object' && value !== null && '$' in value;
}

function isSettings(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && 'policies' in value;
}
