// What policy says to a line that names a mailbox, under a rule for some patterns; for tests that know from a real server which mailbox
// the name reaches. One policy a question, with the rule as the configuration would read it.

import type { Series } from '../../../src/doveadm/commands/catalog.js';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import {
  createMailboxNames,
  doubtedNames,
  type Namespace,
} from '../../../src/doveadm/names/mailbox-names.js';
import { createUserNames, defaultCharacters } from '../../../src/doveadm/names/user-name.js';
import { createPolicy, type Rule } from '../../../src/rules/policy/policy.js';
import { judgeLine } from '../../kit/plain/judge-line.js';
import { lineWith, type NameUse } from './mailbox-world.js';
import { alice } from './real-gateway.js';

/** A line, and who judges it. */
export interface NameQuestion {
  readonly use: NameUse;
  readonly name: string;
  readonly series: Series;
  /** What the configuration says of the backend; undefined: nothing. */
  readonly namespaces: readonly Namespace[] | undefined;
  /** The mailbox by its GUID instead, in a query. */
  readonly guid?: string;
}

/** Whether the line is let through where a rule denies these patterns and another one allows everything. */
export function passesDeny(question: NameQuestion, patterns: readonly string[]): boolean {
  const folded = patterns.map((text) => text.toLowerCase());
  return isLetThrough(question, [ruleFor(question.use, undefined)], [ruleFor(question.use, folded)]);
}

/** Whether the line is let through where a rule allows these patterns only. */
export function passesAllow(question: NameQuestion, patterns: readonly string[]): boolean {
  return isLetThrough(question, [ruleFor(question.use, patterns)], []);
}

const place = { file: 'test', line: 1, column: 1 };
const userNames = createUserNames({ characters: defaultCharacters });

function isLetThrough(question: NameQuestion, allow: readonly Rule[], deny: readonly Rule[]): boolean {
  const { use, name, series, namespaces } = question;
  const policy = createPolicy({
    name: 'test',
    place,
    users: new GlobList(['*']),
    usersPlace: place,
    except: new GlobList(),
    exceptPlace: place,
    mode: 'enforce',
    logs: 'none',
    debug: false,
    weight: 1,
    limits: {},
    allow,
    deny,
    effectiveText: '',
    version: 'test',
  });
  const words =
    question.guid === undefined
      ? lineWith(use, name)
      : ['fetch', 'mailbox-guid', 'mailbox-guid', question.guid, 'all'];
  const line = { listener: 'test', principal: 'anna@test', user: alice, words, clientMinor: 2 };
  const names = namespaces === undefined ? doubtedNames : createMailboxNames(namespaces, []);
  const judgement = judgeLine(policy, line, series, [], userNames, 0, names);
  return judgement.kind === 'judged' && judgement.decision.kind === 'allow';
}

const commandOf: Readonly<Record<NameUse, string>> = { query: 'fetch', mask: 'mailbox status', name: 'save' };

function ruleFor(use: NameUse, patterns: readonly string[] | undefined): Rule {
  const globs = new GlobList(patterns ?? ['*']);
  const parameter = use === 'mask' ? 'mailbox-mask' : 'mailbox';
  const isByValue = patterns !== undefined && use !== 'query';
  const isByQuery = patterns !== undefined && use === 'query';
  return {
    place,
    command: commandOf[use],
    meaning: undefined,
    where: isByValue ? [{ parameter, test: { kind: 'one-of', globs, isOptional: false } }] : undefined,
    query: isByQuery
      ? {
          kind: 'keys',
          conditions: [{ key: 'mailbox', test: { kind: 'one-of', globs } }],
          anyOf: [],
        }
      : undefined,
    users: undefined,
    rootEquivalent: false,
    masks: true,
    shared: true,
    allUsers: false,
    content: true,
    expiresMs: undefined,
    obligations: { reason: false, limitKey: '', emergency: false },
  };
}
