// Assesses a command line before anything is recorded or sent: asks domain/policy, looks up in the passdb and the userdb what that leaves
// open, and asks again until nothing is. Remembers the lines whose assessment follows from the configuration alone.
// The rules: what the auth service could not say is a failure, never another backend; a host that is none of the configured
// backends is never gone to; every name that the service gives a user is reported, so that it is judged.

import { bounds } from '../../bounds/bounds.js';
import type { Queueing } from '../../concurrency/limits.js';
import type { Redacted } from '../../domain/audit/record.js';
import type { Series } from '../../domain/commands/catalog.js';
import type { MailboxNames } from '../../domain/names/mailbox-names.js';
import {
  type AnswerCache,
  type Answers,
  type Assessment,
  assess,
  createRoutingTable,
  fateOf,
  judgedBytes,
  nothingKnown,
  type PassdbAnswer,
  type Question,
  type RoutedBackend,
  type RoutingTable,
  type RoutingTableOptions,
  type Subject,
  seriesOf,
  userdbKey,
} from '../../domain/policy/assess.js';
import type { Clock } from '../../ports/machine.js';
import type { Address } from '../../ports/transport.js';
import type { CommandLine } from '../../protocol/command.js';
import type { Lookup } from '../lookup/lookup.js';
import type { UserResolver } from '../lookup/resolve-user.js';
import type { Ending } from '../outcome/outcome.js';
import type { Pool } from '../pool/pool.js';
import type { OutgoingCommand } from '../relay/relay.js';
import { type RecordedJudgement, recordedJudgement } from './exchange-records.js';

/** Where a command may go: a backend as it is configured, with its pool. */
export class Destination implements RoutedBackend {
  readonly name: string;
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
    this.name = pool.backend;
    this.pool = pool;
    this.address = address;
    this.sharedNamespaces = sharedNamespaces;
    this.mailboxNames = mailboxNames;
  }

  /** As the pool knows it now: it learns it from each upstream that it greets. */
  get series(): Series | undefined {
    return this.pool.series;
  }
}

/** Routes of one set of settings. No promise of it rejects. */
export interface Router {
  readonly table: RoutingTable<Destination>;
  /**
   * What was known before, and the answers to these questions, which are asked one after the other up to the first that fails.
   * `asker`: whose command it is.
   */
  ask(questions: readonly Question[], known: Answers, asker: Queueing): Promise<Answers>;
  /** The configured backend at `HOST` or `HOST:PORT`, as a referral or a passdb writes it; undefined: there is none, or not only one. */
  atHost(host: string): Destination | undefined;
}

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

  async function ask(questions: readonly Question[], known: Answers, asker: Queueing): Promise<Answers> {
    const passdb = new Map(known.passdb);
    const userdb = new Map(known.userdb);
    for (const question of questions) {
      if (question.kind === 'passdb') {
        const { user, socket, cacheTtlMs } = question;
        const answer = await askPassdb(user, socket, cacheTtlMs, asker);
        passdb.set(user, answer);
        if (answer.kind !== 'to') break;
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

/** The assessment of a line for which everything was looked up. `destinations` is empty for what goes nowhere. */
export interface AssessedCommand extends Omit<Assessment<Destination>, 'obstacle' | 'questions'> {
  readonly obstacle: Ending | undefined;
}

/** A promise only where something has to be looked up; it never rejects. */
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

/** What goes nowhere has no destination: neither its record nor its ending names one. */
function sendable(found: Assessment<Destination>): AssessedCommand {
  return fateOf(found) === 'allow' ? found : { ...found, destinations: [] };
}

/** A line that was read, judged and routed before, and what is known of it. */
export interface KnownLine {
  readonly line: CommandLine;
  readonly assessed: AssessedCommand;
  readonly recorded: RecordedJudgement;
  /** That its backend had: an upgrade asks for another look. */
  readonly series: Series | undefined;
  readonly holdsUntilMs: number | undefined;
  /** As it was sent last, and to upstreams of which minor. */
  sent: { readonly serverMinor: number; readonly command: OutgoingCommand } | undefined;
}

/** A longer line is not asked for again and again. */
const lineBytesMax = bounds.rememberedLineBytes;

/** Numbers of scopes: what they stand for has 150 bytes and more, which would be copied and hashed with each line. */
const scopes = new Map<string, string>();
const scopesMax = bounds.lineScopes;
let scopeCount = 0;

/** What lines of a session are looked up by, besides their bytes. No two scopes ever have the same one. */
export function lineScope({ policy, listener, principal, clientMinor }: Subject): string {
  // No text of it may hold a NUL.
  const text = `${policy.version}\0${policy.name}\0${listener}\0${principal}\0${clientMinor}`;
  let scope = scopes.get(text);
  if (scope === undefined) {
    // What was remembered under a number that is forgotten is read anew under the next one.
    if (scopes.size >= scopesMax) scopes.clear();
    scopeCount += 1;
    scope = `${scopeCount}\0`;
    scopes.set(text, scope);
  }
  return scope;
}

/** The key of a line; undefined: it is too long to be remembered. */
export function lineKey(scope: string, line: Buffer): string | undefined {
  return line.length > lineBytesMax ? undefined : scope + line.toString('latin1');
}

/** What is known of the line with that key and still holds. */
export function findLine(
  knownLines: AnswerCache<KnownLine>,
  key: string,
  nowMs: number,
): KnownLine | undefined {
  const known = knownLines.find(key, nowMs);
  return known?.assessed.destinations[0]?.series === known?.series ? known : undefined;
}

/** What a remembered line takes, in bytes: its judgement, and the words as they came, as they are recorded (with their text) and as they are sent. */
export function knownLineBytes(key: string, { line, assessed }: KnownLine): number {
  const { judgement } = assessed;
  const judged = judgement.kind === 'judged' ? judgedBytes(key, judgement) : 0;
  return judged + 2_500 + key.length * 8 + line.words.length * 60;
}

/** What may be remembered of a line; undefined: nothing. */
export function knownLineOf(
  line: CommandLine,
  assessed: AssessedCommand,
  redact: (value: string) => Redacted,
): KnownLine | undefined {
  const { judgement, destinations, obstacle, isSettled } = assessed;
  const [destination] = destinations;
  if (!isSettled || obstacle !== undefined || judgement.kind !== 'judged') return undefined;
  if (destination === undefined || destinations.length > 1) return undefined;
  if (judgement.args.some((word) => word.isSecret)) return undefined;
  // An upstream that was greeted in between may be of another series, and what is remembered would hold for that one then.
  if (judgement.series.join() !== seriesOf(destinations).join()) return undefined;
  return {
    line,
    assessed,
    recorded: recordedJudgement(judgement, redact),
    series: destination.series,
    holdsUntilMs: judgement.holdsUntilMs,
    sent: undefined,
  };
}
