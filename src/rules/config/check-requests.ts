// Checks `on_request`, `approve` and `persons` against the rest of a configuration: whether somebody could approve, whether names exist.
// Members of groups and people behind an open socket are unknown, so that everybody in `persons` who has a user counts there.

import { formatDuration } from '../../host/words/durations.js';
import { identityOfUser } from '../../host/words/user-word.js';
import { Persons } from '../identity/person.js';
import { type Policy, quietApprovals, type RequestRule } from '../policy/policy.js';
import type { Cursor } from './cursor.js';
import { unknownName } from './problem.js';
import type { ListenerSettings, PeersSettings, Settings } from './settings.js';

/** Reports problems. `written` is the whole configuration, `valid` its valid part, from which the settings were made. */
export function checkRequests(settings: Settings, written: Cursor, valid: Cursor): void {
  checkPersons(settings, written, valid);
  const names = written.keys('policies');
  // A listener, person or policy with errors may be the one that could approve.
  const isWhole = (['listeners', 'persons', 'policies'] as const).every(
    (key) => sizeOf(settings[key]) === written.size(key),
  );
  for (const [name, policy] of settings.policies) {
    const at = valid.down('policies', name);
    for (const [index, other] of policy.approve.entries()) {
      if (!names.includes(other))
        at.error(['approve', index], unknownName('policy', other, names), 'unknown-name');
      else if (settings.policies.get(other)?.onRequest.length === 0)
        at.warning(['approve', index], `has no effect: ${other} has nothing in on_request`, 'no-effect');
    }
    if (policy.onRequest.length === 0) {
      if (at.has('requests')) at.warning(['requests'], 'has no effect without on_request', 'no-effect');
      continue;
    }
    for (const rule of policy.onRequest) {
      const here = at.down('on_request', indexOf(rule, at));
      checkDuration(settings, policy, rule, here);
      if (isWhole) checkApprovers(settings, policy, rule, here);
    }
  }
}

function sizeOf(value: ReadonlyMap<string, unknown> | readonly unknown[]): number {
  return 'size' in value ? value.size : value.length;
}

/** Finds the rule by its place: the list in the file also has the rules with errors. */
function indexOf({ place }: RequestRule, at: Cursor): number {
  for (let index = 0; index < at.size('on_request'); index += 1) {
    const { line, column } = at.place('on_request', index);
    if (line === place.line && column === place.column) return index;
  }
  return 0;
}

const dayMs = 86_400_000;

/** The journal must keep a grant with all records about it. */
function checkDuration(
  { audit }: Settings,
  { requests }: Policy,
  { terms }: RequestRule,
  here: Cursor,
): void {
  const { quietMs } = terms;
  // The owner is shown the access afterwards, from the journal.
  if (quietMs !== undefined && quietMs + dayMs > audit.keepMinMs) {
    const needed = formatDuration(quietMs + dayMs);
    const message = `and a day to tell the owner are ${needed} together, more than audit.keep_min (${formatDuration(audit.keepMinMs)})`;
    here.error(['quiet'], message);
  }
  const longestMs = terms.forMs + requests.waitMs;
  if (longestMs <= audit.keepMinMs) return;
  const message = `for and requests.wait are ${formatDuration(longestMs)} together, more than audit.keep_min (${formatDuration(audit.keepMinMs)})`;
  here.error(here.has('for') ? ['for'] : [], message);
}

/** The possible requesters of a set of policies, as far as the configuration shows them. */
interface Askers {
  /** Names in `persons`. */
  readonly persons: ReadonlySet<string>;
  /** People outside of `persons` can. */
  readonly hasOthers: boolean;
}

function checkApprovers(settings: Settings, policy: Policy, rule: RequestRule, here: Cursor): void {
  const { approvals } = rule.terms;
  const isBreakGlass = approvals === 0;
  const report = (why: string): void => {
    const message = `nobody could ${isBreakGlass ? 'review' : 'approve'} it: ${why}`;
    if (isBreakGlass) here.error([], message);
    else here.warning([], message);
  };
  const policies = [...settings.policies.values()].filter(({ approve }) => approve.includes(policy.name));
  const onPage = pageApprovers(settings);
  if (policies.length === 0 && onPage.length === 0) {
    report(`no policy has approve: [${policy.name}]`);
    return;
  }
  const names = policies.map(({ name }) => name);
  const approvers = new Set([...askersOf(settings, names, true).persons, ...onPage]);
  const needed = Math.max(1, approvals);
  const known = [...approvers].join(', ');
  if (rule.terms.quietMs !== undefined && approvers.size > 0 && approvers.size < quietApprovals)
    here.warning(['quiet'], `has no effect: it needs ${quietApprovals} persons, and there is only ${known}`);
  if (approvers.size === 0) report(`nobody with approve: [${policy.name}] is in persons`);
  else if (approvers.size < needed) report(`it needs ${needed} persons, and there is only ${known}`);
  else {
    const requesters = askersOf(settings, [policy.name], false);
    const isOnlyOwn = [...requesters.persons].every(
      (name) => approvers.size - (approvers.has(name) ? 1 : 0) < needed,
    );
    if (isOnlyOwn && requesters.persons.size > 0 && !requesters.hasOthers)
      report(`nobody may approve a request of his own, and there is only ${known}`);
  }
}

/** Names in `persons` of the people who decide about requests on the page. */
function pageApprovers({ admin, persons }: Settings): readonly string[] {
  const { approve = false, people = [] } = admin?.page ?? {};
  if (!approve) return [];
  const known = new Persons(persons);
  return people.flatMap(({ name, roles }) =>
    roles.includes('approve') ? (known.personOf([`page:${name}`]) ?? []) : [],
  );
}

/** `isApproving`: leaves out root, who may be anybody. */
function askersOf(
  { listeners, persons }: Settings,
  policies: readonly string[],
  isApproving: boolean,
): Askers {
  const found = new Set<string>();
  const known = new Persons(persons);
  let hasOthers = false;
  const add = (identity: string): void => {
    const name = known.personOf([identity]);
    if (name === undefined) hasOthers = true;
    else found.add(name);
  };
  const isRoot = (user: string): boolean => user === 'root' || user === '0';
  const addPeers = (peers: PeersSettings | undefined): void => {
    const isOpen = peers === undefined || peers.groups.length > 0;
    if (isOpen) {
      hasOthers = true;
      for (const [name, { users }] of persons)
        if (users.some((user) => !(isApproving && isRoot(user)))) found.add(name);
    }
    for (const user of peers?.users ?? []) if (!(isApproving && isRoot(user))) add(identityOfUser(user));
  };
  for (const listener of listeners) {
    for (const { policy, peers } of listener.policies)
      if (policies.includes(policy)) addPeers(peers ?? listener.peers);
    for (const { name, policy } of listener.accounts) if (policies.includes(policy)) add(`account:${name}`);
    for (const { name, policy } of listener.keys) if (policies.includes(policy)) add(`key:${name}`);
  }
  return { persons: found, hasOthers };
}

/** A misspelt name would miss an identity, with which its owner could approve his own request. */
function checkPersons({ persons, listeners }: Settings, written: Cursor, valid: Cursor): void {
  const names = (key: 'accounts' | 'keys'): string[] =>
    listeners.flatMap((listener: ListenerSettings) => written.keys('listeners', listener.name, key));
  const known = {
    accounts: [...new Set(names('accounts'))],
    keys: [...new Set(names('keys'))],
    page: written.keys('admin', 'page', 'people'),
  };
  const what = { accounts: 'account', keys: 'key', page: 'person of the page' } as const;
  const isWhole = listeners.length === written.size('listeners');
  for (const [name, person] of persons) {
    for (const key of ['accounts', 'keys', 'page'] as const) {
      for (const [index, each] of person[key].entries()) {
        if (known[key].includes(each) || (key !== 'page' && !isWhole)) continue;
        const message = unknownName(what[key], each, known[key]);
        valid.error(['persons', name, key, index], message, 'unknown-name');
      }
    }
  }
}
