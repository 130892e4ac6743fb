// A daemon whose records go to a receiver, with clients that send commands all the time; and what it has on disk, byte for byte.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { segmentFiles } from '../../journal/files/reading.js';
import { type Daemon, type Exit, startDaemon, startShip } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import type { Owner } from '../../kit/plain/folder.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

export interface FleetGate {
  /** The one that runs now, or ran last. */
  readonly daemon: Daemon;
  /** The process that ships: the one that runs now, or ran last. */
  readonly ship: Daemon;
  /** Public key of its checkpoints, in base64. */
  readonly key: string;
  /** Commands that were carried out so far. */
  readonly answered: number;
  /** Commands that were refused for the moment: a disk that takes no records for seconds does that. */
  readonly refused: number;
  /** Clients send until `rest`, also over kills. */
  work(): void;
  rest(): Promise<void>;
  /** Resolves when clients had so many more answers. */
  untilAnswered(more: number, ms?: number): Promise<void>;
  kill(): Promise<void>;
  /** Also `dovegate ship`, which is started again. */
  killShip(): Promise<void>;
  /** Both in order, the second when `sent` has resolved; how the daemon ended. */
  stop(sent?: () => Promise<void>): Promise<Exit>;
  /** Again, on what it left; `dovegate ship` too, where it was stopped. */
  start(): Promise<void>;
  /** Records that the receiver does not have yet. */
  lag(): Promise<number>;
  /** Of the receiver: `connected`, `away`, ... */
  state(): Promise<string>;
  /** Under load: until the receiver has all but the last moment's records. */
  untilShipped(): Promise<void>;
  /** With clients that rest: until the receiver has everything. Returns the milliseconds. */
  catchUp(ms?: number): Promise<number>;
  /** All lines of its journal. */
  journal(): Buffer;
}

/** Between two commands of a client: what else runs on the machine gets its turn. */
const restMs = 50;
const quota = { user: 'alice@example.org', fields: ['quota get'] };

export interface ShippingGateOptions {
  /** More of `audit`, as YAML on the line. */
  readonly audit?: string;
  /** How many send at once; default 4. */
  readonly clients?: number;
  /** More of its configuration, in lines. */
  readonly more?: string;
  /** As YAML on the line. */
  readonly receiver: string;
  /** Of the daemon's folder. */
  readonly files?: Readonly<Record<string, string>>;
}

export async function openShippingGate(owner: Owner, options: ShippingGateOptions): Promise<FleetGate> {
  const { receiver, audit = '', clients = 4, files = {} } = options;
  const signKey = makeSignKey();
  const { daemon: first } = await openGateway(owner, {
    audit: `{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 32MiB, reserve: 4KiB, segment: 1MiB, sign_key: sign.pem, checkpoint_interval: 1s, ship: [${receiver}]${audit} }`,
    more: `admin: { unix: admin.sock }\n${options.more ?? ''}`,
    // A dial for each command would be most of its work.
    mail1: { idle: '4' },
    files: { ...files, 'sign.pem': signKey.secretPem },
  });
  let daemon = first;
  let ship = await startShip(owner, first);
  let isShipping = true;
  let answered = 0;
  let refused = 0;
  let stop = new AbortController();
  let working: Promise<unknown> = Promise.resolve();
  let failure: Error | undefined;

  /** One client: comes again when its daemon was killed. */
  const send = async ({ signal }: AbortController): Promise<void> => {
    while (!signal.aborted) {
      try {
        const one = await openRawClient({ path: first.path('support.sock'), minor: 2 });
        while (!signal.aborted) {
          one.sendCommand(quota);
          const { status } = await one.readReply();
          if (status === '+') {
            answered += 1;
            await new Promise((resolve) => setTimeout(resolve, restMs));
          } else if (status === '-TEMPFAIL') {
            refused += 1;
            await new Promise((resolve) => setTimeout(resolve, 20));
          } else failure ??= new Error(`a command was answered ${status}`);
        }
        one.close();
      } catch {
        // The gate was killed.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const gate: FleetGate = {
    key: signKey.key,
    get daemon() {
      return daemon;
    },
    get ship() {
      return ship;
    },
    get answered() {
      return answered;
    },
    get refused() {
      return refused;
    },
    work() {
      stop = new AbortController();
      working = Promise.all(Array.from({ length: clients }, () => send(stop)));
    },
    async rest() {
      stop.abort();
      await working;
    },
    async untilAnswered(more, ms = 300_000) {
      const enough = answered + more;
      const isEnough = (): boolean => answered >= enough || failure !== undefined;
      await until(isEnough, `${more} answers\n${daemon.output().slice(-4000)}`, ms);
      if (failure !== undefined) throw failure;
    },
    async kill() {
      await daemon.kill();
    },
    async killShip() {
      await ship.kill();
      ship = await startShip(owner, first);
    },
    async stop(sent) {
      const exit = await daemon.stop();
      // Once it was told the last record, it sends that too.
      await sent?.();
      assert.deepEqual(await ship.stop(), { code: 0, signal: null });
      isShipping = false;
      return exit;
    },
    async start() {
      const config = readFileSync(first.configFile, 'utf8');
      daemon = await startDaemon(owner, { config, folder: first.folder });
      if (!isShipping) ship = await startShip(owner, first);
      isShipping = true;
    },
    async lag() {
      const { body } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics');
      const found = /^dovegate_audit_ship_lag_records\{[^}]*\} (\d+)$/m.exec(body)?.[1];
      assert.ok(found !== undefined, body);
      return Number(found);
    },
    async state() {
      const { body } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/status.json');
      return String(JSON.parse(body).shipping[0].state);
    },
    async untilShipped() {
      const isNear = async (): Promise<boolean> => (await gate.lag()) < 500;
      await until(isNear, () => `records arrive\n${ship.output().slice(-4000)}`, 300_000);
    },
    async catchUp(ms = 300_000) {
      const beganMs = performance.now();
      // Nothing is behind, twice: records of the last answers may not have been on disk yet.
      for (let left = 2; left > 0; left -= 1) {
        await until(
          async () => (await gate.lag()) === 0,
          () => `no lag\n${ship.output().slice(-4000)}`,
          ms,
        );
        if (left > 1) await new Promise((resolve) => setTimeout(resolve, 200));
      }
      return Math.round(performance.now() - beganMs);
    },
    journal() {
      const directory = first.path('audit');
      const segments = segmentFiles(directory).map((file) => {
        const bytes = readFileSync(join(directory, file));
        return file.endsWith('.gz') ? gunzipSync(bytes) : bytes;
      });
      return Buffer.concat(segments);
    },
  };
  return gate;
}

/** Fails with the first line that differs, instead of megabytes. */
export function assertSameLines(stored: Buffer, journal: Buffer): void {
  if (stored.equals(journal)) return;
  const [there, here] = [stored, journal].map((bytes) => bytes.toString('utf8').split('\n'));
  const at = here?.findIndex((line, index) => line !== there?.[index]) ?? 0;
  assert.fail(
    `the store has ${(there?.length ?? 0) - 1} lines, the journal ${(here?.length ?? 0) - 1}; line ${at + 1} is\n` +
      `${there?.[at]?.slice(0, 200) ?? 'absent'}\nand not\n${here?.[at]?.slice(0, 200) ?? 'absent'}`,
  );
}
