// Looks up what an assessment leaves open: where the passdb says that a user lives, who else the userdb says that users are. Finds the
// backend at a host that a passdb or a referral names. It does not dial, judge or record.
// The rules: what the auth service could not say is a failure, never another backend; a host that is none of the configured
// backends is never gone to; every name that the service gives a user is reported, so that it is judged.

import type { Series } from '../../domain/commands/catalog.js';
import type { MailboxNames } from '../../domain/commands/mailbox-names.js';
import {
  type Answers,
  createRoutingTable,
  nothingKnown,
  type PassdbAnswer,
  type Question,
  type RoutedBackend,
  type RoutingTable,
  type RoutingTableOptions,
  userdbKey,
} from '../../domain/policy/assess.js';
import type { Lookup } from '../lookup/lookup.js';
import type { UserResolver } from '../lookup/resolve-user.js';
import type { Address } from '../outcome/ports.js';
import type { Pool } from '../pool/pool.js';

/** Where a command may go: a backend as it is configured, with its pool. */
export class Destination implements RoutedBackend {
  readonly pool: Pool;
  readonly address: Address;
  readonly sharedNamespaces: readonly string[] | undefined;
  readonly mailboxNames: MailboxNames | undefined;

  constructor(
    pool: Pool,
    address: Address,
    sharedNamespaces: readonly string[] | undefined,
    mailboxNames?: MailboxNames,
  ) {
    this.pool = pool;
    this.address = address;
    this.sharedNamespaces = sharedNamespaces;
    this.mailboxNames = mailboxNames;
  }

  get name(): string {
    return this.pool.backend;
  }

  /** As the pool knows it now: it learns it from each upstream that it greets. */
  get series(): Series | undefined {
    return this.pool.series;
  }
}

/** Routes of one set of settings. No promise of it rejects. */
export interface Router {
  readonly table: RoutingTable<Destination>;
  /** What was known before, and the answers to these questions, which are asked one after the other up to the first that fails. */
  ask(questions: readonly Question[], known: Answers): Promise<Answers>;
  /** The configured backend at `HOST` or `HOST:PORT`, as a referral or a passdb writes it; undefined: there is none, or not only one. */
  atHost(host: string): Destination | undefined;
}

/** What a router is made from. */
export interface RouterOptions extends Omit<RoutingTableOptions<Destination>, 'asksUserdb'> {
  /** The auth service at a socket, whose answers hold so long. */
  readonly lookup: (socket: string, cacheTtlMs: number) => Pick<Lookup, 'pass'>;
  /** Who else the users of a command are; undefined: the userdb is not asked. */
  readonly resolver?: UserResolver | undefined;
}

/** A router over pools that somebody else owns. */
export function createRouter(options: RouterOptions): Router {
  const { lookup, resolver, ...tableOptions } = options;
  const table = createRoutingTable({ ...tableOptions, asksUserdb: resolver !== undefined });
  const { userNames, backends } = table;

  return { table, ask, atHost };

  async function ask(questions: readonly Question[], known: Answers): Promise<Answers> {
    const passdb = new Map(known.passdb);
    const userdb = new Map(known.userdb);
    for (const question of questions) {
      if (question.kind === 'passdb') {
        const { user, socket, cacheTtlMs } = question;
        const answer = await askPassdb(user, socket, cacheTtlMs);
        passdb.set(user, answer);
        if (answer.kind !== 'to') break;
      } else if (resolver !== undefined) {
        userdb.set(userdbKey(question.users), await resolver.resolve(question.users));
      }
    }
    return { ...nothingKnown, passdb, userdb };
  }

  async function askPassdb(user: string, socket: string, cacheTtlMs: number): Promise<PassdbAnswer> {
    const answer = await lookup(socket, cacheTtlMs).pass(user);
    if (answer.kind === 'failed') return { kind: 'failed', code: answer.code };
    if (answer.kind === 'not-found') return { kind: 'nowhere', reason: 'the passdb does not know this user' };
    const { fields } = answer;
    const hosts = [fields.get('hostip'), fields.get('host')].flatMap((host) => (host ? [host] : []));
    // A host means nothing by itself: `proxy` (whatever its value) or `nologin` says that the user lives there.
    if (hosts.length === 0 || !(fields.has('proxy') || fields.has('nologin'))) {
      return { kind: 'nowhere', reason: 'the passdb names no host for this user' };
    }
    const port = fields.get('port');
    const found = hosts.map((host) => at(host, port)).find((each) => each !== undefined);
    if (found === undefined) {
      return { kind: 'nowhere', reason: 'the passdb names a host that is no backend here' };
    }
    const aliases = new Set<string>();
    for (const name of [answer.user, fields.get('destuser')]) {
      if (name === undefined || name === '') continue;
      const other = userNames.normalise(name);
      if (other.kind === 'refused') return { kind: 'failed', code: 'alias-unnamable' };
      if (other.name !== user) aliases.add(other.name);
    }
    return { kind: 'to', backend: found.name, aliases: [...aliases] };
  }

  function atHost(text: string): Destination | undefined {
    // `[::1]:24245`, `192.0.2.1:24245`, `mail1`, and an IPv6 address without brackets.
    const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
    return at(bracketed ?? plain ?? text, port);
  }

  function at(host: string, port: string | undefined): Destination | undefined {
    const wanted = host.toLowerCase();
    const fitting = backends.filter(
      ({ address }) =>
        address.kind === 'tcp' &&
        address.host.toLowerCase() === wanted &&
        (port === undefined || String(address.port) === port),
    );
    return fitting.length === 1 ? fitting[0] : undefined;
  }
}
