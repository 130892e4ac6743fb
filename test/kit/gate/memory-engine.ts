// The whole engine without a socket, a disk or a second of waiting: settings from a text, sessions and upstreams in memory, a journal
// that is a list, a clock that the test turns. Only the adapters are not the real ones.

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import {
  accessRightsOf,
  type ConfiguredContext,
  createExchangeContext,
} from '../../../src/gate/daemon/engine-parts.js';
import { Pools } from '../../../src/gate/daemon/pools.js';
import type { EngineEvent } from '../../../src/gate/outcome/events.js';
import type { Pool } from '../../../src/gate/pool/pool.js';
import {
  kernelAccess,
  type ListenerAccess,
  type ServedListener,
  type SessionContext,
} from '../../../src/gate/session/greet-peer.js';
import { createService, type Service } from '../../../src/gate/session/service.js';
import { createReadHttp } from '../../../src/host/http/requests.js';
import { createBodyStore } from '../../../src/host/machine/held-bytes.js';
import { readFromDisk } from '../../../src/host/machine/process.js';
import { JournalFault, UpstreamFault } from '../../../src/host/ports/faults.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import type { Peer } from '../../../src/host/ports/peer.js';
import type { Transport } from '../../../src/host/ports/transport.js';
import type { Journal } from '../../../src/journal/records/appending.js';
import type { AuditRecord, RecordRoom } from '../../../src/journal/records/record.js';
import { createRedactor } from '../../../src/journal/records/redact.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import { originOf } from '../../../src/rules/identity/origin.js';
import { Persons } from '../../../src/rules/identity/person.js';
import { type FailAt, failable, failableClock, failableTransport } from '../plain/fail-at.js';
import { createFakeClock, type FakeClock, settle } from '../plain/fake-clock.js';
import { createMemoryTransport, type MemoryPeer } from '../plain/memory-transport.js';
import {
  createMemoryDialler,
  type DialledEnd,
  greeting,
  type MemoryDialler,
  replyPacket,
} from './memory-backend.js';

/** One listener, one backend without TLS, one policy. */
export const memorySettings = `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support, sessions: 3 } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server", connections: 2 } }
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*@example.org"]
    allow: [quota get, mailbox list, mailbox subscribe, search, fetch, who]
`;

/** Another line of settings: every admission is on disk before its command is sent. */
export const allSynced = 'audit: { strict: [read, session, write, admin, destroy] }\n';

/** A command line as a backend got it. */
export interface MemoryCommand {
  /** Without LF. */
  readonly line: string;
  readonly end: DialledEnd;
  /** Admissions that the journal held when it came. */
  readonly admissions: number;
}

/** What a backend says to a command line; undefined: nothing, the test speaks itself. */
export type Answer = (line: string, end: DialledEnd) => Buffer | undefined;

/** A client in memory. */
export interface MemoryClient {
  readonly peer: MemoryPeer;
  readonly transport: Transport;
  /** Sends a line, given with `|` for TAB and without LF, and lets everything run that can. */
  line(text: string): Promise<void>;
  /** All that came behind the greeting, as text. */
  said(): string;
}

/** What was appended, and how. */
export interface MemoryRecord {
  readonly record: AuditRecord;
  readonly durable: boolean;
  readonly room: RecordRoom | undefined;
}

/**
 * `hold` waits for `take`, `hold-access` with records of steps only. `refuse`: takes nothing. `full`: of a full disk with a full memory,
 * which takes completions only. `later`: of a full disk, which gets later what is refused now.
 */
export const journalModes = ['take', 'hold', 'hold-access', 'refuse', 'full', 'later'] as const;
export type JournalMode = (typeof journalModes)[number];

export interface MemoryEngine {
  readonly settings: Settings;
  readonly clock: FakeClock;
  readonly dialler: MemoryDialler;
  /** Of mail1. */
  readonly pool: Pool;
  readonly pools: ReadonlyMap<string, Pool>;
  readonly service: Service;
  readonly listener: ServedListener;
  readonly context: SessionContext;
  /** What `context` gives. */
  readonly exchanges: ConfiguredContext;
  /** In the order of the calls, with what was asked for each. */
  readonly records: readonly MemoryRecord[];
  /** Of those the ones of an event. */
  readonly recordsOf: (event: AuditRecord['event']) => AuditRecord[];
  /** Those too that the journal did not take. */
  readonly offered: readonly AuditRecord[];
  /** How many of these have a checkpoint behind them. */
  readonly covered: () => number;
  readonly events: readonly EngineEvent[];
  readonly commands: readonly MemoryCommand[];
  /** How the backend answers from now on. */
  setAnswer(answer: Answer): void;
  /** How the journal takes records from now on; default `take`. */
  readonly setJournal: (mode: JournalMode) => void;
  /** Whether the journal has only its reserve left; default `normal`. */
  readonly setSpace: (space: Journal['space']) => void;
  /** Whose records fill the journal; default nobody's. */
  setOverShare(principals: readonly string[]): void;
  /** A peer that connects, to this listener with changes. */
  readonly serve: (
    peer?: Partial<Peer>,
    changes?: Partial<ServedListener>,
    describe?: () => Promise<Peer>,
  ) => Pick<MemoryClient, 'peer' | 'transport'>;
  /** A session with a client that has announced this minor; undefined: it has said nothing yet. */
  client(minor?: number, peer?: Partial<Peer>, changes?: Partial<ServedListener>): Promise<MemoryClient>;
  /** Drops what it has kept of records, events and commands. */
  forget(): void;
  /** Turns the clock from timer to timer until no session is left, and no overdue command. */
  untilIdle(): Promise<void>;
}

export interface MemoryEngineOptions {
  /** YAML; default {@link memorySettings}. */
  readonly settings?: string;
  /** Of the backend, until `setAnswer`; default {@link emptyReply}. */
  readonly answer?: Answer;
  /** Of the backend, asked at each greeting where it may change; default 2. */
  readonly minor?: number | ((end: DialledEnd) => number);
  readonly failAt?: FailAt;
  /** Other files that the settings name, by their last name. */
  readonly files?: Readonly<Record<string, string>>;
  /** What the auth service of a socket that is not a backend's says to `USER` or `PASS`, behind its id: `USER|bob`, `NOTFOUND`, `FAIL`. */
  readonly auth?: (kind: string, user: string) => string;
  /** The uids of the users in `persons`; absent: none of them is known, and none is missed. */
  readonly uids?: Readonly<Record<string, number>>;
  /**
   * So long each exchange, and each request of HTTP, takes by the clock, until it is over: what is work for a processor takes no time here.
   */
  readonly workMs?: number;
  /** The policy of a peer that the kernel knows, by name; default `support`. */
  readonly policyOf?: (peer: Peer) => string;
  /** Whether this machine has such a user, for a grant without a request; undefined: unknown. Default: yes. */
  readonly isUser?: (name: string) => Promise<boolean | undefined>;
  /** What a start found in the journal. */
  readonly found?: readonly AuditRecord[];
  /** Told of each at once, in their order. */
  readonly onRecord?: (record: MemoryRecord) => void;
  readonly onEvent?: (event: EngineEvent) => void;
  /** What clients meet first; default: the kernel says who they are. */
  readonly access?: (clock: Clock) => ListenerAccess;
}

/** A good reply without rows. */
export const emptyReply: Answer = () => replyPacket('\n+\n');

export function openMemoryEngine(options: MemoryEngineOptions = {}): MemoryEngine {
  const { minor = 2, failAt } = options;
  const parsed = parseSettings('/etc/dovegate.yaml', {
    readText: (path) => options.files?.[basename(path)] ?? options.settings ?? memorySettings,
    glob: () => [],
    presetText: (name) => readFromDisk.presetText?.(name),
  });
  const { settings } = parsed;
  assert.ok(settings, JSON.stringify(parsed.problems.filter(({ severity }) => severity === 'error')));
  const clock = createFakeClock();
  const portClock: Clock = failAt === undefined ? clock : failableClock(failAt, clock);
  const wrap = (name: string, transport: Transport): Transport =>
    failAt === undefined ? transport : failableTransport(failAt, name, transport);
  const dialler = createMemoryDialler();
  const records: MemoryRecord[] = [];
  const offered: AuditRecord[] = [];
  const events: EngineEvent[] = [];
  const commands: MemoryCommand[] = [];
  let answer = options.answer ?? emptyReply;
  let mode: JournalMode = 'take';
  let space: Journal['space'] = 'normal';
  let overShare: readonly string[] = [];
  let held: (() => void)[] = [];

  const failed = (): JournalFault => new JournalFault('write-failed', 'made to fail');
  const keep = (one: MemoryRecord): void => {
    records.push(one);
    options.onRecord?.(one);
  };
  const appendDurable: Journal['appendDurable'] = async (record, room) => {
    if (mode === 'hold' || (mode === 'hold-access' && record.event === 'access')) {
      await new Promise<void>((resolve) => {
        held.push(resolve);
      });
    }
    if (mode === 'refuse') throw new JournalFault('write-failed', 'the disk refuses');
    if (mode === 'full') throw new JournalFault('overflow', 'the journal is full');
    if (mode === 'later') keep({ record, durable: false, room });
    if (mode === 'later') throw new JournalFault('write-failed', 'the journal gets it later');
    keep({ record, durable: true, room });
  };
  const append: Journal['append'] = (record, room) => {
    if (mode === 'refuse') return new JournalFault('overflow', 'the disk refuses');
    keep({ record, durable: false, room });
    return undefined;
  };
  const takenDurable =
    failAt === undefined ? appendDurable : failable(failAt, 'append', appendDurable, failed);
  const taken =
    failAt === undefined
      ? append
      : (...args: Parameters<typeof append>) => (failAt.isDue('append') ? failed() : append(...args));
  let covered = 0;
  const journal: Journal = {
    isCrashProof: true,
    append(record, room) {
      offered.push(record);
      return taken(record, room);
    },
    appendDurable(record, room) {
      offered.push(record);
      return takenDurable(record, room);
    },
    async checkpoint() {
      if (failAt?.isDue('append') === true) throw failed();
      if (mode === 'refuse') throw new JournalFault('write-failed', 'the disk refuses');
      covered = offered.length;
    },
    close: () => Promise.resolve(),
    get state() {
      return mode === 'refuse' ? 'failed' : 'writable';
    },
    get refusal() {
      return mode === 'refuse' ? new JournalFault('write-failed', 'the disk refuses') : undefined;
    },
    get space() {
      return space;
    },
    isOverShare: (origin) => overShare.includes(origin),
  };
  const connect: typeof dialler.connect = async (address, signal) =>
    wrap('upstream', await dialler.connect(address, signal));
  const adapters = {
    clock: portClock,
    connect:
      failAt === undefined
        ? connect
        : failable(failAt, 'dial', connect, () => new UpstreamFault('dial-refused', 'made to fail')),
    journal,
    observe: (event: EngineEvent) => {
      events.push(event);
      options.onEvent?.(event);
      const isWork = event.kind === 'exchange-ended' || event.kind === 'http-request';
      if (isWork && options.workMs !== undefined) clock.advanceNow(options.workMs);
    },
    redactor: createRedactor('a key for tests only'),
    access: options.found ?? [],
  };
  dialler.onAccept((end) => {
    if (end.address.kind === 'unix' && end.address.path.endsWith('-userdb')) {
      end.peer.send('VERSION\t1\t3\nSPID\t1\n');
      void serveCommands(end, (line) => {
        const [kind = '', id = '', user = ''] = line.split('\t');
        const [word = '', ...fields] = (options.auth?.(kind, user) ?? 'NOTFOUND').split('|');
        return Buffer.from(`${[word, id, ...fields].join('\t')}\n`);
      });
      return;
    }
    end.peer.send(greeting(typeof minor === 'number' ? minor : minor(end)));
    void serveCommands(end, (line) => {
      const admissions = records.filter(({ record }) => record.event === 'admission').length;
      commands.push({ line, end, admissions });
      return answer(line, end);
    });
  });
  const pools = new Pools(adapters, () => false).prepare(settings).byName;
  const exchanges = createExchangeContext(settings, pools, adapters);
  const users = {
    uidsOf: (name: string) => [options.uids?.[name] ?? []].flat(),
    uidOf: (name: string) => options.uids?.[name],
    isUnknown: (name: string) => options.uids !== undefined && options.uids[name] === undefined,
  };
  const persons = new Persons(settings.persons, users);
  exchanges.access.turnTo(accessRightsOf(settings, persons, options.isUser ?? (() => Promise.resolve(true))));
  const pool = pools.get('mail1');
  const policy = settings.policies.get('support');
  const [listening] = settings.listeners;
  assert.ok(pool && policy && listening);
  const access = options.access?.(clock) ?? kernelAccess;
  const context: SessionContext = {
    exchanges: () => exchanges,
    access: () => access,
    policy: (peer, login) => {
      const { address } = peer;
      if (options.policyOf !== undefined) return settings.policies.get(options.policyOf(peer));
      const ofLogin = login && access.logins?.policyOf(login, access.offer()?.clientCa, address);
      const isIn = ofLogin !== undefined;
      return access.isPreauthenticated || isIn ? policy : undefined;
    },
    origin: (peer, login) => originOf(peer, login, { persons, isNamed: () => false }),
    limits: () => settings.limits,
    readHttp: createReadHttp(),
    holdBody: createBodyStore(() => ({
      folder: join(tmpdir(), 'dovegate-bodies'),
      storedBytesMax: 512 << 20,
      storedBytesPerPrincipalMax: 128 << 20,
      freeBytesMin: 0,
      isMemoryFull: exchanges.buffered.isFull,
    })),
  };
  const listener = {
    name: listening.name,
    sessionsMax: listening.sessions,
    sessionsPerPeerMax: listening.sessionsPerPeer,
    unauthenticatedMax: listening.sessions,
    unauthenticatedPerPeerMax: listening.sessionsPerPeer,
    context,
  };
  const service = createService({ sessionsMax: 1_000, clock: portClock, overdue: exchanges.overdue });
  const serve: MemoryEngine['serve'] = (facts = {}, changes = {}, describe) => {
    const { transport, peer } = createMemoryTransport();
    const who = { listener: listening.name, uid: 1000, ...facts };
    service.serve({ ...listener, ...changes }, wrap('client', transport), who, describe);
    return { transport, peer };
  };
  return {
    settings,
    clock,
    dialler,
    pool,
    pools,
    service,
    listener,
    context,
    exchanges,
    records,
    recordsOf: (event) => records.flatMap(({ record }) => (record.event === event ? [record] : [])),
    offered,
    /** How many of these have a checkpoint behind them. */
    covered: () => covered,
    events,
    commands,
    setAnswer(next) {
      answer = next;
    },
    setJournal(next) {
      mode = next;
      const waiting = held;
      held = [];
      for (const resolve of waiting) resolve();
    },
    setOverShare(principals) {
      overShare = principals;
    },
    setSpace(next) {
      space = next;
    },
    serve,
    async client(clientMinor, facts, changes) {
      const { transport, peer } = serve(facts, changes);
      if (clientMinor !== undefined) peer.send(`VERSION\tdoveadm-server\t1\t${clientMinor}\n`);
      await settle();
      const greeted = peer.received().length;
      return {
        peer,
        transport,
        async line(text) {
          peer.send(`${text.replaceAll('|', '\t')}\n`);
          await settle();
        },
        said: () => peer.received().subarray(greeted).toString('latin1'),
      };
    },
    forget() {
      records.length = 0;
      events.length = 0;
      commands.length = 0;
    },
    async untilIdle() {
      const isBusy = (): boolean => service.sessions > 0 || service.running().length > 0;
      for (let turns = 0; isBusy(); turns += 1) {
        assert.ok(turns < 100, 'a session that no timer ends');
        await settle();
        const nextMs = clock.nextTimerMs;
        if (isBusy() && nextMs !== undefined) await clock.advance(nextMs);
      }
      await settle();
    },
  };
}

/** An engine, and a client that has announced this minor. */
export async function openWithClient(minor: number, options?: MemoryEngineOptions) {
  const engine = openMemoryEngine(options);
  return { engine, client: await engine.client(minor) };
}

/** Reads the lines behind our VERSION line, and answers them. */
async function serveCommands(end: DialledEnd, answer: Answer): Promise<void> {
  let at = 0;
  let isFirst = true;
  for (;;) {
    let bytes: Buffer;
    try {
      bytes = await end.peer.receive((all) => all.indexOf('\n', at) >= 0);
    } catch {
      return;
    }
    const lf = bytes.indexOf('\n', at);
    const line = bytes.toString('utf8', at, lf);
    at = lf + 1;
    // There is no answer to an option.
    const said = isFirst || line.startsWith('\t\tOPTION\t') ? undefined : answer(line, end);
    isFirst = false;
    if (said !== undefined && end.transport.closedFor === undefined) end.peer.send(said);
  }
}
