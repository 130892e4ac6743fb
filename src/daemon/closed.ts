// Serves the clients of systemd's sockets, and of our own, while the configuration has problems, or after a failed start: each is refused
// at once, with the place of the first problem. Of the file only `admin` and the UNIX sockets of listeners are used; clients see the name
// of a file and a line, never a value.

import type { Act } from '../adapters/admin/access.js';
import { gidOf, uidOf } from '../adapters/host/accounts.js';
import {
  descriptorsMax,
  onSignal,
  type PassedSocket,
  programVersion,
  readFromDisk,
} from '../adapters/host/process.js';
import { type Accept, type BoundListener, listenInherited, listenUnix } from '../adapters/net/listen.js';
import { bounds } from '../bounds/bounds.js';
import type { Running } from '../domain/admin/now/running.js';
import { findSettings } from '../domain/config/parse-settings.js';
import {
  type AdminSettings,
  formatListenerSocket,
  isSocket,
  type UnixSocket,
} from '../domain/config/settings.js';
import { plural } from '../domain/language/words/words.js';
import { formatTime } from '../domain/records/audit/record.js';
import { type RefusalLimits, refusePeer } from '../gateway/session/refused-peer.js';
import { messageOf } from '../ports/faults.js';
import type { Transport } from '../ports/transport.js';
import { loadConfiguration } from '../setup/configuration.js';
import { type LoadedConfiguration } from '../setup/inspect.js';
import type { Own } from '../setup/life.js';
import { placeOf, withGroup } from '../setup/sockets.js';
import { createEndpoints } from './endpoints.js';
import type { GateStart } from './running.js';

const readAgainMs = 10_000;
/** After a failed start the process ends after this time, and the service manager starts it again. */
const retryMs = 30_000;
/** Concurrent sessions, if there are descriptors for them; one uid has at most half. */
const sessionsMax = bounds.closedSessions;
/** Standard streams, event loops, listening sockets, admin connections, files that are read. */
const otherDescriptors = 128;
/** A client that connected just before the configuration became good may still send a command. */
const lastCommandMs = 1_000;

const limits: RefusalLimits = {
  lineBytesMax: 64 * 1024,
  inputBytesMax: 1024 ** 3,
  inputTimeMs: 60_000,
  waitMs: 10_000,
  commandsMax: Number.POSITIVE_INFINITY,
};

type NeededOfProcess = Pick<Own, 'clock' | 'manager' | 'log' | 'findPeer' | 'native' | 'passed' | 'stop'>;

/**
 * Runs until the configuration is good, and resolves to the loaded one; `stopped`: a stop came first; `nobody`: there is no socket to
 * refuse clients at. Never rejects. `failedStart`: why the start failed with a good configuration; nothing is read again then, and it
 * returns after `retryMs` or at a reload. `withOwn`: the sockets of the file are made.
 */
export async function serveClosed(
  first: LoadedConfiguration,
  config: string,
  own: NeededOfProcess,
  { failedStart, withOwn = false }: { readonly failedStart?: string; readonly withOwn?: boolean } = {},
): Promise<LoadedConfiguration | 'stopped' | 'nobody'> {
  const { clock, manager, log, findPeer } = own;
  let loaded = first;
  const start = { started: formatTime(clock.wallMs()), startedMs: clock.now() };
  let goIntoService: (good: LoadedConfiguration) => void = () => undefined;
  const good = new Promise<LoadedConfiguration>((resolve) => {
    goIntoService = resolve;
  });
  const problems = (): readonly string[] => (failedStart === undefined ? loaded.problems : [failedStart]);
  const status = (): string => `closed: ${failedStart ?? firstProblem(config, loaded)}`;
  const gate = createGate(own, () => {
    if (failedStart !== undefined) return 'dovegate could not start; its log says why';
    if (loaded.settings !== undefined) return 'dovegate has just been configured; try again';
    return `dovegate is not configured: ${firstProblem(config, loaded).replace(/^.*\//, '')}`;
  });
  const endpoints = createEndpoints(clock, log, findPeer, () => false);
  let opened: string | undefined;
  let following: Promise<void> = Promise.resolve();

  /** Opens the socket of the file's `admin.unix`, if that can be read. Never rejects. */
  function follow(): Promise<void> {
    following = following.then(async () => {
      const { unix, mode = 0, door = '' } = findSettings(config, readFromDisk).settings?.admin ?? {};
      // The mode of the socket says who gets in. The file of a token was not checked, so there is no TCP.
      const admin: AdminSettings | undefined = unix === undefined ? undefined : { unix, mode, door };
      if (JSON.stringify(admin) === opened) return;
      opened = JSON.stringify(admin);
      try {
        if (admin === undefined) await endpoints.shut();
        else
          await endpoints.open(
            admin,
            () => lookAtClosed(own, start, problems(), gate.listeners()),
            act,
            () => undefined,
          );
      } catch (fault) {
        log.report({ event: 'admin-failed', level: 'error', text: messageOf(fault) });
      }
    });
    return following;
  }

  const act: Act = ({ kind }) => {
    if (kind !== 'reload') {
      const text = 'dovegate is not configured; only reload is possible';
      return Promise.resolve({ kind: 'unknown', text });
    }
    if (read())
      return Promise.resolve({ kind: 'done', text: 'the configuration is good; dovegate goes into service' });
    const why =
      failedStart === undefined
        ? 'dovegate is not configured'
        : 'the configuration is good, but the start failed; dovegate is started again';
    return Promise.resolve({ kind: 'failed', text: [why, ...problems()].join('\n') });
  };

  function tell(): void {
    if (failedStart === undefined)
      for (const problem of loaded.problems) process.stderr.write(`${problem}\n`);
    const next =
      failedStart === undefined
        ? `the file is read again every ${readAgainMs / 1000} s`
        : `the process ends in ${retryMs / 1000} s, or at a reload, to be started again`;
    const text = `${status()}: clients are refused; ${next}`;
    log.report({ event: 'not-configured', level: 'error', text, config });
  }

  function read(): boolean {
    if (failedStart !== undefined) {
      goIntoService(loaded);
      return false;
    }
    if (loaded.settings !== undefined) return true;
    const before = loaded.problems.join('\n');
    loaded = loadConfiguration(config);
    if (loaded.settings !== undefined) {
      goIntoService(loaded);
      return true;
    }
    if (loaded.problems.join('\n') !== before) {
      tell();
      manager.status(status());
      void follow();
    }
    return false;
  }

  if (!(await gate.open(withOwn ? socketsOf(config, first) : new Map()))) return 'nobody';
  await follow();
  tell();
  manager.ready(status());
  // Another process would not help against a broken file, so the watchdog is fed.
  manager.watch(() => true);
  const offSignal = onSignal(['SIGHUP'], () => {
    manager.reloading();
    if (!read()) manager.ready(status());
  });
  const tickMs = failedStart === undefined ? readAgainMs : retryMs;
  let timer = clock.setTimer(tickMs, tick);
  function tick(): void {
    gate.tellRefused();
    read();
    timer = clock.setTimer(tickMs, tick);
  }

  const ended = await Promise.race([own.stop.first.then(() => 'stopped' as const), good]);
  timer.cancel();
  offSignal();
  gate.tellRefused();
  await gate.close(ended === 'stopped' ? 0 : lastCommandMs);
  // The operator who requested the reload gets the answer first.
  await clock.nextTurn();
  await following;
  await endpoints.close();
  if (ended === 'stopped') manager.stopping('not configured', lastCommandMs);
  else if (failedStart === undefined)
    log.report({ event: 'configured', level: 'info', text: 'the configuration is good', config });
  return ended;
}

/** Of the listeners of the doveadm protocol, by their names; none where others could have written the file. */
function socketsOf(config: string, { found }: LoadedConfiguration): ReadonlyMap<string, UnixSocket> {
  const { listeners = [] } = findSettings(config, readFromDisk).settings ?? {};
  const isOthers = found.some(({ code }) => code === 'unsafe-file');
  return new Map(
    listeners.flatMap(({ name, socket, protocol }) =>
      isOthers || !isSocket(socket, 'unix') || protocol === 'http' ? [] : [[name, socket] as const],
    ),
  );
}

/** `FILE:LINE` of the first error. */
function firstProblem(config: string, { found }: LoadedConfiguration): string {
  const problem = found.find(({ severity }) => severity === 'error');
  return `${problem?.file ?? config}:${problem?.line ?? 1}`;
}

/** Of all that a snapshot has, the parts that there are. */
function lookAtClosed(
  { clock, log }: NeededOfProcess,
  start: GateStart,
  problems: readonly string[],
  listeners: Running['listeners'],
): Running {
  return {
    version: programVersion,
    runtime: process.version,
    atMs: clock.wallMs(),
    started: start.started,
    uptimeMs: clock.now() - start.startedMs,
    state: 'closed',
    problems,
    configHash: '',
    loaded: { since: start.started },
    observing: [],
    candidates: [],
    listeners,
    backends: [],
    routes: [],
    journal: {
      state: 'failed',
      space: 'normal',
      fault: undefined,
      directory: '',
      seq: 0,
      lost: 0,
      unsyncedMs: 0,
      freeBytes: undefined,
      isDamaged: false,
      isAppended: false,
      memory: undefined,
      whyNoMemory: undefined,
    },
    locks: [],
    sinks: [],
    certificates: [],
    keys: [],
    exchanges: [],
    lookups: [],
    refusedKeys: [],
    failedLogins: { count: 0, most: undefined },
    stall: undefined,
    acknowledged: () => undefined,
    log,
  };
}

type Bound = Pick<BoundListener, 'close'>;

function createGate({ clock, native, findPeer, log, passed }: NeededOfProcess, text: () => string) {
  const open: { readonly name: string; readonly address: string; readonly bound: Bound }[] = [];
  const sessions = new Map<Transport, { readonly socket: string; readonly uid: number | undefined }>();
  const most = Math.max(1, Math.min(sessionsMax, (descriptorsMax() ?? Infinity) - otherDescriptors));
  let refused = 0;

  const countOf = (isIt: (session: { socket: string; uid: number | undefined }) => boolean): number =>
    [...sessions.values()].filter(isIt).length;

  function accept(socket: string, transport: Transport, descriptor: number | undefined): void {
    const { uid } = findPeer(socket, descriptor).peer;
    const isFull = sessions.size >= most || countOf((each) => each.uid === uid) >= Math.max(1, most / 2);
    if (isFull) return transport.close('not-configured', true);
    sessions.set(transport, { socket, uid });
    void refusePeer({ transport, clock, limits, text, reason: 'not-configured' }).finally(() =>
      sessions.delete(transport),
    );
  }

  async function listen(
    name: string,
    address: string,
    make: (onError: (fault: string) => void) => Promise<Bound>,
  ): Promise<void> {
    const onError = (fault: string): void =>
      log.report({ event: 'accept-failed', level: 'error', listener: name, text: fault });
    try {
      open.push({ name, address, bound: await make(onError) });
    } catch (fault) {
      onError(messageOf(fault));
    }
  }

  const take =
    (name: string, family: string): Accept =>
    (transport, accepted) => {
      refused += 1;
      // TCP clients have not logged in, so they get no text.
      if (family === 'unix') accept(name, transport, accepted);
      else transport.close('not-configured', true);
    };

  const listenAtPassed = ({ name, descriptor }: PassedSocket): Promise<void> =>
    listen(name, `systemd:${name}`, (onError) => {
      const kind = native.socketKind(descriptor);
      if (kind.kind === 'other') throw new Error(`${name}: what systemd handed over is ${kind.text}`);
      const socket = { name, descriptor: native.duplicate(descriptor) };
      return listenInherited(socket, clock, take(name, kind.family), onError, native);
    });

  const listenAtOwn = (name: string, socket: UnixSocket): Promise<void> =>
    listen(name, formatListenerSocket(socket), (onError) => {
      const what = `listener ${name}`;
      const place = placeOf(what, socket, { uidOf, gidOf });
      const make = () => listenUnix(place, clock, take(name, 'unix'), onError, native);
      return withGroup(what, socket.group, make);
    });

  return {
    /** False: there is no socket. One that cannot be opened is logged, and the others are. */
    async open(own: ReadonlyMap<string, UnixSocket>): Promise<boolean> {
      for (const socket of passed) await listenAtPassed(socket);
      for (const [name, socket] of own) await listenAtOwn(name, socket);
      return passed.length > 0 || open.length > 0;
    },
    /** Accepts no more clients; the present ones have `lastMs` for a last command. */
    async close(lastMs: number): Promise<void> {
      await Promise.all(open.map(({ bound }) => bound.close()));
      const end = (): void => {
        for (const transport of sessions.keys()) transport.close('not-configured');
      };
      if (lastMs > 0) clock.setTimer(lastMs, end);
      else end();
    },
    tellRefused(): void {
      if (refused === 0) return;
      const counted = `${plural(refused, 'connection was', 'connections were')} refused`;
      log.report({ event: 'not-configured', level: 'warn', text: `${counted}: ${text()}`, count: refused });
      refused = 0;
    },
    listeners: (): Running['listeners'] =>
      open.map(({ name, address }) => ({
        name,
        address,
        sessions: countOf(({ socket }) => socket === name),
        unauthenticated: 0,
        sessionsMax: most,
      })),
  };
}
