// Who can send commands, and under which policy: each account and key of a listener, and each line of its `policies`. Which persons they
// are is known only as far as the configuration says it: only the machine knows the members of a group.

import type { Who } from '../../rules/answers/statement.js';
import type { ListenerSettings, PeersSettings, Settings } from '../../rules/config/settings.js';
import type { Policy } from '../../rules/policy/policy.js';
import type { Certainty } from '../story/story.js';

export interface Requester {
  readonly listener: ListenerSettings;
  readonly policy: Policy;
  /** Undefined: the kernel says who asks. */
  readonly login: { readonly kind: 'account' | 'key'; readonly name: string } | undefined;
  /** The peers of its line in `policies`. Undefined: everybody whom no line before it matches. */
  readonly peers: PeersSettings | undefined;
}

/** Everybody whom the configuration lets in at that time, in Unix milliseconds. */
export function requestersOf({ listeners, policies }: Settings, nowMs: number): Requester[] {
  return listeners.flatMap((listener) => {
    const entry = (name: string, login: Requester['login'], peers?: PeersSettings): Requester[] => {
      const policy = policies.get(name);
      return policy === undefined ? [] : [{ listener, policy, login, peers }];
    };
    const keys = listener.keys.filter(({ expiresMs }) => expiresMs === undefined || nowMs < expiresMs);
    const logins = [
      ...listener.accounts.flatMap(({ name, policy }) => entry(policy, { kind: 'account', name })),
      ...keys.flatMap(({ name, policy }) => entry(policy, { kind: 'key', name })),
    ];
    const last = listener.policies.findIndex(({ peers }) => peers === undefined);
    const choices = last < 0 ? listener.policies : listener.policies.slice(0, last + 1);
    return [
      ...logins,
      ...choices.flatMap(({ policy, peers }) => entry(policy, undefined, peers ?? listener.peers)),
    ];
  });
}

/** For people: `key modoboa at api`, `users anna of group support at desk`, `everybody at desk`. */
export function sayRequester(requester: Pick<Requester, 'listener' | 'login' | 'peers'>): string {
  const { listener, login, peers } = requester;
  const at = `at ${listener.name}`;
  if (login !== undefined) return `${login.kind} ${login.name} ${at}`;
  const { users = [], groups = [] } = peers ?? {};
  const named = [
    ...(users.length === 0 ? [] : [`user ${users.join(' or ')}`]),
    ...(groups.length === 0 ? [] : [`a member of ${groups.join(' or ')}`]),
  ];
  return `${named.length === 0 ? 'everybody' : named.join(' or ')} ${at}`;
}

export function principalOfRequester({ listener, login, peers }: Requester): string {
  return `${login?.name ?? peers?.users[0] ?? '-'}@${listener.name}`;
}

/** Whether a name of a statement can be this requester; `maybe`: it depends on groups or uids, which only the machine knows. */
export function canBe(who: Who, requester: Requester, { persons }: Settings): Certainty {
  const { listener, policy, login } = requester;
  const is = (holds: boolean): Certainty => (holds ? 'yes' : 'no');
  switch (who.kind) {
    case 'policy':
      return is(policy.name === who.name);
    case 'listener':
      return is(listener.name === who.name);
    case 'key':
    case 'account':
      return is(login?.kind === who.kind && login.name === who.name);
    case 'user':
      return login === undefined ? mayGet([who.name], requester) : 'no';
    case 'person': {
      const person = persons.get(who.name);
      if (person === undefined) return 'no';
      if (login === undefined) return mayGet(person.users, requester);
      return is((login.kind === 'account' ? person.accounts : person.keys).includes(login.name));
    }
    default:
      return who.kind satisfies never;
  }
}

/** Whether nobody else can be this requester. */
export function isOnly(who: Who, requester: Requester, settings: Settings): boolean {
  if (who.kind !== 'person' && who.kind !== 'user') return canBe(who, requester, settings) === 'yes';
  if (requester.login !== undefined) return canBe(who, requester, settings) === 'yes';
  const users = who.kind === 'user' ? [who.name] : (settings.persons.get(who.name)?.users ?? []);
  return [requester.peers, requester.listener.peers].some(
    (peers) =>
      peers !== undefined &&
      peers.groups.length === 0 &&
      peers.users.length > 0 &&
      peers.users.every((user) => users.includes(user)),
  );
}

/** Each user of its line who surely gets it, as a requester of their own. `rest` is undefined if nobody is left. */
export function splitByName(requester: Requester): {
  readonly named: readonly Requester[];
  readonly rest: Requester | undefined;
} {
  const { login, peers } = requester;
  if (login !== undefined || peers === undefined) return { named: [], rest: requester };
  const users = peers.users.filter((user) => mayGet([user], requester) === 'yes');
  const left = peers.users.filter((user) => !users.includes(user));
  const isRest = left.length > 0 || peers.groups.length > 0;
  return {
    named: users.map((user) => ({ ...requester, peers: { users: [user], groups: [] } })),
    rest: isRest ? { ...requester, peers: { ...peers, users: left } } : undefined,
  };
}

/** The requesters of one listener that this user may be; with undefined, if the user may not be let in at all. */
export function perhapsOf(
  user: string,
  requesters: readonly Requester[],
): readonly (Requester | undefined)[] {
  const likely = requesters.map((each) => [each, mayGet([user], each)] as const);
  const possible = likely.filter(([, how]) => how !== 'no').map(([each]) => each);
  return likely.some(([, how]) => how === 'yes') ? possible : [...possible, undefined];
}

/** Whether one of these users of the machine gets the requester's line of `policies`. */
function mayGet(users: readonly string[], { listener, peers }: Requester): Certainty {
  let most: Certainty = users.length === 0 ? 'no' : isMember(users, listener.peers);
  for (const choice of listener.policies) {
    const membership = isMember(users, choice.peers);
    if ((choice.peers ?? listener.peers) === peers) return weaker(most, membership);
    if (membership === 'yes' && users.length === 1) most = 'no';
    else if (membership !== 'no') most = weaker(most, 'maybe');
  }
  return 'no';
}

function isMember(users: readonly string[], peers: PeersSettings | undefined): Certainty {
  if (peers === undefined) return 'yes';
  const named = peers.users;
  if (named.some((user) => users.includes(user))) return 'yes';
  // A name and a number may be one user.
  const isNumber = (user: string): boolean => /^\d+$/.test(user);
  const mayBeSame = named.some((user) => users.some((other) => isNumber(user) !== isNumber(other)));
  return peers.groups.length > 0 || mayBeSame ? 'maybe' : 'no';
}

const order: readonly Certainty[] = ['no', 'maybe', 'yes'];

function weaker(one: Certainty, other: Certainty): Certainty {
  return order.indexOf(one) < order.indexOf(other) ? one : other;
}
