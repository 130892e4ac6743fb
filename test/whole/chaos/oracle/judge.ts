// The policies of run.json, judged by the oracle alone: which principal may do what, in the versions that may have been in force.
import { outputFields, type ParsedCommand, queryWords } from './command-line.js';
import { count, type Json, object, text, texts } from './read-lines.js';

export interface Rule {
  commands: Set<string>;
  users: RegExp[];
  except: RegExp[];
  showsContent: boolean;
}

export type Policies = Map<string, Map<string, Rule[]>>;

export function parsePolicies(run: Json): Policies {
  const versions: Policies = new Map();
  for (const [version, principals] of Object.entries(object(run.policies) ?? {})) {
    const rules = new Map<string, Rule[]>();
    for (const [principal, list] of Object.entries(object(principals) ?? {}))
      rules.set(principal, Array.isArray(list) ? list.map((one) => parseRule(object(one) ?? {})) : []);
    versions.set(version, rules);
  }
  return versions;
}

function parseRule(rule: Json): Rule {
  return {
    commands: new Set(texts(rule.commands)),
    users: texts(rule.users).map(globPattern),
    except: texts(rule.except).map(globPattern),
    showsContent: rule.content === true,
  };
}

/** `*` is any run of characters without `@`; alone it is everybody. Users are compared without regard to ASCII case. */
export function globPattern(glob: string): RegExp {
  if (glob === '*') return /^[^]*$/;
  const source = glob
    .split('*')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('[^@]*');
  return new RegExp(`^${source}$`, 'i');
}

/** Undefined: allowed. Otherwise why not. `user` is the wire user in its normal form. */
export function denialOf(rules: readonly Rule[], parsed: ParsedCommand, user: string): string | undefined {
  const forbidden = forbiddenParameter(parsed, user);
  if (forbidden !== undefined) return forbidden;
  const name = parsed.spec.name;
  const named = rules.filter((rule) => rule.commands.has(name));
  if (named.length === 0) return `no rule allows "${name}"`;
  const users = usersOf(parsed, user);
  const fitting = named.filter((rule) => users.every((one) => coversUser(rule, one)));
  if (fitting.length === 0) return `no rule for "${name}" covers ${users.join(' ')}`;
  if (fitting.some((rule) => rule.showsContent) || (name !== 'fetch' && name !== 'search')) return undefined;
  const word = contentWord(parsed);
  return word === undefined ? undefined : `content: the word "${word}"`;
}

function coversUser(rule: Rule, user: string): boolean {
  return rule.users.some((one) => one.test(user)) && !rule.except.some((one) => one.test(user));
}

/** Whom the rules must cover: the wire user of a mail command, the named users of a server command. */
function usersOf(parsed: ParsedCommand, user: string): string[] {
  if (parsed.spec.isMail) return [user];
  return namedUsers(parsed);
}

function namedUsers(parsed: ParsedCommand): string[] {
  return parsed.spec.parameters
    .filter((one) => one.class === 'U' || one.class === 'u')
    .flatMap((one) => parsed.values.get(one.long) ?? []);
}

/** What no version allows: a file, a socket, another user, all users, a destination. */
function forbiddenParameter(parsed: ParsedCommand, user: string): string | undefined {
  for (const parameter of parsed.spec.parameters) {
    const values = parsed.values.get(parameter.long);
    if (values === undefined) continue;
    if (['Q', 'O', ''].includes(parameter.class)) continue;
    if (parameter.class === 'u' && parsed.spec.isMail && values.every((one) => sameUser(one, user))) continue;
    if (!parsed.spec.isMail && (parameter.class === 'U' || parameter.class === 'u')) {
      const masks = values.filter((one) => /[*?/]/.test(one));
      if (masks.length === 0) continue;
    }
    if (parameter.long === 'source-user' && parsed.spec.isMail && !namesOther(parsed)) continue;
    return `parameter ${parameter.long} is never allowed`;
  }
  return namesOther(parsed) ? 'another user is never allowed' : undefined;
}

/** `copy` and `move` name another user by a word after the destination, in both series. */
function namesOther(parsed: ParsedCommand): boolean {
  if (parsed.spec.name !== 'copy' && parsed.spec.name !== 'move') return false;
  const key = parsed.positionals[1]?.toLowerCase();
  return key === 'user' || key === 'source-user' || parsed.byOption.has('source-user');
}

/** `-u` with `*` or `?`, which a gate takes where it covers the wire user. */
export function maskPattern(mask: string): RegExp {
  const source = mask
    .split('')
    .map((one) => (one === '*' ? '.*' : one === '?' ? '.' : one.replace(/[.+^${}()|[\]\\]/, '\\$&')))
    .join('');
  return new RegExp(`^${source}$`, 'i');
}

export function sameUser(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

const plainWords = new Set(['uid', 'guid', 'flags', 'size.physical', 'date.received', 'mailbox']);

/** The first word that asks about content: anything but the words that the contract lists. */
function contentWord(parsed: ParsedCommand): string | undefined {
  const field = outputFields(parsed).find((word) => !plainWords.has(word.toLowerCase()));
  if (field !== undefined) return field;
  const words = queryWords(parsed);
  for (let at = 0; at < words.length; at += 1) {
    const word = (words[at] ?? '').toLowerCase();
    if (word === 'mailbox' || word === 'keyword') at += 1;
    else if (word === 'uid') {
      at += 1;
      if (!/^[0-9:*,]+$/.test(words[at] ?? '')) return `uid ${words[at] ?? ''}`;
    } else if (word !== 'all' && word !== 'or' && word !== 'not') return words[at] ?? '';
  }
  return undefined;
}

export interface Timeline {
  /** The versions of which one may have been in force at some moment between the two times. */
  between(from: number, to: number): string[];
}

/**
 * Versions by the times at which they were asked for and known to be in force. Where a kill came between, the next start of the gate
 * (`starts`, times at which it was seen to serve again) is when it is known.
 */
export function createTimeline(
  changes: readonly Json[],
  starts: readonly number[],
  versions: string[],
): Timeline {
  const steps = changes
    .filter((one) => one.broken !== true && text(one.version) !== '')
    .map((one) => ({ version: text(one.version), from: count(one.from) ?? 0, until: count(one.until) }))
    .toSorted((one, other) => one.from - other.from);
  if (steps.length === 0) return { between: () => versions };
  const knownAt = steps.map(({ from, until }) => until ?? starts.find((one) => one > from) ?? Infinity);
  // A later version that is known to be in force ends the one before it as well.
  for (let at = knownAt.length - 2; at >= 0; at -= 1)
    knownAt[at] = Math.min(knownAt[at] ?? Infinity, knownAt[at + 1] ?? Infinity);
  return {
    between(from, to) {
      const found = steps.filter(
        (step, at) => (at === 0 || step.from <= to) && (knownAt[at + 1] ?? Infinity) >= from,
      );
      return [...new Set(found.map((step) => step.version))];
    },
  };
}
