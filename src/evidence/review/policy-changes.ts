// The differences between two lists of policies, in words: `+` permits more, `-` permits less, `~` may be either. The effective texts are
// compared, so a rule that another rule already covers counts as a difference, too.

import { parse } from 'yaml';
import { asList, asObject, isText, type StoredRecord } from '../../host/values/values.js';
import {
  type ListedBackend,
  type ListedListener,
  type PolicyList,
  parsePolicyList,
} from '../../rules/config/policy-list.js';
import { formatValue, type Plain } from '../../rules/proposals/policy-text.js';

export interface Change {
  readonly sign: '+' | '-' | '~';
  readonly words: string;
  /** The policy whose text changed. Absent: the change is about who gets which policy, or about other settings. */
  readonly policy?: string;
  /** The changed key of that text: `shadow` for its candidate, `around` for keys beside the policy. Absent: the policy is new or gone. */
  readonly key?: string;
  /** The commands of the changed rules. */
  readonly commands?: readonly string[];
  /** The old and the new policy of requesters whose policy is another one now. */
  readonly moved?: readonly (readonly [from: string, to: string])[];
}

/** Returns the text with this hash; undefined: it is missing, or does not match the hash. */
export type TextOf = (hash: string) => string | undefined;

const noList: PolicyList = {
  policies: {},
  listeners: {},
  backends: {},
  routes: [],
  serverCommands: {},
  persons: {},
};

export function listOf(hash: string | undefined, textOf: TextOf): PolicyList | undefined {
  const text = hash === undefined ? undefined : textOf(hash);
  return text === undefined ? undefined : parsePolicyList(text);
}

/** `before` and `after` are hashes of lists; `before` undefined: there was none. `missing` is called with the name of each missing text. */
export function changesBetween(
  before: string | undefined,
  after: string,
  textOf: TextOf,
  missing: (what: string) => void,
): Change[] {
  const old = before === undefined ? noList : listOf(before, textOf);
  const fresh = listOf(after, textOf);
  for (const [list, hash] of [
    [old, before],
    [fresh, after],
  ] as const)
    if (list === undefined) missing(`the list of policies ${hash}`);
  if (old === undefined || fresh === undefined) return [];
  const names = namesIn(old.policies, fresh.policies);
  const listeners = namesIn(old.listeners, fresh.listeners);
  return [
    ...names.flatMap((name) => changesOfPolicy(name, old, fresh, textOf, missing)),
    ...listeners.flatMap((name) => changesOfListener(name, old.listeners[name], fresh.listeners[name])),
    ...namesIn(old.backends, fresh.backends).flatMap((name) =>
      changesOfBackend(name, old.backends[name], fresh.backends[name]),
    ),
    ...(before === undefined ? [] : changesAround(old, fresh)),
  ];
}

/** Where commands go, and who is one person. */
function changesAround(old: PolicyList, fresh: PolicyList): Change[] {
  const change = (words: string): Change => ({ sign: '~', words });
  const come = fresh.routes.filter((route) => !old.routes.includes(route));
  const gone = old.routes.filter((route) => !fresh.routes.includes(route));
  const isReordered = come.length + gone.length === 0 && old.routes.join('\n') !== fresh.routes.join('\n');
  const texts = [
    ['server_commands', old.serverCommands, fresh.serverCommands],
    ['person', old.persons, fresh.persons],
  ] as const;
  return [
    ...come.map((route) => change(`route ${route} is new`)),
    ...gone.map((route) => change(`route ${route} is gone`)),
    ...(isReordered ? [change('the routes have another order')] : []),
    ...texts.flatMap(([what, one, two]) =>
      namesIn(one, two)
        .filter((name) => one[name] !== two[name])
        .map((name) => change(`${what} ${name} is now ${said(two[name])}, and was ${said(one[name])}`)),
    ),
  ];
}

function namesIn(one: object, other: object): readonly string[] {
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].toSorted();
}

function changesOfPolicy(
  name: string,
  { policies: before }: PolicyList,
  { policies: after }: PolicyList,
  textOf: TextOf,
  missing: (what: string) => void,
): Change[] {
  const [old, fresh] = [before[name], after[name]];
  const shadow: Change[] =
    old?.shadow === fresh?.shadow
      ? []
      : [
          {
            sign: '~',
            words: `${name}: its candidate (shadow), which decides nothing, is another`,
            policy: name,
            key: 'shadow',
          },
        ];
  if (old?.version === fresh?.version) return shadow;
  if (fresh === undefined) return [{ sign: '-', words: `policy ${name} is gone`, policy: name }];
  const read = (version: string): StoredRecord | undefined => {
    const text = textOf(version);
    if (text === undefined) missing(`the text ${version} of policy ${name}`);
    return text === undefined ? undefined : (asObject(parse(text)) ?? undefined);
  };
  const [one, two] = [old === undefined ? {} : read(old.version), read(fresh.version)];
  if (one === undefined || two === undefined) return shadow;
  const isNew: Change[] =
    old === undefined ? [{ sign: '+', words: `policy ${name} is new`, policy: name }] : [];
  return [...isNew, ...changesOfText(name, one, two, old === undefined), ...shadow];
}

/** `allow` widens by what is added, `deny` by what is removed. */
const lists = {
  allow: ['+', '-', 'may now', 'may no longer'],
  deny: ['-', '+', 'is now denied', 'is no longer denied'],
  on_request: ['+', '-', 'may now request', 'may no longer request'],
  users: ['+', '-', 'now covers', 'no longer covers'],
  except: ['-', '+', 'excepts now', 'no longer excepts'],
} as const;

function changesOfText(name: string, before: StoredRecord, after: StoredRecord, isNew: boolean): Change[] {
  const { policies: oldPolicies, ...oldAround } = before;
  const { policies, ...around } = after;
  const old = asObject(asObject(oldPolicies)?.[name]) ?? {};
  const fresh = asObject(asObject(policies)?.[name]) ?? {};
  const changes: Change[] = [];
  const add = (sign: Change['sign'], words: string, key: string, rules: Iterable<unknown> = []): void => {
    const commands = isRuleList(key) ? { commands: [...rules].map(commandOf) } : {};
    changes.push({ sign, words, policy: name, key, ...commands });
  };
  for (const [key, [added, removed, now, no]] of Object.entries(lists)) {
    const [one, two] = [itemsOf(old[key]), itemsOf(fresh[key])];
    const come = new Map([...two].filter(([text]) => !one.has(text)));
    const gone = new Map([...one].filter(([text]) => !two.has(text)));
    // A rule for the same command with other conditions may permit more, less, or something else.
    let isOtherwise = false;
    for (const [text, rule] of gone) {
      const other = [...come].find(([, each]) => commandOf(each) === commandOf(rule));
      if (other === undefined || !isRuleList(key)) continue;
      gone.delete(text);
      come.delete(other[0]);
      isOtherwise = true;
      const command = commandOf(rule);
      const words = `${name}: its ${key} rule for ${command} is now ${conditionsOf(other[1])}, and was ${conditionsOf(rule)}`;
      add('~', words, key, [rule]);
    }
    if (come.size > 0) add(added, `${name} ${now}: ${wordsOf(come.values())}`, key, come.values());
    if (gone.size > 0) add(removed, `${name} ${no}: ${wordsOf(gone.values())}`, key, gone.values());
    const isReordered =
      come.size === 0 && gone.size === 0 && JSON.stringify([...one]) !== JSON.stringify([...two]);
    if (isReordered && isRuleList(key) && !isOtherwise)
      add('~', `${name}: its ${key} rules have another order`, key, two.values());
  }
  if (isNew) return changes;
  const others = [
    ...namesIn(old, fresh)
      .filter((key) => !(key in lists))
      .map((key) => [key, key, old[key], fresh[key]] as const),
    ...namesIn(oldAround, around).map((key) => ['around', key, oldAround[key], around[key]] as const),
  ];
  for (const [place, key, one, two] of others) {
    if (JSON.stringify(one) === JSON.stringify(two)) continue;
    const sign = key === 'mode' ? (two === 'observe' ? '+' : '-') : '~';
    add(sign, `${name}: ${key} is now ${said(two)}, and was ${said(one)}`, place);
  }
  return changes;
}

function isRuleList(key: string): boolean {
  return key === 'allow' || key === 'deny' || key === 'on_request';
}

function itemsOf(list: unknown): Map<string, unknown> {
  return new Map((asList(list) ?? []).map((item) => [JSON.stringify(item), item]));
}

function commandOf(rule: unknown): string {
  const command = isText(rule) ? rule : asObject(rule)?.['command'];
  return said(command);
}

function conditionsOf(rule: unknown): string {
  const { command: _, ...conditions } = asObject(rule) ?? {};
  return Object.keys(conditions).length === 0 ? 'without conditions' : said(conditions);
}

function wordsOf(items: Iterable<unknown>): string {
  const words = [...items].map((item) =>
    isText(item) ? item : `${commandOf(item)} (${conditionsOf(item)})`,
  );
  return words.join(', ');
}

function said(value: unknown): string {
  if (value === undefined || value === null) return 'not set';
  if (isText(value)) return value;
  return isPlain(value) ? formatValue(value) : JSON.stringify(value);
}

function isPlain(value: unknown): value is Plain {
  if (Array.isArray(value)) return value.every(isPlain);
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isPlain);
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function changesOfListener(
  name: string,
  before: ListedListener | undefined,
  after: ListedListener | undefined,
): Change[] {
  if (after === undefined) return [{ sign: '-', words: `listener ${name} is gone` }];
  if (before === undefined) return [{ sign: '+', words: `new listener ${name}: ${whoHas(after)}` }];
  const changes: Change[] = (['account', 'key'] as const).flatMap((kind) => {
    const [old, fresh] = [before, after].map((each) => loginsIn(each, kind));
    return namesIn(Object.fromEntries(old ?? []), Object.fromEntries(fresh ?? [])).flatMap(
      (login): Change[] => {
        const [one, two] = [old?.get(login), fresh?.get(login)];
        const what = `${kind} ${login} at ${name}`;
        if (one === two) return [];
        if (one === undefined) return [{ sign: '+', words: `new ${what} with policy ${two}` }];
        if (two === undefined) return [{ sign: '-', words: `${what} is gone` }];
        return [{ sign: '~', words: `${what} has policy ${two} now, and had ${one}`, moved: [[one, two]] }];
      },
    );
  });
  const choices = changeOfChoices(before.policies, after.policies);
  if (choices !== undefined) {
    const [old, fresh] = [before, after].map(choicesOf);
    changes.push({ ...choices, words: `at ${name} now ${fresh}, and before ${old}` });
  }
  if (!isSamePeers(before.peers, after.peers)) {
    const [old, fresh] = [before, after].map(({ peers }) =>
      peers === undefined ? 'everybody' : said(peers),
    );
    const sign = after.peers === undefined ? '+' : isWithin(after.peers, before.peers) ? '-' : '~';
    changes.push({ sign, words: `at ${name} ${fresh} may connect, and before ${old}` });
  }
  return changes;
}

type Choices = ListedListener['policies'];
type Peers = ListedListener['peers'];

/** The first line that matches a peer decides, so a peer it no longer matches gets the policy of a later line. Undefined: no change. */
function changeOfChoices(before: Choices, after: Choices): Pick<Change, 'sign' | 'moved'> | undefined {
  const isSame = (at: number): boolean => isSamePeers(before[at]?.peers, after[at]?.peers);
  const common = before.findIndex((each, at) => each.policy !== after[at]?.policy || !isSame(at));
  if (common < 0 && before.length === after.length) return undefined;
  const isLast = after.length <= before.length && common === after.length;
  const [last, was] = [after.at(-1), before.at(-1)];
  const isFewer =
    after.length === before.length &&
    common === after.length - 1 &&
    last?.policy === was?.policy &&
    isWithin(last?.peers, was?.peers);
  if (isLast || isFewer) return { sign: '-' };
  if (before.length !== after.length || !after.every((_, at) => isSame(at))) return { sign: '~' };
  const moved = after.flatMap(({ policy }, at): [string, string][] => {
    const from = before[at]?.policy ?? policy;
    return from === policy ? [] : [[from, policy]];
  });
  return { sign: '~', moved };
}

function isSamePeers(one: Peers, other: Peers): boolean {
  return (one === undefined) === (other === undefined) && isWithin(one, other) && isWithin(other, one);
}

/** Undefined: everybody. */
function isWithin(fewer: Peers, more: Peers): boolean {
  if (more === undefined) return true;
  return (
    fewer !== undefined &&
    fewer.users.every((user) => more.users.includes(user)) &&
    fewer.groups.every((group) => more.groups.includes(group))
  );
}

/** Namespaces matter: a rule without `shared` permits no mailbox of another user. */
function changesOfBackend(
  name: string,
  before: ListedBackend | undefined,
  after: ListedBackend | undefined,
): Change[] {
  if (before === undefined || after === undefined) return [];
  return (['shared', 'namespaces'] as const).flatMap((key): Change[] => {
    const [old, fresh] = [before[key], after[key]];
    if (JSON.stringify(old) === JSON.stringify(fresh)) return [];
    const what = key === 'shared' ? 'shared namespaces' : key;
    return [{ sign: '~', words: `the ${what} of ${name} are now ${said(fresh)}, and were ${said(old)}` }];
  });
}

function loginsIn({ accounts, keys }: ListedListener, kind: 'account' | 'key'): Map<string, string> {
  return new Map((kind === 'account' ? accounts : keys).map(({ name, policy }) => [name, policy]));
}

function choicesOf({ policies }: ListedListener): string {
  const choices = policies.map(({ policy, peers }) =>
    peers === undefined ? `everybody has ${policy}` : `${said(peers)} has ${policy}`,
  );
  return choices.join(', then ') || 'nobody without a login has a policy';
}

function whoHas(listener: ListedListener): string {
  const logins = (['account', 'key'] as const).flatMap((kind) =>
    [...loginsIn(listener, kind)].map(([login, policy]) => `${kind} ${login} has ${policy}`),
  );
  return logins.length === 0 ? choicesOf(listener) : logins.join(', ');
}
