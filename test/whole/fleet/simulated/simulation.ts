// A fleet of simulated gates at a real nats-server, with a real `audit fleet watch` and `verify` that read it: crashes, steps of clocks,
// hosts that join by the real commands, and faults that are planted on one host each, by a seed. What comes out: whether each fault was
// found with its host and as what it is, whether anything else was found, whether a connection ended because a host joined, whether the
// mirror has the journals byte for byte; and what it took.

import { spawn } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { FleetFinding } from '../../../../src/evidence/fleet/shapes.js';
import { exitCodes } from '../../../../src/host/ports/machine.js';
import { makeSignKey } from '../../../../src/rules/keys/sign-key.js';
import { builtProgram } from '../../../kit/gate/daemon.js';
import { type Nats, openNatsServer } from '../../../kit/gate/nats.js';
import { runWarm } from '../../../kit/gate/warm-program.js';
import { type Random, randomInteger, seededRandom } from '../../../kit/plain/chunkings.js';
import { type Owner, openFolder } from '../../../kit/plain/folder.js';
import { freePorts } from '../../../kit/plain/free-ports.js';
import type { Skipped } from '../../../kit/plain/skipped.js';
import { until } from '../../../kit/plain/until.js';
import { memoryMiB, processorSeconds } from '../../bench/load/usage.js';
import { type Desk, layAdmin, openDesk, statusOf } from '../fleet-lab.js';
import { startWatch, type Watching } from '../watching.js';
import { type Fault, faults, type Stage } from './faults.js';
import { type GateOptions, SimulatedGate } from './gate.js';

export interface SimulationOptions {
  /** Those that `fleet.yaml` lists, and a stranger, who is never listed. */
  readonly hosts: number;
  /** How many of them join during the load. */
  readonly newcomers: number;
  /** Of all hosts together, a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
  /** Records that a host writes in its turn. */
  readonly group: number;
  /** The records tell of so many days; 0: of the time that they take. */
  readonly days: number;
  /** After which a command without an end, and the host that falls silent, are a finding. */
  readonly patienceMs: number;
  /** Also how long a report of one mailbox takes, and a verifier that reads everything from the beginning. */
  readonly isMeasured: boolean;
  readonly say: (what: string, figures: string) => void;
}

export interface Outcome {
  readonly records: number;
  /** For each fault: its host, what it must be called, and what it was called. */
  readonly faults: readonly {
    readonly name: string;
    readonly host: string;
    readonly expected: readonly string[];
    readonly found: readonly string[];
  }[];
  /** Findings of hosts where nothing was planted, or of another kind than planted; those of the watch, too. */
  readonly others: readonly string[];
  /** Why the mirror of a host is not its journal. */
  readonly different: readonly string[];
  /** Events of shippers, by kind. */
  readonly events: ReadonlyMap<string, number>;
  readonly joins: readonly Join[];
}

/** A host that joined while others sent. */
interface Join {
  readonly host: string;
  /** From `issue` until the stream has its journal. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Gates that were connected all the time, by what they did themselves. */
  readonly others: number;
  /** Those of them whose connection is gone, as the server has it. */
  readonly lost: readonly string[];
  /** Blocks of others that were acknowledged meanwhile. */
  readonly acknowledged: number;
}

interface Actor {
  readonly gate: SimulatedGate;
  readonly fault: Fault | undefined;
  /** The last record that is the host's own; undefined: all are. */
  honestSeq?: number | undefined;
}

interface Happening {
  /** Of the records. */
  readonly at: number;
  readonly run: () => Promise<void>;
}

const prefix = 'DOVEGATE_AUDIT';
const stranger = 'stranger';
const turnsPerCheckpoint = 4;
/** Of the records. */
const joinsAt = 0.3;
const connectionsMax = 4096;
/** Of the daemon that a newcomer would have. */
const gateSettings = `version: 1
listeners: { support: { unix: support.sock, mode: "0600", policy: support } }
backends: { mail1: { address: "unix:nobody.sock", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*"], allow: [quota get] } }
state: state
admin: { unix: admin.sock }
audit: { directory: audit, memory: off, reserve: 4KiB }
`;
const sampleMs = 1_000;
const startsAtOnce = 16;
const idleMs = 30_000;
/** Of one process, so that its connections have their turn. */
const turnMs = 20;
const progressMs = 60_000;
const dayMs = 86_400_000;
const recordBytes = 900;
/** For one host, beside what its records take. */
const shareMinMiB = 2;

/** Needs some seconds more than `seconds`. Rejects where a gate lost a record, or the watch ended. */
export async function simulateFleet(owner: Owner, options: SimulationOptions): Promise<Outcome | Skipped> {
  const names = Array.from(
    { length: options.hosts - 1 },
    (_, at) => `gate-${String(at + 1).padStart(4, '0')}`,
  );
  const newcomers = names.splice(names.length - options.newcomers);
  const beganMs = performance.now();
  const [monitor = 0] = await freePorts(1);
  const nats = await openNatsServer(owner, {
    gates: [...names, stranger],
    more: `http: "127.0.0.1:${monitor}"`,
  });
  if ('skip' in nats) return nats;
  options.say(
    'nats-server',
    `${nats.version}, with ${names.length} accounts after ${secondsSince(beganMs)} s`,
  );
  const simulation = new Simulation(nats, monitor, { names, newcomers }, openFolder(owner), options);
  try {
    return await simulation.run();
  } finally {
    await simulation.close();
  }
}

class Simulation {
  readonly #nats: Nats;
  readonly #monitor: number;
  readonly #options: SimulationOptions;
  readonly #folder: string;
  readonly #random: Random;
  readonly #actors: Actor[];
  readonly #newcomers: readonly string[];
  readonly #joins: Join[] = [];
  readonly #extras: SimulatedGate[] = [];
  readonly #absent: readonly { readonly host: string; readonly fault: Fault }[];
  readonly #desk: Desk;
  readonly #hosts: Record<string, Readonly<Record<string, string>>>;
  readonly #events = new Map<string, number>();
  /** Blocks of hosts that were there at the beginning. */
  readonly #acknowledged: { readonly atMs: number; readonly lagMs: number }[] = [];
  readonly #verifiedMs: number[] = [];
  readonly #usage = new Map<
    string,
    { anonymous: number; peak: number; descriptors: number; seconds: number }
  >();
  readonly #total: number;
  /** Of `fleet.yaml`. */
  #more: Readonly<Record<string, unknown>> = {};
  #made = 0;
  #isLoad = true;
  #sampledAt = '';
  /** What the watch has read. */
  #rows: ReadonlyMap<string, { readonly journal?: string | undefined; readonly seq?: number | undefined }> =
    new Map();

  constructor(
    nats: Nats,
    monitor: number,
    { names, newcomers }: { readonly names: readonly string[]; readonly newcomers: readonly string[] },
    folder: string,
    options: SimulationOptions,
  ) {
    this.#nats = nats;
    this.#monitor = monitor;
    this.#folder = folder;
    this.#options = options;
    this.#newcomers = newcomers;
    this.#random = seededRandom(options.seed);
    this.#total = options.rate * options.seconds;
    const places = shuffled(names, this.#random);
    const planted = new Map<string, Fault>();
    for (const fault of faults) {
      const host = fault.listed === 'not' ? stranger : places.pop();
      if (host === undefined) throw new Error(`at least ${faults.length} hosts are needed`);
      planted.set(host, fault);
    }
    const all = [...names, ...[...planted.keys()].filter((host) => !names.includes(host))];
    this.#absent = all.flatMap((host) => {
      const fault = planted.get(host);
      return fault?.isAbsent === true ? [{ host, fault }] : [];
    });
    const hosts: Record<string, Record<string, string>> = {};
    this.#actors = all
      .filter((host) => planted.get(host)?.isAbsent !== true)
      .map((host, at): Actor => {
        const fault = planted.get(host);
        const key = makeSignKey();
        const gate = this.#gateOf(host, at, {
          signKey: key,
          acknowledged: (lagMs) => {
            if (this.#isLoad) this.#acknowledged.push({ atMs: performance.now(), lagMs });
          },
          ...fault?.gate?.({ hourMs: this.#hourMs }),
        });
        const silent = fault?.listed === 'soon-silent' ? options.patienceMs : 6 * 3_600_000;
        const named = fault?.listed === 'soon-silent' ? {} : { key: key.key };
        if (fault?.listed !== 'not') hosts[host] = { ...named, silent_after: `${silent}ms` };
        return { gate, fault };
      });
    for (const { host } of this.#absent) hosts[host] = { silent_after: '6h' };
    this.#hosts = hosts;
    this.#desk = openDesk(nats, {});
  }

  #gateOf(
    host: string,
    at: number,
    more: Pick<GateOptions, 'signKey' | 'acknowledged'> & Partial<GateOptions>,
  ): SimulatedGate {
    return new SimulatedGate({
      host,
      folder: this.#folder,
      link: this.#nats.settingsOf(host),
      stream: prefix,
      wallMs: () => this.#wallMs(),
      random: seededRandom(this.#options.seed + at + 1),
      told: (kind) => void this.#events.set(kind, (this.#events.get(kind) ?? 0) + 1),
      ...more,
    });
  }

  /** A difference of clocks that is none is below a half of it. */
  get #hourMs(): number {
    return 3_600_000 + 2 * this.#options.days * dayMs;
  }

  /** With `days`, time runs so that it reaches the present with the last record. */
  #wallMs(): number {
    const left = 1 - Math.min(1, this.#made / this.#total);
    return Date.now() - this.#options.days * dayMs * left;
  }

  get #gates(): readonly SimulatedGate[] {
    return this.#actors.map(({ gate }) => gate);
  }

  async run(): Promise<Outcome> {
    const { say } = this.#options;
    await this.#begin();
    const watch = startWatch(this.#nats, this.#desk);
    const told = new Map<string, number>();
    const samples = this.#sample(watch);
    await until(() => this.#status() !== undefined, 'the watch has read something', 120_000);
    await this.#load(watch);
    await this.#until((gate) => this.#isRead(gate), 'the watch has read everything');
    if (this.#options.isMeasured) await this.#measureIdle(watch);
    await this.#plantLate();
    await pause(this.#options.patienceMs + 2_000);
    samples.stop();
    const { code } = await watch.stop();
    if (code !== 0) throw new Error(`the watch ended with ${code}: ${watch.errors()}`);
    this.#report();
    for (const { kind, host, time } of watch.of('finding'))
      told.set(`${String(host)} ${String(kind)}`, Date.parse(String(time)));
    const findings = await this.#verify();
    const outcome = this.#judge(findings, [...told.keys()]);
    say('planted faults found', `${outcome.faults.filter(isFound).length} of ${outcome.faults.length}`);
    say('other findings', String(outcome.others.length));
    const compared = performance.now();
    const different = this.#compareMirror();
    say(
      'hosts whose mirror is their journal',
      `${this.#gates.length - different.length} of ${this.#gates.length}, compared in ${secondsSince(compared)} s`,
    );
    if (this.#options.isMeasured) await this.#measureReaders();
    return { ...outcome, different };
  }

  async close(): Promise<void> {
    for (const gate of [...this.#gates, ...this.#extras]) await gate.close();
  }

  async #begin(): Promise<void> {
    const { say, days } = this.#options;
    const perHost = this.#total / this.#options.hosts;
    const share = Math.ceil(Math.max(shareMinMiB, (2 * perHost * recordBytes) / 2 ** 20));
    const more = {
      share: `${share}MiB`,
      max_size: undefined,
      // At least as long as one crash and its start take.
      open_after: `${this.#options.patienceMs}ms`,
      drift: `${Math.ceil(this.#hourMs / 2 / 60_000)}m`,
      keep: `${days + 400}d`,
    };
    let atMs = performance.now();
    const admin = openDesk(this.#nats, {}, 'admin');
    admin.write({ ...this.#hosts, [stranger]: {} }, more);
    this.#more = more;
    this.#desk.write(this.#hosts, more);
    const made = await admin.run('init');
    if (made.exit !== 0) throw new Error(made.text);
    layAdmin(this.#nats);
    say('streams made by init', `${Object.keys(this.#hosts).length + 2} in ${secondsSince(atMs)} s`);
    atMs = performance.now();
    const waiting = [...this.#gates];
    const startSome = async (): Promise<void> => {
      for (let gate = waiting.shift(); gate !== undefined; gate = waiting.shift()) {
        gate.open();
        gate.checkpoint();
        await gate.ship();
      }
    };
    await Promise.all(Array.from({ length: startsAtOnce }, startSome));
    say('gates started and connected', `${this.#gates.length} in ${secondsSince(atMs)} s`);
  }

  /** All records but the last ones, with what happens meanwhile. */
  async #load(watch: Watching): Promise<void> {
    const { rate, group, say } = this.#options;
    const order = shuffled(this.#gates, this.#random);
    const joinAll = async (): Promise<void> => {
      for (const host of this.#newcomers) order.push(await this.#join(host));
      watch.child.kill('SIGHUP');
    };
    const happenings = [...this.#happenings(), { at: joinsAt, run: joinAll }].toSorted(
      (one, other) => one.at - other.at,
    );
    const running: Promise<void>[] = [];
    const failed: unknown[] = [];
    const startMs = performance.now();
    let saidMs = startMs;
    let turnedMs = startMs;
    for (let turn = 0; this.#made < this.#total; turn += 1) {
      if (failed.length > 0) throw failed[0];
      const dueMs = startMs + (this.#made / rate) * 1000;
      if (performance.now() - saidMs > progressMs) {
        saidMs = performance.now();
        say('made so far', `${this.#made} records in ${secondsSince(startMs)} s`);
      }
      if (dueMs > performance.now()) await pause(dueMs - performance.now());
      const gate = order[turn % order.length];
      if (gate !== undefined && !gate.isOut) {
        const { seq } = gate;
        gate.work(group / 2);
        if (this.#options.days > 0 || Math.floor(turn / order.length) % turnsPerCheckpoint === 0)
          gate.checkpoint();
        this.#made += gate.seq - seq;
      }
      while (happenings[0] !== undefined && this.#made / this.#total >= happenings[0].at)
        running.push(
          happenings
            .shift()
            ?.run()
            .catch((fault: unknown) => void failed.push(fault)) ?? Promise.resolve(),
        );
      if (performance.now() - turnedMs < turnMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      turnedMs = performance.now();
    }
    const madeMs = performance.now();
    await Promise.all(running);
    if (failed.length > 0) throw failed[0];
    const shipped = async (): Promise<void> => {
      for (const gate of this.#gates) if (!gate.isOut) await gate.shipped();
    };
    await shipped();
    this.#isLoad = false;
    const endMs = performance.now();
    const caughtUp = secondsSince(madeMs);
    for (const gate of this.#gates) {
      if (!gate.isOut) gate.checkpoint();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await shipped();
    const seconds = (madeMs - startMs) / 1000;
    const records = this.#gates.reduce((sum, { seq }) => sum + seq, 0);
    say(
      'load',
      `${records} records in ${seconds.toFixed(0)} s (${Math.round(this.#total / seconds)} a second); ` +
        `all in the streams ${caughtUp} s after`,
    );
    this.#reportJoins(startMs, endMs);
  }

  /** A host that was not there, by the commands of docs/audit-fleet.md, while the others send. */
  async #join(host: string): Promise<SimulatedGate> {
    const { config } = this.#desk;
    const { folder } = this.#nats;
    const own = join(this.#folder, host);
    const gate = this.#gateOf(host, this.#actors.length, {
      signKey: makeSignKey(),
      acknowledged: () => undefined,
      link: {
        ...this.#nats.settingsOf(host),
        caFile: join(own, 'ship/ca.pem'),
        credentialsFile: join(own, 'ship/gate.creds'),
      },
    });
    gate.open();
    gate.checkpoint();
    const daemonConfig = join(own, 'dovegate.yaml');
    writeFileSync(daemonConfig, gateSettings);
    const moves = new Map(this.#actors.map((actor) => [actor, actor.gate.moves]));
    const before = await this.#connections();

    const fromMs = performance.now();
    const issued = await runWarm(['audit', 'fleet', 'issue', host, '--config', config]);
    if (issued.exit !== 0) throw new Error(issued.text);
    const issuedMs = performance.now();
    const file = join(folder, `fleet/admin/${host}.join`);
    const joined = await runWarm(['audit', 'fleet', 'join', file, '--config', daemonConfig]);
    // There is no daemon that could be reloaded: the gate is in this process.
    if (joined.exit !== exitCodes.unavailable) throw new Error(joined.text);
    writeFileSync(join(folder, `fleet/keys/${host}.pub`), joined.stdout);
    await gate.ship();
    const toMs = performance.now();

    const after = await this.#connections();
    const others = [...moves].filter(
      ([{ gate: other, fault }, count]) => fault === undefined && other.moves === count,
    );
    const lost = others
      .filter(([{ gate: other }]) => before.get(other.host) !== after.get(other.host))
      .map(([{ gate: other }]) => `${other.host}: ${before.get(other.host)}, ${after.get(other.host)}`);
    const acknowledged = this.#acknowledged.filter(({ atMs }) => atMs >= fromMs).length;
    this.#joins.push({ host, fromMs, toMs, lost, acknowledged, others: others.length });
    const pushed = /^the server knows them since (.*?),/m.exec(issued.text)?.[1];
    this.#options.say(
      `${host} joins`,
      `issue in ${Math.round(issuedMs - fromMs)} ms (known ${pushed}), its journal in its stream ${Math.round(toMs - issuedMs)} ms later; ` +
        `${acknowledged} blocks of others acknowledged; connections made again: ${lost.length} of ${others.length}`,
    );

    // A lab may take longer than five minutes after its last record.
    writeFileSync(config, readFileSync(config, 'utf8').replace('silent_after: 5m', 'silent_after: 6h'));
    this.#hosts[host] = { key: `fleet/keys/${host}.pub`, silent_after: '6h' };
    this.#actors.push({ gate, fault: undefined });
    return gate;
  }

  /** Of gates, as the server has them: the numbers and the beginnings of all connections of a host. */
  async #connections(): Promise<ReadonlyMap<string, string>> {
    const answer = await fetch(`http://127.0.0.1:${this.#monitor}/connz?limit=${connectionsMax}`);
    const { connections }: { readonly connections: readonly Readonly<Record<string, unknown>>[] } =
      JSON.parse(await answer.text());
    const found = new Map<string, string>();
    for (const { name, cid, start } of connections) {
      const host = String(name).replace(/^test /, '');
      found.set(host, `${found.get(host) ?? ''} ${String(cid)} since ${String(start)}`);
    }
    return found;
  }

  /** The longest time between two acknowledgements of the others, and the longest that a record waited: while a host joined, and else. */
  #reportJoins(startMs: number, endMs: number): void {
    const isJoin = (atMs: number): boolean =>
      this.#joins.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs);
    const most = { join: { gap: 0, lag: 0 }, else: { gap: 0, lag: 0 } };
    let last = startMs;
    for (const { atMs, lagMs } of [...this.#acknowledged, { atMs: endMs, lagMs: 0 }]) {
      const of = isJoin(atMs) || isJoin(last) ? most.join : most.else;
      of.gap = Math.max(of.gap, atMs - last);
      of.lag = Math.max(of.lag, lagMs);
      last = atMs;
    }
    const shown = (name: 'gap' | 'lag'): string =>
      `${Math.round(most.join[name])} ms while hosts joined, ${Math.round(most.else[name])} ms in the rest of the load`;
    this.#options.say('others: no acknowledgement for', shown('gap'));
    this.#options.say('others: on disk until acknowledged, most', shown('lag'));
  }

  *#happenings(): Generator<Happening> {
    for (const actor of this.#actors) {
      const { fault } = actor;
      if (fault?.plant === undefined || fault.isLate === true) continue;
      yield { at: this.#moment(), run: () => this.#plant(actor) };
    }
    const sound = shuffled(
      this.#actors.filter(({ fault }) => fault === undefined).map(({ gate }) => gate),
      this.#random,
    );
    const count = Math.max(1, Math.ceil(this.#options.hosts / 20));
    for (const gate of sound.slice(1, 1 + count)) {
      const pairs = randomInteger(this.#random, 0, 3);
      yield { at: this.#moment(), run: () => crashAndStart(gate, pairs) };
    }
    for (const gate of sound.slice(0, count)) {
      const ms = randomInteger(this.#random, -20_000, 20_000);
      for (const step of [ms, -ms])
        yield {
          at: this.#moment(),
          run: async () => {
            if (!gate.isOut) gate.stepClock(step);
          },
        };
    }
  }

  #moment(): number {
    return 0.1 + 0.8 * this.#random();
  }

  async #plant(actor: Actor): Promise<void> {
    const planted = await actor.fault?.plant?.(actor.gate, this.#stage());
    actor.honestSeq = planted?.honestSeq;
  }

  async #plantLate(): Promise<void> {
    // A stream that was made again has everything read again, and an emptied one has nothing left to read: it comes last.
    for (const late of faults.filter(({ isLate }) => isLate === true).toReversed())
      for (const actor of this.#actors) if (actor.fault === late) await this.#plant(actor);
    await this.#until((gate) => this.#isRead(gate), 'the watch has read everything again');
  }

  #stage(): Stage {
    const other = this.#actors.find(({ fault }) => fault === undefined)?.gate;
    if (other === undefined) throw new Error('there is no host without a fault');
    return {
      nats: this.#nats,
      stream: prefix,
      hourMs: this.#hourMs,
      other,
      untilRead: (gate) => until(() => this.#isRead(gate), `the watch has read ${gate.host}`, 600_000),
      keep: (gate) => void this.#extras.push(gate),
    };
  }

  #status() {
    try {
      return statusOf(this.#desk);
    } catch {
      return undefined;
    }
  }

  /** Of a gate with records that are not its own: always. */
  #isRead(gate: SimulatedGate): boolean {
    const actor = this.#actors.find((one) => one.gate === gate);
    const row = this.#rows.get(gate.host);
    return actor?.honestSeq !== undefined || (row?.journal === gate.journal && (row.seq ?? 0) >= gate.seq);
  }

  async #until(isSo: (gate: SimulatedGate) => boolean, what: string): Promise<void> {
    const missing = (): readonly string[] =>
      this.#gates.filter((gate) => !isSo(gate)).map(({ host }) => host);
    await until(
      () => missing().length === 0,
      () => `${what}: ${missing().slice(0, 5).join(' ')}`,
      900_000,
    );
  }

  #sample(watch: Watching): { stop(): void } {
    const timer = setInterval(() => {
      this.#measure('nats-server', this.#nats.pid);
      this.#measure('simulation', process.pid);
      this.#measure('watch', watch.child.pid);
      const status = this.#status();
      if (status === undefined || status.at === this.#sampledAt) return;
      this.#sampledAt = status.at;
      this.#rows = new Map(status.gates.map((row) => [row.host, row]));
      const atMs = performance.now() - (Date.now() - Date.parse(status.at));
      for (const { gate, fault } of this.#actors) {
        const row = this.#rows.get(gate.host);
        if (row?.journal !== gate.journal || row.seq === undefined) continue;
        const since = gate.waitingSince(row.seq);
        if (this.#isLoad && fault === undefined)
          this.#verifiedMs.push(since === undefined ? 0 : Math.max(0, atMs - since));
        gate.verified(row.seq);
      }
    }, sampleMs);
    return { stop: () => clearInterval(timer) };
  }

  /** Nothing is recorded; the gates are connected, and the watch reads. */
  async #measureIdle({ child: { pid = 0 } }: Watching): Promise<void> {
    const look = async () => {
      const answer = await fetch(`http://127.0.0.1:${this.#monitor}/varz`);
      const {
        in_msgs: taken,
        out_msgs: given,
        connections,
      }: Readonly<Record<string, number>> = JSON.parse(await answer.text());
      const [server, watch] = [this.#nats.pid ?? 0, pid].map(processorSeconds);
      return { taken, given, connections, server, watch, atMs: performance.now() };
    };
    const before = await look();
    await pause(idleMs);
    const after = await look();
    const seconds = (after.atMs - before.atMs) / 1000;
    const each = (name: keyof typeof after): number => (Number(after[name]) - Number(before[name])) / seconds;
    this.#options.say(
      'idle, a second',
      `${each('taken').toFixed(0)} messages to the server, ${each('given').toFixed(0)} from it, ${after.connections} connections; ` +
        `${(each('server') * 100).toFixed(1)} % of a processor for the server, ${(each('watch') * 100).toFixed(1)} % for the watch`,
    );
  }

  #measure(name: string, pid: number | undefined): void {
    if (pid === undefined) return;
    const { anonymous, peak } = memoryMiB(pid);
    if (!Number.isFinite(peak)) return;
    const before = this.#usage.get(name);
    this.#usage.set(name, {
      anonymous: Math.max(anonymous, before?.anonymous ?? 0),
      peak: Math.max(peak, before?.peak ?? 0),
      descriptors: Math.max(readdirSync(`/proc/${pid}/fd`).length, before?.descriptors ?? 0),
      seconds: processorSeconds(pid),
    });
  }

  #report(): void {
    const { say } = this.#options;
    for (const [name, { anonymous, peak, descriptors, seconds }] of this.#usage)
      say(
        name,
        `${anonymous.toFixed(0)} MiB anonymous at most, ${peak.toFixed(0)} MiB resident at its peak, ` +
          `${descriptors} descriptors, ${seconds.toFixed(0)} s of processor`,
      );
    const records = this.#gates.reduce((sum, { seq }) => sum + seq, 0);
    const each = (name: string): string =>
      (((this.#usage.get(name)?.seconds ?? Number.NaN) / records) * 1e6).toFixed(1);
    say(
      'processor for a million records',
      `server ${each('nats-server')} s, watch ${each('watch')} s, simulation ${each('simulation')} s`,
    );
    const lag = (of: number[]): string =>
      `${percentile(of, 0.5)} ms, p99 ${percentile(of, 0.99)} ms, at most ${percentile(of, 1)} ms`;
    say('on disk until acknowledged, p50', lag(this.#acknowledged.map(({ lagMs }) => lagMs)));
    say('on disk until verified, p50', lag(this.#verifiedMs));
    say('events of shippers', [...this.#events].map(([kind, count]) => `${kind} ${count}`).join(', '));
    say('streams on disk', mebibytes(join(this.#nats.folder, 'store')));
    say('journals of the gates', mebibytes(...this.#gates.map(({ place }) => place.directory)));
  }

  /** What stands at the end, by `verify`. */
  async #verify(): Promise<readonly FleetFinding[]> {
    const { say } = this.#options;
    const { output, figures, exit } = await this.#run(
      'verify after the watch',
      'fleet',
      'verify',
      '--config',
      this.#desk.config,
      '--json',
    );
    say('verify after the watch', `${figures}, exit ${exit}`);
    say('mirror of the watch', mebibytes(join(this.#desk.state, 'journals')));
    return JSON.parse(output).findings;
  }

  /** A subcommand of `audit` as a process; its usage is noted under that name. */
  async #run(name: string, ...words: readonly string[]) {
    const child = spawn(process.execPath, [builtProgram, 'audit', ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const pieces: Buffer[] = [];
    let errors = '';
    child.stdout.on('data', (piece: Buffer) => void pieces.push(piece));
    child.stderr.on('data', (piece: Buffer) => {
      errors += piece.toString();
    });
    const atMs = performance.now();
    const timer = setInterval(() => this.#measure(name, child.pid), 100);
    const exit = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? 137));
    });
    clearInterval(timer);
    const output = Buffer.concat(pieces).toString();
    const seconds = (performance.now() - atMs) / 1000;
    if (exit > 1) throw new Error(`${name}: exit ${exit}: ${output.slice(0, 1000)}${errors}`);
    const { anonymous = Number.NaN, seconds: processor = Number.NaN } = this.#usage.get(name) ?? {};
    const figures = `${seconds.toFixed(1)} s, ${processor.toFixed(1)} s of processor, ${anonymous.toFixed(0)} MiB anonymous at most`;
    return { exit, output, seconds, processor, figures };
  }

  async #measureReaders(): Promise<void> {
    const { say, days } = this.#options;
    const { config, state } = this.#desk;
    const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
    const [from, to] = [day(Date.now() - (days + 2) * dayMs), day(Date.now() + 2 * dayMs)];
    const mailbox = ['--mailbox', 'user8@example.org', '--from', from, '--to', to];
    const reported = await this.#run('report', 'report', '--fleet', config, ...mailbox, '--json');
    const { verdict } = JSON.parse(reported.output.split('\n', 1).join(''));
    say(
      'report of one mailbox, all hosts',
      `${reported.figures}; ${verdict.commands} commands, exit ${reported.exit}`,
    );
    const nobody = await this.#run('search', 'search', '--fleet', config, '--user', 'nobody@example.org');
    say('search for a user who is not there', nobody.figures);
    // The same verifier, but for what it remembers and has mirrored.
    const fresh = `${state}-fresh`;
    cpSync(state, fresh, {
      recursive: true,
      filter: (path) => !['journals', 'state.json'].includes(basename(path)),
    });
    this.#desk.write(this.#hosts, { ...this.#more, state: fresh });
    const read = await this.#run('verify', 'fleet', 'verify', '--config', config, '--json');
    const { records } = JSON.parse(read.output);
    const pace = (seconds: number): number => Math.round(records / seconds);
    say(
      'verify and mirror from the beginning',
      `${records} records, ${read.figures}: ${pace(read.seconds)} a second, ${pace(read.processor)} a second of processor`,
    );
    say('its mirror', mebibytes(join(fresh, 'journals')));
  }

  #judge(findings: readonly FleetFinding[], told: readonly string[]): Omit<Outcome, 'different'> {
    const standing = findings.map(({ host, kind }) => ({ host, kind }));
    const planted = [...this.#actors.map(({ gate, fault }) => ({ host: gate.host, fault })), ...this.#absent];
    const rows = planted.flatMap(({ host, fault }) => {
      if (fault === undefined) return [];
      const found = new Set(standing.filter((one) => one.host === host).map(({ kind }) => kind));
      return [
        { name: fault.name, host, expected: [...fault.kinds].toSorted(), found: [...found].toSorted() },
      ];
    });
    const isPlanted = (host: string, kind: string): boolean => {
      const { fault } = planted.find((one) => one.host === host) ?? {};
      // Until the watch is reloaded.
      if (kind === 'unknown-host' && this.#newcomers.includes(host)) return true;
      return [...(fault?.kinds ?? []), ...(fault?.passing ?? [])].some((one) => one === kind);
    };
    const others = [
      ...findings.filter(({ host, kind }) => !isPlanted(host, kind)).map((one) => JSON.stringify(one)),
      ...told.filter((name) => {
        const [host = '', kind = ''] = name.split(' ');
        return !isPlanted(host, kind);
      }),
    ];
    return { records: this.#made, faults: rows, others, events: this.#events, joins: this.#joins };
  }

  #compareMirror(): readonly string[] {
    return this.#actors.flatMap(({ gate, fault, honestSeq }) => {
      if (fault?.listed === 'not') return [];
      const journals = [...gate.before, { directory: gate.place.directory, journal: gate.journal }];
      return journals.flatMap(({ directory, journal }) => {
        const mirrored = textOf(join(this.#desk.state, 'journals', gate.host, journal));
        const own = textOf(directory);
        if (honestSeq === undefined)
          return mirrored.equals(own) ? [] : [`${gate.host}: ${mirrored.length} of ${own.length} bytes`];
        const begin = own.subarray(0, endOf(own, honestSeq));
        return mirrored.subarray(0, begin.length).equals(begin) ? [] : [`${gate.host}: another beginning`];
      });
    });
  }
}

export function isFound({ expected, found }: Outcome['faults'][number]): boolean {
  return expected.join() === found.join();
}

async function crashAndStart(gate: SimulatedGate, pairs: number): Promise<void> {
  gate.isOut = true;
  await gate.crash(pairs);
  await pause(200);
  const recovered = gate.open();
  if (recovered !== 2 * pairs) throw new Error(`${gate.host} has lost records: ${recovered} of ${2 * pairs}`);
  await gate.ship();
  gate.isOut = false;
}

/** Of a journal's directory, from its segments in either form. */
function textOf(directory: string): Buffer {
  const names = readdirSync(directory).filter((name) => /^\d+\.jsonl(?:\.gz)?$/.test(name));
  const texts = names.toSorted().map((name) => {
    const bytes = readFileSync(join(directory, name));
    return name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
  });
  return Buffer.concat(texts);
}

/** Behind so many lines. */
function endOf(text: Buffer, lines: number): number {
  let at = 0;
  for (let count = 0; count < lines; count += 1) at = text.indexOf(0x0a, at) + 1;
  return at;
}

function mebibytes(...folders: readonly string[]): string {
  let [bytes, files] = [0, 0];
  for (const folder of folders)
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      bytes += statSync(join(entry.parentPath, entry.name)).size;
      files += 1;
    }
  return `${(bytes / 2 ** 20).toFixed(0)} MiB in ${files} files`;
}

function percentile(figures: readonly number[], share: number): string {
  const sorted = Float64Array.from(figures).toSorted();
  return (sorted[Math.ceil((sorted.length - 1) * share)] ?? Number.NaN).toFixed(0);
}

function secondsSince(ms: number): string {
  return ((performance.now() - ms) / 1000).toFixed(1);
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((one) => [random(), one] as const)
    .toSorted(([one], [other]) => one - other)
    .map(([, one]) => one);
}
