// `dovegate serve` with a configuration that has problems, and sockets from systemd: their clients are refused at once, with the
// place of the first problem, until the file is good. Otherwise they would wait in the queues of the sockets for ever. A start that
// failed with a good configuration (journal, state, admin socket) is served the same way, until the process ends and is started again.
// The rules: nothing of the file is used but its section `admin`; clients see the name of a file and a line, never a value; no
// command gets through; what many clients cost is bounded.

import type { Act } from '../adapters/admin/access.js';
import type { Admin, AdminSettings } from '../adapters/admin/admin.js';
import type { DaemonSnapshot } from '../adapters/admin/snapshot.js';
import type { FindPeer } from '../adapters/host/find-peer.js';
import { descriptorsMax, programVersion, readFromDisk } from '../adapters/host/program.js';
import { holdProcess, onSignal } from '../adapters/host/signals.js';
import type { PassedSocket, ServiceManager } from '../adapters/host/systemd.js';
import { type InheritedListener, listenInherited } from '../adapters/net/listen.js';
import type { Log } from '../adapters/telemetry/log.js';
import { createMetrics } from '../adapters/telemetry/metrics.js';
import { formatTime } from '../domain/audit/record.js';
import { findAdmin } from '../domain/config/parse-settings.js';
import { type RefusalLimits, refusePeer } from '../gateway/session/refused-peer.js';
import type { Clock, Native } from '../ports/machine.js';
import type { Transport } from '../ports/transport.js';
import { type LoadedConfiguration, loadConfiguration } from '../setup/configuration.js';
import { openEndpoints } from './admin-parts.js';

/** What it works with. */
export interface ClosedParts {
  /** The file. */
  readonly config: string;
  readonly clock: Clock;
  readonly native: Native;
  readonly manager: ServiceManager;
  readonly findPeer: FindPeer;
  readonly log: Log;
  readonly passed: readonly PassedSocket[];
  /** Resolves when the process is to end. */
  readonly stop: Promise<unknown>;
  /** Why the start failed although the configuration is good: nothing is read again, and it ends after `retryMs` or at a reload. */
  readonly failedStart?: string;
}

const readAgainMs = 10_000;
/** After a start that failed: the service manager starts another process after so long. */
const retryMs = 30_000;
/** Sessions at once, where there are descriptors for them; one uid has at most half. */
const sessionsMax = 1000;
/** Standard streams, event loops, listening sockets, admin connections, files that are read. */
const otherDescriptors = 128;
/** A client that connected just before the daemon goes into service may still send a command. */
const lastCommandMs = 1_000;

const limits: RefusalLimits = {
  lineBytesMax: 64 * 1024,
  fieldsMax: 4096,
  inputBytesMax: 1024 ** 3,
  inputTimeMs: 60_000,
  waitMs: 10_000,
  commandsMax: Number.POSITIVE_INFINITY,
};

/** Runs until the file is good, and resolves to what was read then; undefined: it was stopped before. Never rejects. */
export async function serveClosed(
  first: LoadedConfiguration,
  parts: ClosedParts,
): Promise<LoadedConfiguration | undefined> {
  const { config, clock, manager, log, stop, failedStart } = parts;
  const release = holdProcess();
  let loaded = first;
  let goIntoService: (good: LoadedConfiguration) => void = () => undefined;
  const good = new Promise<LoadedConfiguration>((resolve) => {
    goIntoService = resolve;
  });
  const gate = createGate(parts, () => {
    if (failedStart !== undefined) return 'dovegate could not start; its log says why';
    return loaded.settings === undefined
      ? `dovegate is not configured: ${firstProblem(config, loaded, true)}`
      : 'dovegate has just been configured; try again';
  });
  const endpoints = createEndpoints(parts, {
    problems: () => (failedStart === undefined ? loaded.problems : [failedStart]),
    listeners: () => gate.listeners(),
    read,
  });
  const status = (): string =>
    failedStart === undefined ? `closed: ${firstProblem(config, loaded, false)}` : `closed: ${failedStart}`;

  function tell(): void {
    if (failedStart === undefined)
      for (const problem of loaded.problems) process.stderr.write(`${problem}\n`);
    const next =
      failedStart === undefined
        ? `the file is read again every ${readAgainMs / 1000} s`
        : `the process ends in ${retryMs / 1000} s, or at a reload, to be started again`;
    const text = `${status()}: clients of the sockets that systemd handed over are refused; ${next}`;
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
      void endpoints.follow();
    }
    return false;
  }

  await gate.open();
  await endpoints.follow();
  tell();
  manager.ready(status());
  // A broken file is no reason for another process.
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

  const ended = await Promise.race([stop.then(() => undefined), good]);
  timer.cancel();
  offSignal();
  gate.tellRefused();
  await gate.close(ended === undefined ? 0 : lastCommandMs);
  // An operator who asked for the reload gets the answer.
  await clock.nextTurn();
  await endpoints.close();
  release();
  if (ended === undefined) manager.stopping('not configured', lastCommandMs);
  else if (failedStart === undefined)
    log.report({ event: 'configured', level: 'info', text: 'the configuration is good', config });
  return ended;
}

/** `FILE:LINE` of the first error; for clients without the folder. */
function firstProblem(config: string, { found }: LoadedConfiguration, isShort: boolean): string {
  const problem = found.find(({ severity }) => severity === 'error');
  const file = problem?.file ?? config;
  return `${isShort ? file.slice(file.lastIndexOf('/') + 1) : file}:${problem?.line ?? 1}`;
}

interface Gate {
  open(): Promise<void>;
  /** No more clients; those that are there have so long for a last command. */
  close(lastMs: number): Promise<void>;
  tellRefused(): void;
  listeners(): DaemonSnapshot['listeners'];
}

/** The sockets that were handed over, and their clients. */
function createGate({ clock, native, findPeer, log, passed }: ClosedParts, text: () => string): Gate {
  const open: InheritedListener[] = [];
  const sessions = new Map<Transport, { readonly socket: string; readonly uid: number | undefined }>();
  const most = Math.max(1, Math.min(sessionsMax, (descriptorsMax() ?? Infinity) - otherDescriptors));
  let refused = 0;

  const countOf = (isIt: (session: { socket: string; uid: number | undefined }) => boolean): number =>
    [...sessions.values()].filter(isIt).length;

  function accept(socket: string, transport: Transport, descriptor: number | undefined): void {
    refused += 1;
    const { uid } = findPeer(socket, descriptor).peer;
    const isFull = sessions.size >= most || countOf((each) => each.uid === uid) >= Math.max(1, most / 2);
    if (isFull) return transport.close('not-configured', true);
    sessions.set(transport, { socket, uid });
    void refusePeer({ transport, clock, limits, text, reason: 'not-configured' }).finally(() =>
      sessions.delete(transport),
    );
  }

  async function listen({ name, descriptor }: PassedSocket): Promise<void> {
    const kind = native.socketKind(descriptor);
    if (kind.kind === 'other') throw new Error(`${name}: what systemd handed over is ${kind.text}`);
    const socket = { name, descriptor: native.duplicate(descriptor) };
    const onError = (fault: string): void =>
      log.report({ event: 'accept-failed', level: 'error', listener: name, text: fault });
    const listener = await listenInherited(
      socket,
      clock,
      (transport, accepted) => {
        // Nobody has logged in there, so nothing is said.
        if (kind.family === 'unix') return accept(name, transport, accepted);
        refused += 1;
        transport.close('not-configured', true);
      },
      onError,
      native,
    );
    open.push(listener);
  }

  return {
    async open() {
      for (const socket of passed) {
        try {
          await listen(socket);
        } catch (fault) {
          const why = fault instanceof Error ? fault.message : String(fault);
          log.report({ event: 'accept-failed', level: 'error', listener: socket.name, text: why });
        }
      }
    },
    async close(lastMs) {
      await Promise.all(open.map((listener) => listener.close()));
      const end = (): void => {
        for (const transport of sessions.keys()) transport.close('not-configured');
      };
      if (lastMs > 0) clock.setTimer(lastMs, end);
      else end();
    },
    tellRefused() {
      if (refused === 0) return;
      const counted = `${refused} ${refused === 1 ? 'connection was' : 'connections were'} refused`;
      log.report({ event: 'not-configured', level: 'warn', text: `${counted}: ${text()}`, count: refused });
      refused = 0;
    },
    listeners: () =>
      passed.map(({ name }) => ({
        name,
        address: `systemd:${name}`,
        sessions: countOf(({ socket }) => socket === name),
        sessionsMax: most,
      })),
  };
}

interface EndpointSources {
  problems(): readonly string[];
  listeners(): DaemonSnapshot['listeners'];
  /** Reads the file again; true: it is good. */
  read(): boolean;
}

interface Endpoints {
  /** Opens the socket that `admin.unix` of the file says, as far as it can be read; closes what it said before. Never rejects. */
  follow(): Promise<void>;
  close(): Promise<void>;
}

function createEndpoints(
  { config, clock, log, findPeer, failedStart }: ClosedParts,
  sources: EndpointSources,
): Endpoints {
  const startedMs = clock.now();
  const started = formatTime(clock.wallMs());
  let settings: AdminSettings | undefined;
  let open: Admin | undefined;
  let work: Promise<void> = Promise.resolve();
  const onError = (text: string): void => log.report({ event: 'admin-failed', level: 'error', text });
  const metrics = createMetrics({
    version: programVersion,
    runtime: process.version,
    commands: new Set(),
    clock,
    snapshot: () => ({
      configHash: '',
      isReloadSuccess: false,
      sessions: new Map(sources.listeners().map(({ name, sessions }) => [name, sessions])),
      backends: [],
      journal: { isWritable: false, lost: 0, freeBytes: undefined },
      shipLag: new Map(),
      certificates: [],
      logDropped: log.dropped,
    }),
  });

  const snapshot = (): DaemonSnapshot => ({
    version: programVersion,
    started,
    uptimeMs: clock.now() - startedMs,
    state: 'closed',
    problems: sources.problems(),
    configHash: '',
    listeners: sources.listeners(),
    backends: [],
    routes: [],
    journal: { state: 'failed', space: 'normal', fault: undefined, lost: 0, freeBytes: undefined },
    sinks: [],
  });

  const act: Act = (action) => {
    if (action.kind !== 'reload') {
      return Promise.resolve({
        kind: 'unknown',
        text: 'dovegate is not configured; only reload is possible',
      });
    }
    if (sources.read()) {
      return Promise.resolve({ kind: 'done', text: 'the configuration is good; dovegate goes into service' });
    }
    const first =
      failedStart === undefined
        ? 'dovegate is not configured'
        : 'the configuration is good, but the start failed; dovegate is started again';
    const text = [first, ...sources.problems()].join('\n');
    return Promise.resolve({ kind: 'failed', text });
  };

  async function replace(): Promise<void> {
    const { unix, mode = 0 } = findAdmin(config, readFromDisk) ?? {};
    // The mode of the socket says who gets in. The file of a token was not checked, so there is no TCP.
    const found = unix === undefined ? undefined : { unix, mode };
    if (JSON.stringify(found) === JSON.stringify(settings)) return;
    await open?.close();
    open = undefined;
    settings = found;
    if (found === undefined) return;
    try {
      open = await openEndpoints(
        found,
        { clock, snapshot, metrics: () => metrics.render(), act, onError },
        findPeer,
      );
    } catch (fault) {
      onError(fault instanceof Error ? fault.message : String(fault));
    }
  }

  return {
    follow() {
      work = work.then(replace);
      return work;
    },
    async close() {
      await work;
      await open?.close();
      metrics.close();
    },
  };
}
