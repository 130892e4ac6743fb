// `dovegate audit fleet watch`: reads the store in rounds, each as `verify` does it, reports each problem at its beginning and its
// end, and writes metrics and a status. An unreachable store is reported, and not taken for the silence of hosts. Every request of a
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
import { type ObjectStore, StoreFault } from '../../host/ports/store.js';
import { openStore } from '../../host/store/open-store.js';
import type { StoredRecord } from '../../host/values/values.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { readFleetSettings } from '../cli/fleet-places.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import type { FleetFinding, FleetStatus } from '../fleet/shapes.js';
import { describeCheckpoint, sealCheckpoint } from './checkpoints.js';
import { type Mirror, openMirror } from './mirror.js';
import { nameOfStore, openFleet, whyUnlisted } from './open-settings.js';
import { openStateFolder, type SavedState, type StateFolder } from './state-folder.js';
import { createStoreReader, type StoreReader, unseenVersions } from './store-reader.js';
import { createFindingBook, createKnowledge, formatEvent } from './watch-findings.js';
import { serveWatchMetrics } from './watch-metrics.js';

const pauseMs = 1_000;
/** All hosts are judged this often if something was read. Findings in what was read are reported at once. */
const judgeMs = 5_000;
/** The same if nothing was read: some findings come with time alone. */
const judgeIdleMs = 15_000;
/** All names of all hosts are listed again after this time. */
const wholeMs = 86_400_000;
const saveMs = 60_000;
const statusMinMs = 2_000;
const statusMaxMs = 30_000;
const checkpointMs = 3_600_000;
const retry = { firstMs: 1_000, mostMs: 30_000 } as const;
/** Exit code 0, after SIGTERM or SIGINT. Throws a CommandFault. */
export async function fleetWatch(screen: Screen, config: string): Promise<number> {
  const settings = readFleetSettings(config, screen);
  const folder = await openStateFolder(settings);
  const environment = takeServiceEnvironment(process.env, process.pid);
  const native = await loadNative();
  // Another process of the same user must not read the key from the memory of this one.
  native.forbidCoreDumps();
  const manager = createServiceManager(environment, native, systemClock);
  const release = holdProcess();
  nameProcess('audit fleet watch');
  const watch = new Watch(screen, config, settings, folder);
  const offStop = onStop(() => watch.stop());
  const offReload = onSignal(['SIGHUP'], () => watch.reload());
  const metrics =
    settings.metrics && (await serveWatchMetrics(settings.metrics, () => watch.numbers(), screen));
  try {
    manager.ready(`watches ${nameOfStore(settings)}`);
    manager.watch(() => true);
    await watch.run();
    manager.stopping('stopped', 0);
    return exitCodes.ok;
  } finally {
    await metrics?.close();
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
  readonly #book: ReturnType<typeof createFindingBook>;
  #settings: FleetSettings;
  #reader: StoreReader;
  #store: ObjectStore;
  #mirror: Mirror;
  #isTending = false;
  /** Everything that was stored before this time was read. */
  #caughtMs = 0;
  /** Ends the present look. */
  #session = new AbortController();
  /** Read again at SIGHUP; used when the look has ended. */
  #next: FleetSettings | undefined;
  #away: FleetStatus['away'];
  #awayCode = '';
  /** Failed attempts since the last object, or the last complete round. */
  #failures = 0;
  #isUp = false;
  /** It was reported that versions cannot be listed. */
  #isTold = false;
  #findings: readonly FleetFinding[] = [];
  #status: FleetStatus;
  #checkpoint: FleetStatus['checkpoint'];
  #wholeMs = -Infinity;
  #judgedMs = -Infinity;
  /** Something was read since the last judgement. */
  #isNews = false;
  #savedMs = -Infinity;
  #savedText = '';
  #writtenMs = -Infinity;
  #writtenText = '';
  #sealedMs: number;
  #sealedRecords: number;
  #fault: unknown;

  constructor(screen: Screen, config: string, settings: FleetSettings, folder: StateFolder) {
    this.#screen = screen;
    this.#config = config;
    this.#settings = settings;
    this.#folder = folder;
    const saved = folder.load();
    this.#book = createFindingBook(saved?.told ?? []);
    ({ reader: this.#reader, store: this.#store, mirror: this.#mirror } = this.#open(settings, saved));
    const { fleet } = this.#reader;
    this.#status = fleet.status(systemClock.wallMs());
    this.#checkpoint = describeCheckpoint(folder);
    this.#sealedMs = parseTime(this.#checkpoint?.at ?? '') ?? 0;
    this.#sealedRecords = fleet.records;
  }

  #open(settings: FleetSettings, saved: SavedState | undefined) {
    const keys = this.#folder.publicKeys();
    const unlisted = whyUnlisted(settings, keys);
    if (unlisted !== undefined) this.#tell('not-listed', { text: unlisted });
    const fleet = openFleet(settings, keys, saved?.fleet);
    const mirror = openMirror(settings, fleet);
    const store = openStore(settings, systemClock);
    const reader = createStoreReader(fleet, settings, store, saved, this.#folder, mirror, {
      told: () => this.#book.names(),
      take: (findings) => {
        this.#back();
        this.#isNews = true;
        this.#knowledge.heard(reader.storedMs);
        for (const finding of findings) this.#begin(finding);
        // Before the end of the first round, hosts may only not have been read yet.
        const isJudged = this.#judgedMs > -Infinity;
        if (isJudged && systemClock.now() - this.#writtenMs >= statusMinMs) this.#writeStatus();
      },
    });
    return { reader, store, mirror };
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
      const fixed = (['state', 'place', 'prefix', 'metrics', 'checkpointKeyFile'] as const).filter(
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
      isUp: this.#isUp,
      keepMs: this.#settings.keepMs,
      mirroredMs: this.#mirroredMs(),
    };
  }

  /** Runs until it is stopped. Rejects with a CommandFault if the state cannot be saved. */
  async run(): Promise<void> {
    this.#tell('started', { store: nameOfStore(this.#settings), records: this.#reader.fleet.records });
    try {
      while (!this.#stop.signal.aborted) {
        this.#session = new AbortController();
        await this.#adopt();
        try {
          await this.#follow(this.#session.signal);
        } catch (fault) {
          if (fault instanceof CommandFault) throw fault;
          if (this.#session.signal.aborted) continue;
          if (!(fault instanceof StoreFault)) throw fault;
          this.#lost(fault);
          this.#failures += 1;
          const ms = backOffMs(this.#failures, retry.firstMs, retry.mostMs, randomFraction());
          await pause(systemClock, ms, this.#session.signal);
        }
      }
    } finally {
      this.#store.close();
    }
    if (this.#fault !== undefined) throw this.#fault;
    this.#reader.save();
    this.#writeStatus();
    this.#tell('stopped', { records: this.#reader.fleet.records });
  }

  async #adopt(): Promise<void> {
    const next = this.#next;
    if (next === undefined) return;
    this.#next = undefined;
    this.#reader.save();
    this.#settings = next;
    this.#store.close();
    ({
      reader: this.#reader,
      store: this.#store,
      mirror: this.#mirror,
    } = this.#open(next, this.#folder.load()));
    this.#wholeMs = -Infinity;
    this.#tell('reloaded', { hosts: next.hosts.size });
  }

  /** Rejects with a StoreFault, or with a CommandFault. */
  async #follow(signal: AbortSignal): Promise<void> {
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      await this.#round(signal, isFirst);
      await pause(systemClock, pauseMs, signal);
    }
  }

  /** One round, as of `verify`. Rejects with a StoreFault, or with a CommandFault. */
  async #round(signal: AbortSignal, isFirst: boolean): Promise<void> {
    const reader = this.#reader;
    const startMs = systemClock.wallMs();
    const isWhole = systemClock.now() - this.#wholeMs >= wholeMs;
    const isDone = await reader.look(signal, isWhole);
    this.#back();
    if (!reader.hasVersions && !this.#isTold) this.#tell('versions-refused', { text: unseenVersions });
    this.#isTold = !reader.hasVersions;
    if (isWhole) this.#wholeMs = systemClock.now();
    this.#knowledge.confirmed(startMs);
    if (isDone) this.#caughtMs = startMs;
    if (isFirst) reader.fleet.takeLog(this.#folder.lastCheckpoints());
    if (systemClock.now() - this.#judgedMs >= (this.#isNews ? judgeMs : judgeIdleMs)) {
      this.#judge();
      this.#judgedMs = systemClock.now();
      this.#isNews = false;
      this.#writeStatusIfDue();
    }
    const nowMs = systemClock.wallMs();
    if (nowMs - this.#sealedMs >= checkpointMs) await this.#seal(nowMs);
    if (systemClock.now() - this.#savedMs >= saveMs) {
      const saved = `${reader.objects} ${this.#book.names().join()}`;
      if (saved !== this.#savedText) {
        reader.save();
        void this.#tend();
      }
      this.#savedText = saved;
      this.#savedMs = systemClock.now();
    }
  }

  /** By host: what was stored before is in the mirror. Empty until everything was read once. */
  #mirroredMs(): ReadonlyMap<string, number> {
    const { behindMs } = this.#reader;
    if (this.#caughtMs === 0) return behindMs;
    return new Map(
      [...this.#settings.hosts.keys()].map((host) => [host, behindMs.get(host) ?? this.#caughtMs]),
    );
  }

  async #tend(): Promise<void> {
    const mirror = this.#mirror;
    if (this.#isTending) return;
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

  #lost(fault: StoreFault): void {
    const nowMs = systemClock.wallMs();
    this.#knowledge.lost(nowMs);
    this.#isUp = false;
    // Reported once, and again if another person must act on it.
    const isKnown = this.#away !== undefined && (fault.code === 'away' || fault.code === this.#awayCode);
    if (!isKnown) this.#tell('store-away', { code: fault.code, text: fault.message });
    this.#awayCode = fault.code;
    this.#away = { since: this.#away?.since ?? formatTime(nowMs), text: fault.message };
    this.#writeStatusIfDue();
  }

  #back(): void {
    this.#failures = 0;
    this.#isUp = true;
    if (this.#away !== undefined) this.#tell('store-back', {});
    this.#isNews ||= this.#away !== undefined;
    this.#away = undefined;
    this.#awayCode = '';
  }

  /** Judges what the last round has read. */
  #judge(): void {
    const { fleet } = this.#reader;
    const { hosts } = this.#settings;
    const { knownMs } = this.#knowledge;
    fleet.seeMirrored(this.#mirroredMs());
    this.#findings = this.#reader.withUnread(fleet.judge(knownMs)).filter((finding) => {
      const silentMs = hosts.get(finding.host)?.silentMs ?? 0;
      // Hosts are read one after the other.
      const seenMs = Math.min(knownMs, this.#reader.knownMs(finding.host));
      return this.#book.has(finding) || !this.#knowledge.isExcused(finding, silentMs, seenMs);
    });
    for (const line of this.#book.update(this.#findings, systemClock.wallMs())) this.#print(line);
    this.#status = fleet.status(knownMs, this.#findings);
  }

  /** Reported at once, even if much is still to be read. */
  #begin(finding: FleetFinding): void {
    const line = this.#book.begin(finding, systemClock.wallMs());
    if (line !== undefined) this.#print(line);
  }

  #present(): FleetStatus {
    const { records } = this.#reader.fleet;
    return { ...this.#status, records, checkpoint: this.#checkpoint, away: this.#away };
  }

  #textOfStatus(): string {
    const { at: _, ...rest } = this.#present();
    return JSON.stringify(rest);
  }

  #writeStatusIfDue(): void {
    const age = systemClock.now() - this.#writtenMs;
    if (age >= statusMaxMs || this.#textOfStatus() !== this.#writtenText) this.#writeStatus();
  }

  #writeStatus(): void {
    this.#folder.writeStatus({ ...this.#present(), at: formatTime(systemClock.wallMs()) });
    this.#writtenMs = systemClock.now();
    this.#writtenText = this.#textOfStatus();
  }

  /** Signs a line if there are new records. */
  async #seal(nowMs: number): Promise<void> {
    const { fleet } = this.#reader;
    if (fleet.records === this.#sealedRecords) return;
    this.#sealedMs = nowMs;
    this.#sealedRecords = fleet.records;
    const warn = (text: string): void => this.#tell('checkpoint-not-sent', { text });
    await sealCheckpoint(this.#store, this.#folder, this.#settings, fleet, this.#findings, nowMs, warn);
    this.#checkpoint = describeCheckpoint(this.#folder);
  }

  #tell(event: string, fields: StoredRecord): void {
    this.#print(formatEvent(systemClock.wallMs(), event, fields));
  }

  #print(line: string): void {
    // Lines that cannot be written are lost: a missing reader of the log must not stop the watch.
    void this.#screen.print(line).then(() => this.#screen.flush());
  }
}
