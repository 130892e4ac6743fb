// Goal: every record reaches a real rsyslog, whatever goes away in between. Phases, under load all the time: rsyslog stopped and started;
// the daemon killed and started; dovegate ship killed and started; rsyslog stopped, both killed, all started; an end in order. What must
// not happen: a record that rsyslog never wrote, an order that the overlap does not explain, a file of its that does not verify, a command
// that waits.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { type Daemon, startDaemon, startShip } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { openRsyslog, type Rsyslog } from '../../kit/gate/rsyslog-lab.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp, type Got } from '../../kit/plain/ask-http.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';
import { readMessage } from '../../ship/shipping/rfc5424.js';

const authority = makeAuthority({ name: 'shipping authority' });
const shown = authority.issue({ names: ['gate1.example.com'], client: true });
const signKey = makeSignKey();
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const quota = { user: 'alice@example.org', fields: ['quota get'] };

/** Clients that run commands one after the other until they are told to stop, or their daemon is gone. */
function openLoad(
  path: string,
  clients: number,
): { readonly counts: { done: number }; end(): Promise<void> } {
  const counts = { done: 0 };
  const stop = new AbortController();
  const running = Array.from({ length: clients }, async () => {
    try {
      const client = await openRawClient({ path, minor: 2 });
      while (!stop.signal.aborted) {
        client.sendCommand(quota);
        assert.equal((await client.readReply()).status, '+');
        counts.done += 1;
        // What else runs on the machine gets its turn.
        await new Promise((resolve) => setTimeout(resolve, 4));
      }
      client.close();
    } catch (error) {
      // A daemon that was killed; whatever else it is shows in the counts.
      if (!stop.signal.aborted && error instanceof assert.AssertionError) throw error;
    }
  });
  return {
    counts,
    async end() {
      stop.abort();
      await Promise.all(running);
    },
  };
}

/** Seqs of what rsyslog has written so far. */
function receivedSeqs({ file }: Rsyslog): number[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const { seq } = JSON.parse(line);
      return Number(seq);
    });
}

function lastSeq(daemon: Daemon): number {
  return Number(daemon.audit().at(-1)?.record['seq']);
}

void test('every record reaches a real rsyslog: stopped, killed and restarted under load', {
  timeout: 300_000 + rounds * 300_000,
}, async (t) => {
  const rsyslog = await openRsyslog(t, authority, ['gate1.example.com']);
  if ('skip' in rsyslog) return t.skip(rsyslog.skip);
  const first = await begin(t, rsyslog);
  let { daemon, ship, load } = first;
  let commands = 0;
  const caughtUpMs: number[] = [];
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  let connections = 0;
  const countConnections = (): void => {
    connections += ship.logs.filter(({ event }) => event === 'ship-connected').length;
  };
  const killDaemon = async (): Promise<void> => {
    await daemon.kill();
    await load.end();
    commands += load.counts.done;
  };
  const startAgain = async (): Promise<void> => {
    daemon = await startDaemon(t, { config: readFileSync(daemon.configFile, 'utf8'), folder: daemon.folder });
    load = openLoad(daemon.path('support.sock'), 4);
  };
  const killShip = async (): Promise<void> => {
    await ship.kill();
    countConnections();
  };
  /** Everything that is on disk now has come. */
  const catchUp = async (): Promise<void> => {
    const behind = lastSeq(daemon);
    const hasCaughtUp = (): boolean => (receivedSeqs(rsyslog).at(-1) ?? 0) >= behind;
    const beganMs = performance.now();
    await until(
      hasCaughtUp,
      () => `${behind}\n${daemon.output()}\n${ship.output()}\n${rsyslog.output()}`,
      300_000,
    );
    caughtUpMs.push(Math.round(performance.now() - beganMs));
  };

  for (let round = 0; round < rounds; round += 1) {
    // rsyslog goes away in order, and comes back after a while.
    await pause(1000);
    await catchUp();
    const told = ship.logs.length;
    await rsyslog.stop();
    await until(
      () => ship.logs.slice(told).some(({ event }) => event === 'ship-away'),
      () => ship.output(),
    );
    const { done } = load.counts;
    await until(
      () => load.counts.done > done + 100,
      () => 'commands do not run on while the receiver is away',
    );
    await rsyslog.start();
    await catchUp();
    // The daemon is killed while rsyslog is there.
    await killDaemon();
    await startAgain();
    await pause(500);
    await killShip();
    ship = await startShip(t, daemon);
    await pause(500);
    // Both are killed while rsyslog is away, and all come back.
    await rsyslog.stop();
    await pause(500);
    await killDaemon();
    await killShip();
    await rsyslog.start();
    ship = await startShip(t, daemon);
    await startAgain();
  }
  await pause(500);
  await load.end();
  commands += load.counts.done;
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  // A stop does not wait for a receiver longer than its time.
  await catchUp();
  assert.deepEqual(await ship.stop(), { code: 0, signal: null });
  countConnections();
  const written = daemon.audit().map(({ text }) => text);
  await rsyslog.stop();

  const received = readFileSync(rsyslog.file, 'utf8').split('\n').slice(0, -1);
  const stored = new Set(received);
  assert.deepEqual(
    written.filter((line) => !stored.has(line)),
    [],
    'every record of the journal is in the file of rsyslog',
  );
  const own = new Set(written);
  assert.deepEqual(
    received.filter((line) => !own.has(line)),
    [],
    'and nothing else, byte for byte',
  );
  // Each step back begins an overlap: behind it everything comes again, in order, up to where it was and on.
  const seqs = receivedSeqs(rsyslog);
  const steps = seqs.filter((seq, at) => at > 0 && seq !== (seqs[at - 1] ?? 0) + 1);
  const back = seqs.filter((seq, at) => at > 0 && seq <= (seqs[at - 1] ?? 0));
  assert.deepEqual(steps, back, 'no step forward leaves anything out');
  // A connection is logged a moment after it is made. Up to four in each round may end before that.
  const most = connections + 4 * rounds;
  assert.ok(back.length < most, `${back.length} steps back with ${connections} connections`);

  const key = join(daemon.folder, 'public.key');
  writeFileSync(key, signKey.key);
  for (const file of [rsyslog.file, rsyslog.messages]) {
    const verified = await runWarm(['audit', 'verify', '--received', '--key', key, '--json', file]);
    assert.equal(verified.exit, 0, verified.text);
    const told = JSON.parse(verified.stdout.toString());
    assert.deepEqual(
      [told.passed, told.records, told.first_seq, told.last_seq, told.copies, told.others],
      [true, written.length, 1, written.length, received.length - written.length, 0],
      verified.text,
    );
  }
  const messages = readFileSync(rsyslog.messages).toString('latin1').split('\n').slice(0, -1);
  for (const [at, line] of messages.entries()) {
    const { facility, appName, data, text } = readMessage(Buffer.from(line, 'latin1'));
    assert.deepEqual(
      [facility, appName, data.get('dovegate@32473')?.get('seq'), text.toString()],
      [13, 'dovegate', String(seqs[at]), received[at]],
    );
  }
  t.diagnostic(
    `rsyslog ${rsyslog.version}, rounds: ${rounds}; ${written.length} records, ${received.length - written.length} sent again in ` +
      `${back.length} overlaps; caught up in ${caughtUpMs.join(', ')} ms; ${commands} commands`,
  );
});

/** Asks the daemon's admin socket. */
const ask = (daemon: Daemon, path: string): Promise<Got> =>
  askHttp({ socketPath: daemon.path('admin.sock') }, path);

void test('a receiver that does not know us: told, shown in lag and status, and no command waits for it', async (t) => {
  const rsyslog = await openRsyslog(t, authority, ['gate2.example.com']);
  if ('skip' in rsyslog) return t.skip(rsyslog.skip);
  const { daemon, ship, load } = await begin(t, rsyslog);
  const away = await ship.waitForLog(({ event }) => event === 'ship-away', 'that the receiver is away');
  assert.equal(away['type'], 'closed-early');
  const { done } = load.counts;
  await until(
    () => load.counts.done > done + 10,
    () => daemon.output(),
  );
  await load.end();
  assert.equal((await ask(daemon, '/readyz')).status, 200);
  const sinkNow = async () => JSON.parse((await ask(daemon, '/status.json')).body).shipping[0];
  await until(async () => (await sinkNow()).state === 'away', 'it is shown');
  const sink = await sinkNow();
  assert.deepEqual(
    [sink.name, sink.safe_seq, sink.fault.code],
    [`127.0.0.1:${rsyslog.port}`, 0, 'closed-early'],
  );
  const metrics = (await ask(daemon, '/metrics')).body;
  assert.match(metrics, /^dovegate_audit_ship_lag_records\{sink="127\.0\.0\.1:\d+"\} \d+$/m);
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  assert.deepEqual(await ship.stop(), { code: 0, signal: null });
  assert.deepEqual(receivedSeqs(rsyslog), []);
});

async function begin(t: TestContext, rsyslog: Rsyslog) {
  const sink = `{ syslog: "127.0.0.1:${rsyslog.port}", server_name: localhost, ca: ca.pem, certificate: gate.pem, key: gate.key }`;
  const { daemon } = await openGateway(t, {
    authority,
    audit: `{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, segment: 256KiB, sign_key: sign.pem, checkpoint_interval: 1s, ship: [${sink}] }`,
    more: 'admin: { unix: admin.sock }',
    files: { 'gate.pem': shown.certificatePem, 'gate.key': shown.keyPem, 'sign.pem': signKey.secretPem },
  });
  return { daemon, ship: await startShip(t, daemon), load: openLoad(daemon.path('support.sock'), 4) };
}
