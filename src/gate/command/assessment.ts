// Assesses a command line before anything is recorded or sent: calls rules/policy, looks up in the passdb and the
// userdb what it needs, and repeats this until nothing is open. Remembers lines whose assessment follows from the
// configuration alone. A failed look-up is a failure and never leads to another backend. A host that is not a configured
// backend is never used. Every name that the service returns for a user is reported, so that policy evaluates it.

import type { Series } from '../../doveadm/commands/catalog.js';
import type { MailboxNames } from '../../doveadm/names/mailbox-names.js';
import type { CommandLine } from '../../doveadm/protocol/command.js';
import type { Server } from '../../doveadm/protocol/releases.js';
import type { Queueing } from '../../host/concurrency/limits.js';
import type { Clock } from '../../host/ports/machine.js';
import type { Address } from '../../host/ports/transport.js';
import type { Redacted } from '../../journal/records/keys.js';
import { type Assessment, assess, fateOf, seriesOf } from '../../rules/policy/assess.js';
import { type AnswerCache, judgedBytes, type Subject } from '../../rules/policy/judge.js';
import {
  type Answers,
  createRoutingTable,
  isPassdbAnswer,
  nothingKnown,
  type PassdbAnswer,
  type Question,
  type RoutedBackend,
  type RoutingTable,
  type RoutingTableOptions,
  userdbKey,
} from '../../rules/policy/route.js';
import type { Lookup } from '../lookup/lookup.js';
import type { UserResolver } from '../lookup/resolve-user.js';
import type { Ending } from '../outcome/outcome.js';
import type { Pool } from '../pool/pool.js';
import type { OutgoingCommand } from '../relay/relay.js';
import { type RecordedJudgement, recordedJudgement } from './exchange-records.js';

export class Destination implements RoutedBackend {
  readonly name: string;
  readonly pool: Pool;
  readonly address: Address;
  readonly place: string;
  readonly sharedNamespaces: readonly string[] | undefined;
  readonly mailboxNames: MailboxNames | undefined;

  readonly newer: 'serve' | 'reads' | 'refuse';

  constructor(
    pool: Pool,
    address: Address,
    sharedNamespaces: readonly string[] | undefined,
    mailboxNames?: MailboxNames,
    newer: Destination['newer'] = 'reads',
  ) {
    this.newer = newer;
    this.name = pool.backend;
    this.pool = pool;
    this.address = address;
    this.place = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
    this.sharedNamespaces = sharedNamespaces;
    this.mailboxNames = mailboxNames;
  }

  /** The series of the last upstream that the pool greeted. */
  get series(): Series | undefined {
    return this.pool.series;
  }

  get server(): Server | undefined {
    return this.pool.server;
  }
}

export interface Router {
  readonly table: RoutingTable<Destination>;
  /** `known` with the answers to these questions, looked up in order up to the first failure. `asker`: the command's owner. */
  ask(questions: readonly Question[], known: Answers, asker: Queueing): Promise<Answers>;
  /** The configured backend at `HOST` or `HOST:PORT`, as a referral or a passdb writes it; undefined: none, or several. */
  atHost(host: string): Destination | undefined;
}

export interface RouterOptions extends Omit<RoutingTableOptions<Destination>, 'asksUserdb'> {
  /** The auth service at a socket; its answers are cached for `cacheTtlMs`. */
  readonly lookup: (socket: string, cacheTtlMs: number) => Pick<Lookup, 'pass'>;
  readonly resolver?: UserResolver | undefined;
}

export function createRouter(options: RouterOptions): Router {
  const { lookup, resolver, ...tableOptions } = options;
  const table = createRoutingTable({ ...tableOptions, asksUserdb: resolver !== undefined });
  const { userNames, backends } = table;

  return { table, ask, atHost };

  async function ask(questions: readonly Question[], known: Answers, asker: Queueing): Promise<Answers> {
    const passdb = new Map(known.passdb);
    const userdb = new Map(known.userdb);
    for (const question of questions) {
      if (question.kind === 'passdb') {
        const { user, socket, cacheTtlMs } = question;
        const answer = await askPassdb(user, socket, cacheTtlMs, asker);
        passdb.set(user, answer);
        if (!isPassdbAnswer(answer, 'to')) break;
      } else if (resolver !== undefined) {
        userdb.set(userdbKey(question.users), await resolver.resolve(question.users, asker));
      }
    }
    return { ...nothingKnown, passdb, userdb };
  }

  async function askPassdb(
    user: string,
    socket: string,
    cacheTtlMs: number,
    asker: Queueing,
  ): Promise<PassdbAnswer> {
    const answer = await lookup(socket, cacheTtlMs).pass(user, asker);
    switch (answer.kind) {
      case 'failed':
        return { kind: 'failed', code: answer.code };
      case 'not-found':
        return { kind: 'nowhere', reason: 'the passdb does not know this user' };
      case 'found':
        break;
      default:
        return answer satisfies never;
    }
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

/** The assessment of a line after all look-ups. `destinations` is empty for commands that no backend gets. */
export interface AssessedCommand extends Omit<Assessment<Destination>, 'obstacle' | 'questions'> {
  readonly obstacle: Ending | undefined;
}

/** Returns a promise only if a look-up is needed; it never rejects. */
export function assessCommand(
  parts: AssessParts,
  subject: Subject,
  line: CommandLine,
  origin: string,
): AssessedCommand | Promise<AssessedCommand> {
  const found = assess(line, subject, parts.router.table, nothingKnown, parts.clock.wallMs());
  if (found.judgement !== undefined) return sendable(found);
  return lookUp(parts, subject, line, found.questions, { principal: subject.principal, origin });
}

interface AssessParts {
  readonly router: Router;
  readonly clock: Clock;
}

async function lookUp(
  { router, clock }: AssessParts,
  subject: Subject,
  line: CommandLine,
  open: readonly Question[],
  asker: Queueing,
): Promise<AssessedCommand> {
  let questions = open;
  for (let answers = nothingKnown; ; ) {
    answers = await router.ask(questions, answers, asker);
    const found = assess(line, subject, router.table, answers, clock.wallMs());
    if (found.judgement !== undefined) return sendable(found);
    ({ questions } = found);
  }
}

/** A command that no backend gets has no destination: neither its record nor its ending names one. */
function sendable(found: Assessment<Destination>): AssessedCommand {
  return fateOf(found) === 'allow' ? found : { ...found, destinations: [] };
}

export interface KnownLine {
  readonly line: CommandLine;
  readonly assessed: AssessedCommand;
  readonly recorded: RecordedJudgement;
  /** The backend's server at that time: after an upgrade the line is assessed again. */
  readonly server: Server | undefined;
  readonly holdsUntilMs: number | undefined;
  /** The command as it was sent last, and the server that it was encoded for. */
  sent: { readonly server: Server; readonly command: OutgoingCommand } | undefined;
}

const lineBytesMax = 512;

/** Numbers for scopes: a scope's text has 150 bytes or more, which would be copied and hashed with each line. */
const scopes = new Map<string, string>();
const scopesMax = 1000;
let scopeCount = 0;

/** The number of a session's scope: with the bytes of a line it is the key of a remembered line. Scopes never share a number. */
export function lineScope({ policy, listener, principal, clientMinor }: Subject): string {
  // None of these texts can contain a NUL.
  const text = `${policy.version}\0${policy.name}\0${listener}\0${principal}\0${clientMinor}`;
  let scope = scopes.get(text);
  if (scope === undefined) {
    // After this, entries under the old numbers are not found any more; the lines are assessed again.
    if (scopes.size >= scopesMax) scopes.clear();
    scopeCount += 1;
    scope = `${scopeCount}\0`;
    scopes.set(text, scope);
  }
  return scope;
}

export function lineKey(scope: string, line: Buffer): string | undefined {
  return line.length > lineBytesMax ? undefined : scope + line.toString('latin1');
}

export function findLine(
  knownLines: AnswerCache<KnownLine>,
  key: string,
  nowMs: number,
): KnownLine | undefined {
  const known = knownLines.find(key, nowMs);
  return known?.assessed.destinations[0]?.server === known?.server ? known : undefined;
}

/** Estimated memory of a remembered line, in bytes: its judgement, and its words in three forms (as received, as recorded, as sent). */
export function knownLineBytes(key: string, { line, assessed }: KnownLine): number {
  const { judgement } = assessed;
  const judged = judgement.kind === 'judged' ? judgedBytes(key, judgement) : 0;
  return judged + 2_500 + key.length * 8 + line.words.length * 60;
}

export function knownLineOf(
  line: CommandLine,
  assessed: AssessedCommand,
  redact: (value: string) => Redacted,
): KnownLine | undefined {
  const { judgement, destinations, obstacle, isSettled } = assessed;
  const [destination] = destinations;
  if (!isSettled || obstacle !== undefined || judgement.kind !== 'judged') return undefined;
  if (destination === undefined || destinations.length > 1) return undefined;
  // A grant ends, and each use of it counts.
  if (judgement.decision.grant !== undefined) return undefined;
  if (judgement.args.some((word) => word.isSecret)) return undefined;
  // An upstream greeted meanwhile may be of another series; the remembered line would be used for that series.
  if (judgement.series.join() !== seriesOf(destinations).join()) return undefined;
  return {
    line,
    assessed,
    recorded: recordedJudgement(judgement, redact),
    server: destination.server,
    holdsUntilMs: judgement.holdsUntilMs,
    sent: undefined,
  };
}
