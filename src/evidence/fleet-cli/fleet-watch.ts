// `dovegate audit fleet watch`: reads the streams in rounds, each as `verify` does it, reports each problem at its beginning and its
// end, and writes metrics and a status. An unreachable server is reported, and not taken for the silence of hosts. Every request of a
// round has a time limit, so no server can keep it waiting.

import { backOffMs } from '../../host/concurrency/back-off.js';
import { pause } from '../../host/concurrency/waiting.js';
import { randomFraction, systemClock } from '../../host/machine/clock.js';
import { loadNative } from '../../host/machine/native.js';
import { onStop } from '../../host/machine/outputs.js';
import {
  createServiceManager,
  holdProcess,
  nameProcess,
  onSignal,
  takeServiceEnvironment,
} from '../../host/machine/process.js';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { readFleetSettings } from '../cli/fleet-places.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import type { FleetFinding, FleetStatus } from '../fleet/shapes.js';
import { NatsFault } from '../nats/fault.js';
import { type NatsLink, openNats } from '../nats/link.js';
import { createServerOrder } from '../nats/servers.js';
import { compareCheckpoints, describeCheckpoint, sealCheckpoint } from './checkpoints.js';
import { type Mirror, openMirrorOf } from './mirror.js';
import { createMirroredLines } from './mirrored.js';
import { natsOf, openFleet, whyUnlisted } from './open-settings.js';
import { openStateFolder, type SavedState, type StateFolder } from './state-folder.js';
import { watchStreamCertificates } from './stream-certificates.js';
import { createStreamReader, type StreamReader } from './stream-reader.js';
import { createFillBook, createFindingBook, createKnowledge, formatEvent } from './watch-findings.js';
import { serveWatchMetrics } from './watch-metrics.js';

/** The pause between two rounds grows with the hosts: 1,000 of them cost the server as little as 100. */
const pauseOfHostMs = 10;
const pauseMinMs = 1_000;
const pauseMaxMs = 10_000;
const saveMs = 60_000;
const statusMinMs = 2_000;
const statusMaxMs = 30_000;
const checkpointMs = 3_600_000;
/** Interval of the checks of rights: a server logs each refused one. */
const rightsMs = 86_400_000;
const retry = { firstMs: 1_000, mostMs: 30_000 } as const;
const closeMs = 1_000;

/** Codes of a server that is unreachable, which can change from one moment to the next. */
const gone: ReadonlySet<string> = new Set(['dial-refused', 'dial-timeout', 'closed-early']);

/** Exit code 0, after SIGTERM or SIGINT. Throws a CommandFault. */
export async function fleetWatch(screen: Screen, config: string): Promise<number> {
  const settings = readFleetSettings(config, screen);
  const folder = await openStateFolder(settings);
  const environment = takeServiceEnvironment(process.env, process.pid);
  const native = await loadNative();
  // Another process of the same user, as the one that answers people, must not read the key from the memory of this one.
  native.forbidCoreDumps();
  const manager = createServiceManager(environment, native, systemClock);
  const release = holdProcess();
  nameProcess('audit fleet watch');
  const watch = new Watch(screen, config, settings, folder);
  const offStop = onStop(() => watch.stop());
  const offReload = onSignal(['SIGHUP'], () => watch.reload());
  const metrics = settings.metrics && (await serveWatchMetrics(settings.metrics, () => watch.numbers()));
  try {
    manager.ready(`watches ${settings.stream}`);
    manager.watch(() => true);
    await watch.run();
    manager.stopping('stopped', 0);
    return exitCodes.ok;
  } finally {
    metrics?.close();
    offStop();
    offReload();
    manager.close();
    folder.close();
    release();
    await screen.flush();
  }
}

class Watch {
  readonly #screen: Screen;
  readonly #config: string;
  readonly #folder: StateFolder;
  readonly #stop = new AbortController();
  readonly #knowledge = createKnowledge();
  readonly #fills = createFillBook();
  readonly #book: ReturnType<typeof createFindingBook>;
  #settings: FleetSettings;
  #reader: StreamReader;
  #mirror: Mirror | undefined;
  #isTending = false;
  readonly #mirroredLines: ReturnType<typeof createMirroredLines>;
  /** Everything that was stored before was read. */
  #caughtMs = 0;
  /** Ends the present connection, for another one. */
  #session = new AbortController();
  /** Read again at SIGHUP; used when the connection has ended. */
  #next: FleetSettings | undefined;
  readonly #order = createServerOrder();
  #away: FleetStatus['away'];
  #awayCode = '';
  /** Attempts since a message or the end of a round. */
  #failures = 0;
  /** Undefined: there is no connection. */
  #lag: number | undefined;
  #findings: readonly FleetFinding[] = [];
  #status: FleetStatus;
  #checkpoint: FleetStatus['checkpoint'];
  #rightsMs = -Infinity;
  #savedMs = -Infinity;
  #writtenMs = -Infinity;
  #writtenText = '';
  #sealedMs: number;
  #sealedRecords: number;
  readonly #certificates: ReturnType<typeof watchStreamCertificates>;
  #fault: unknown;

  constructor(screen: Screen, config: string, settings: FleetSettings, folder: StateFolder) {
    this.#screen = screen;
    this.#config = config;
    this.#settings = settings;
    this.#folder = folder;
    const saved = folder.load();
    this.#book = createFindingBook(saved?.told ?? []);
    this.#mirroredLines = createMirroredLines({
      folder,
      warn: (text) => this.#tell('mirrored-not-sent', { text }),
    });
    this.#reader = this.#open(settings, saved);
    const { fleet } = this.#reader;
    this.#status = fleet.status(systemClock.wallMs());
    this.#checkpoint = describeCheckpoint(folder);
    this.#sealedMs = parseTime(this.#checkpoint?.at ?? '') ?? 0;
    this.#sealedRecords = fleet.records;
    this.#certificates = watchStreamCertificates(settings, (event, fields) => this.#tell(event, fields));
  }

  #open(settings: FleetSettings, saved: SavedState | undefined): StreamReader {
    const keys = this.#folder.publicKeys();
    const unlisted = whyUnlisted(settings, keys);
    if (unlisted !== undefined) this.#tell('not-listed', { text: unlisted });
    const fleet = openFleet(settings, keys, saved?.fleet);
    const mirror = openMirrorOf(settings, fleet);
    this.#mirror = mirror;
    const told = (): readonly string[] => this.#book.names();
    return createStreamReader(fleet, settings, saved, this.#folder, told, mirror);
  }

  stop(): void {
    this.#stop.abort();
    this.#session.abort();
  }

  /** Uses the settings that are in the file now, or reports why not. */
  reload(): void {
    const refuse = (text: string): void => this.#tell('reload-refused', { text });
    try {
      const next = readFleetSettings(this.#config, this.#screen);
      const fixed = (['state', 'stream', 'metrics', 'checkpointKeyFile'] as const).filter(
        (key) => JSON.stringify(next[key]) !== JSON.stringify(this.#settings[key]),
      );
      if (fixed.length > 0) return refuse(`a restart is needed for another ${fixed.join(', ')}`);
      this.#next = next;
      this.#session.abort();
    } catch (fault) {
      if (!(fault instanceof CommandFault)) throw fault;
      refuse(fault.message);
    }
  }

  numbers() {
    return {
      status: this.#present(),
      findings: this.#findings,
      hosts: new Set(this.#settings.hosts.keys()),
      isUp: this.#lag !== undefined && this.#away === undefined,
      keepMs: this.#settings.keepMs,
      mirroredMs: this.#mirroredMs(),
      lag: this.#lag,
      certificates: this.#certificates.rows(),
    };
  }

  /** Runs until it is stopped. Rejects with a CommandFault if the state cannot be saved. */
  async run(): Promise<void> {
    this.#tell('started', { stream: this.#settings.stream, streamSeq: this.#reader.fleet.streamSeq });
    this.#writeStatus();
    try {
      while (!this.#stop.signal.aborted) {
        this.#session = new AbortController();
        await this.#adopt();
        try {
          await this.#follow(this.#session.signal);
        } catch (fault) {
          if (fault instanceof CommandFault) throw fault;
          if (this.#session.signal.aborted) continue;
          if (!(fault instanceof NatsFault)) throw fault;
          this.#order.passOver();
          this.#lost(fault);
          this.#failures += 1;
          const ms = backOffMs(this.#failures, retry.firstMs, retry.mostMs, randomFraction());
          await pause(systemClock, ms, this.#session.signal);
        }
      }
    } finally {
      this.#certificates.close();
    }
    if (this.#fault !== undefined) throw this.#fault;
    this.#reader.save();
    this.#writeStatus();
    this.#tell('stopped', { streamSeq: this.#reader.fleet.streamSeq });
  }

  async #adopt(): Promise<void> {
    const next = this.#next;
    if (next === undefined) return;
    this.#next = undefined;
    this.#reader.save();
    this.#settings = next;
    this.#certificates.adopt(next);
    this.#reader = this.#open(next, this.#folder.load());
    this.#rightsMs = -Infinity;
    this.#tell('reloaded', { hosts: next.hosts.size });
  }

  /** One connection, to its end. Rejects with a NatsFault, or with a CommandFault. */
  async #follow(signal: AbortSignal): Promise<void> {
    const settings = natsOf(this.#settings, 'watch');
    const link = await openNats({ ...settings, servers: this.#order.of(settings.servers) }, signal);
    this.#order.took(link.place);
    this.#certificates.saw(link);
    const pauseMs = this.#settings.hosts.size * pauseOfHostMs;
    try {
      for (let isFirst = true; !signal.aborted; isFirst = false) {
        await this.#round(link, signal, isFirst);
        await pause(systemClock, Math.min(Math.max(pauseMs, pauseMinMs), pauseMaxMs), signal);
      }
    } finally {
      this.#lag = undefined;
      const closed = link.close().catch(() => undefined);
      await Promise.race([
        closed,
        new Promise<void>((resolve) => void systemClock.setTimer(closeMs, resolve)),
      ]);
    }
  }

  /** As `verify`. Rejects with a NatsFault, or with a CommandFault. */
  async #round(link: NatsLink, signal: AbortSignal, isFirst: boolean): Promise<void> {
    const reader = this.#reader;
    const startMs = systemClock.wallMs();
    await reader.inspect(link, startMs);
    if (systemClock.now() - this.#rightsMs >= rightsMs) {
      await reader.lookAtRights(link);
      this.#rightsMs = systemClock.now();
    }
    this.#lag = reader.unread;
    await reader.read(link, signal, (findings) => {
      this.#back();
      this.#knowledge.heard(reader.storedMs);
      for (const finding of findings) this.#begin(finding);
      if (systemClock.now() - this.#writtenMs < statusMinMs) return;
      this.#lag = reader.unread;
      this.#writeStatus();
    });
    if (signal.aborted) return;
    this.#back();
    this.#lag = 0;
    this.#knowledge.confirmed(startMs);
    this.#caughtMs = startMs;
    if (isFirst) compareCheckpoints(this.#folder, reader.fleet);
    this.#judge();
    const nowMs = systemClock.wallMs();
    if (nowMs - this.#sealedMs >= checkpointMs) await this.#seal(link, nowMs);
    if (systemClock.now() - this.#savedMs >= saveMs) {
      reader.save();
      this.#savedMs = systemClock.now();
      if (this.#mirror !== undefined) {
        const mirrored = { fleet: reader.fleet, mirror: this.#mirror };
        await this.#mirroredLines.say(link, this.#settings, mirrored, this.#findings, nowMs);
      }
      void this.#tend();
    }
    this.#writeStatusIfDue();
  }

  /** By host: what was stored before is in the mirror. Empty until all streams were read once. */
  #mirroredMs(): ReadonlyMap<string, number> {
    const { behindMs } = this.#reader;
    if (this.#caughtMs === 0) return behindMs;
    return new Map(
      [...this.#settings.hosts.keys()].map((host) => [host, behindMs.get(host) ?? this.#caughtMs]),
    );
  }

  async #tend(): Promise<void> {
    const mirror = this.#mirror;
    if (this.#isTending || mirror === undefined) return;
    this.#isTending = true;
    try {
      const { failed, hasRoom } = await mirror.tend(systemClock.wallMs());
      if (failed !== undefined) this.#tell('mirror-not-tended', { text: failed });
      if (!hasRoom || mirror !== this.#mirror) return;
      this.#next ??= this.#settings;
      this.#session.abort();
    } catch (fault) {
      // A fault of the disk ends the service: systemd starts it again.
      this.#fault = fault;
      this.stop();
    } finally {
      this.#isTending = false;
    }
  }

  #lost(fault: NatsFault): void {
    const nowMs = systemClock.wallMs();
    this.#knowledge.lost(nowMs);
    this.#lag = undefined;
    // Reported once, and again if another person must act on it.
    const isKnown = this.#away !== undefined && (gone.has(fault.code) || fault.code === this.#awayCode);
    if (!isKnown) this.#tell('stream-away', { code: fault.code, text: fault.message });
    this.#awayCode = fault.code;
    this.#away = { since: this.#away?.since ?? formatTime(nowMs), text: fault.message };
    this.#writeStatusIfDue();
  }

  #back(): void {
    this.#failures = 0;
    if (this.#away !== undefined) this.#tell('stream-back', {});
    this.#away = undefined;
    this.#awayCode = '';
  }

  /** Of what the last round has read. */
  #judge(): void {
    const { fleet } = this.#reader;
    const { hosts } = this.#settings;
    const { knownMs } = this.#knowledge;
    fleet.seeMirrored(this.#mirroredMs());
    this.#findings = fleet.judge(knownMs).filter((finding) => {
      const silentMs = hosts.get(finding.host)?.silentMs ?? 0;
      return this.#book.has(finding) || !this.#knowledge.isExcused(finding, silentMs);
    });
    const nowMs = systemClock.wallMs();
    for (const line of this.#book.update(this.#findings, nowMs)) this.#print(line);
    this.#status = { ...fleet.status(knownMs), findings: this.#findings };
    for (const line of this.#fills.update(this.#status.streams ?? [], nowMs)) this.#print(line);
  }

  /** Reported at once, even if much is still to be read. */
  #begin(finding: FleetFinding): void {
    const line = this.#book.begin(finding, systemClock.wallMs());
    if (line !== undefined) this.#print(line);
  }

  #present(): FleetStatus {
    const { streamSeq, records } = this.#reader.fleet;
    const certificates = this.#certificates.rows();
    return {
      ...this.#status,
      streamSeq,
      records,
      checkpoint: this.#checkpoint,
      certificates,
      away: this.#away,
    };
  }

  #textOfStatus(): string {
    const { at: _, ...rest } = this.#present();
    return JSON.stringify(rest);
  }

  #writeStatusIfDue(): void {
    const age = systemClock.now() - this.#writtenMs;
    if (age >= statusMaxMs || (age >= statusMinMs && this.#textOfStatus() !== this.#writtenText))
      this.#writeStatus();
  }

  #writeStatus(): void {
    this.#folder.writeStatus({ ...this.#present(), at: formatTime(systemClock.wallMs()) });
    this.#writtenMs = systemClock.now();
    this.#writtenText = this.#textOfStatus();
  }

  /** When something is new. */
  async #seal(link: NatsLink, nowMs: number): Promise<void> {
    const { fleet } = this.#reader;
    if (fleet.records === this.#sealedRecords) return;
    this.#sealedMs = nowMs;
    this.#sealedRecords = fleet.records;
    const warn = (text: string): void => this.#tell('checkpoint-not-sent', { text });
    await sealCheckpoint(link, this.#folder, this.#settings, fleet, this.#findings, nowMs, warn);
    this.#checkpoint = describeCheckpoint(this.#folder);
  }

  #tell(event: string, fields: Readonly<Record<string, unknown>>): void {
    this.#print(formatEvent(systemClock.wallMs(), event, fields));
  }

  #print(line: string): void {
    // Lines that cannot be written are lost: a missing reader of the log must not stop the watch.
    void this.#screen.print(line).then(() => this.#screen.flush());
  }
}
