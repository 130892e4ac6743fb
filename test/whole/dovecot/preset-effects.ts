// What a line did to a real server, in words that can be compared with what a preset promises: what its reply showed, what changed in
// the mailboxes, whom it reached, whether the server's process ended.
import type { Attempt } from '../../../src/rules/policy/attempt.js';
import { isInScope, type Scope } from './preset-policies.js';
import { markOf, people, realm, type Seen } from './twin-worlds.js';

export interface PresetEffect {
  readonly kind: 'shows' | 'changes' | 'reaches' | 'kills';
  readonly what: string;
}

/** Stand where no preset may reach. */
export const secretOf = {
  userdb: (person: string) => `userdb-secret-of-${person}`,
  hidden: (person: string) => `hidden-attribute-of-${person}`,
  server: 'password-of-the-server',
} as const;

/** What no preset may do, whatever it promises. */
export function isForbidden({ kind, what }: PresetEffect): boolean {
  if (kind === 'kills') return true;
  return /password|secret|hidden attribute|environment|outside of the policy|program|file of the server/.test(
    what,
  );
}

/** Files of each user, before and after: paths and sizes. */
export type Files = ReadonlyMap<string, readonly string[]>;

export interface Outcome {
  readonly attempt: Attempt;
  readonly scope: Scope;
  readonly seen: Seen;
  readonly before: Files;
  readonly after: Files;
  /** Connections and texts that came to the one destination that a preset may be given. */
  readonly came: string;
}

/** The effects of one line. */
export function effectsOf(outcome: Outcome): PresetEffect[] {
  const { attempt, seen } = outcome;
  if (seen.status === 'EOF' && attempt.command.input !== 'duplex') {
    return [{ kind: 'kills', what: `the server's process, by \`${attempt.command.name}\`` }];
  }
  const found = [...shown(outcome), ...changed(outcome), ...reached(outcome)];
  const unique = new Map(found.map((effect) => [`${effect.kind} ${effect.what}`, effect]));
  return [...unique.values()];
}

/** Whose: a person whom the line names, another one, or one whom the policy is not for. */
function whose({ attempt, scope }: Outcome, user: string): string {
  if (attempt.users.includes(user)) return 'the user named';
  return isInScope(scope, user) ? 'others in the policy' : 'users outside of the policy';
}

function shown(outcome: Outcome): PresetEffect[] {
  const { attempt, seen } = outcome;
  const { name } = attempt.command;
  const found: string[] = [];
  const { text } = seen;
  const said = [...attempt.parsed.values.values()].flat().join('\n');
  for (const person of people) {
    const user = `${person}@${realm}`;
    const who = whose(outcome, user);
    const mark = markOf(person);
    if (text.includes(`${mark} says`)) found.push(`texts of mails of ${who}`);
    if (new RegExp(`${mark} \\S+ \\d|\\d\\.${mark}`).test(text)) found.push(`headers of mails of ${who}`);
    if (text.includes(`# ${mark}`)) found.push(`Sieve scripts of ${who}`);
    if (text.includes(`remark-${person}`)) found.push(`attributes of mailboxes of ${who}`);
    if (text.includes(secretOf.userdb(person))) found.push(`secrets of the userdb of ${who}`);
    if (text.includes(secretOf.hidden(person))) found.push(`hidden attributes of ${who}`);
    // Errors repeat what the client said.
    const isNamed = attempt.users.includes(user) || said.includes(user);
    if (!isNamed && text.includes(user)) {
      found.push(
        isInScope(outcome.scope, user)
          ? 'names of others in the policy'
          : 'names of users outside of the policy',
      );
    }
  }
  if (text.includes(secretOf.server)) found.push('the password of the server');
  if (/\/usr\/local\/sbin|PATH=/.test(text)) found.push('the environment of the server');
  if (/root:x?:0:0|daemon:/.test(text)) found.push('a file of the server');
  if (seen.status === '+') {
    if (name === 'user' && attempt.parsed.values.has('field') && /":"/.test(text)) {
      found.push('fields of the userdb of the user named');
    }
    if (attempt.content.some((each) => each.startsWith('key '))) found.push('whether a mail holds a word');
    if (name === 'log errors') found.push('log lines of the server');
    if (/^(?:who|penalty|proxy list)$/.test(name)) found.push('addresses of clients');
    if (/^(?:service|process|director|replicator|stats|instance|oldstats)/.test(name))
      found.push('numbers of the server');
    if (seen.cells.length > 0 && /^(?:mailbox|search|fetch|quota|sieve list|acl)/.test(name)) {
      found.push('mailboxes, ids, flags, sizes, dates, quota or rights');
    }
  }
  return found.map((what) => ({ kind: 'shows', what }));
}

/** What a path below a home belongs to. */
const parts: readonly (readonly [path: RegExp, what: string])[] = [
  [/\/subscriptions /, 'subscriptions'],
  [/\/dovecot-acl /, 'rights'],
  [/\/sieve\/[^/]+ |\.dovecot\.sieve$/, 'Sieve scripts'],
  [/\/attributes /, 'attributes'],
];

function changed(outcome: Outcome): PresetEffect[] {
  const { attempt, seen, before, after } = outcome;
  const found: string[] = [];
  for (const person of new Set([...before.keys(), ...after.keys()])) {
    const who = whose(outcome, person);
    const [old, now] = [before.get(person) ?? [], after.get(person) ?? []];
    found.push(...changesOfMails(old.filter(isMail), now.filter(isMail)).map((what) => `${what} of ${who}`));
    const gone = old.filter((path) => !isMail(path) && !now.includes(path));
    const came = now.filter((path) => !isMail(path) && !old.includes(path));
    if (gone.some(isMailbox)) found.push(`${came.some(isMailbox) ? 'names' : 'gone'}: mailboxes of ${who}`);
    else if (came.some(isMailbox)) found.push(`new: mailboxes of ${who}`);
    for (const path of [...gone, ...came]) {
      const part = parts.find(([pattern]) => pattern.test(path));
      if (part !== undefined) found.push(`${part[1]} of ${who}`);
    }
  }
  if (seen.status === '+') {
    const whom =
      attempt.everybody !== 'none'
        ? 'everybody'
        : attempt.masks.length > 0
          ? 'an address or a mask'
          : 'the user named';
    if (attempt.effect === 'session') found.push(`end: sessions of ${whom}`);
    if (attempt.command.name === 'auth cache flush') found.push(`forgotten: cached logins of ${whom}`);
    if (attempt.command.name === 'replicator replicate') found.push(`asked for: replication of ${whom}`);
  }
  return found.map((what) => ({ kind: 'changes', what }));
}

function isMailbox(path: string): boolean {
  return /Maildir\/\.[^/]+\/$/.test(path);
}

function isMail(path: string): boolean {
  return /\/(?:cur|new)\/[^/]+$/.test(path);
}

/** Mails are known by the names and sizes of their files, without flags and folders. */
function changesOfMails(old: readonly string[], now: readonly string[]): string[] {
  const [before, after] = [countsOf(old), countsOf(now)];
  const isLess = [...before].some(([mail, count]) => (after.get(mail) ?? 0) < count);
  const isMore = [...after].some(([mail, count]) => (before.get(mail) ?? 0) < count);
  if (isLess || isMore) {
    const lost = old.filter((path) => !now.some((other) => withoutFlags(other) === withoutFlags(path)));
    const isRubbish = lost.length > 0 && lost.every((path) => /\/\.(?:Trash|Junk|Spam)\//.test(path));
    const gone = isRubbish ? 'gone: mails in Trash, Junk or Spam' : 'gone: mails';
    return [...(isLess ? [gone] : []), ...(isMore ? ['new: mails'] : [])];
  }
  const folders = (paths: readonly string[]): string =>
    paths
      .map((path) => path.replace(/\/(?:cur|new)\/[^/]+$/, ''))
      .toSorted()
      .join('\n');
  if (folders(old) !== folders(now)) return ['in other mailboxes: mails'];
  return old.toSorted().join('\n') === now.toSorted().join('\n') ? [] : ['flags: mails'];
}

function withoutFlags(path: string): string {
  return path.replace(/:2,\S*/, '').replace(/\/(?:cur|new)\//, '/');
}

function countsOf(paths: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const path of paths) {
    const mail = path.replace(/^.*\//, '').replace(/:2,\S*/, '');
    counts.set(mail, (counts.get(mail) ?? 0) + 1);
  }
  return counts;
}

function reached(outcome: Outcome): PresetEffect[] {
  const { attempt, seen, came } = outcome;
  const found: string[] = [];
  for (const user of seen.users) {
    if (attempt.users.includes(user) || !user.includes('@')) continue;
    found.push(`mailboxes of ${whose(outcome, user)}`);
  }
  if (attempt.command.input === 'duplex' && seen.status === '+')
    found.push('all mail of the user named, by dsync');
  if (came !== '') found.push('the one destination');
  if (came.includes(Buffer.from(`\0doveadm\0${secretOf.server}`).toString('base64'))) {
    found.push('the one destination, with the password of the server');
  }
  return found.map((what) => ({ kind: 'reaches', what }));
}
