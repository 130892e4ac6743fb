// Goal: every record reaches a real rsyslog, whatever goes away in between. Phases, under load all the time: shipping; rsyslog
// stopped and started; the daemon killed and started; both stopped in order. What must not happen: a seq that rsyslog never
// wrote, an order that only the overlap does not explain, a file of rsyslog's that does not verify, a command that waits.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeSignKey } from '../../src/audit/signature.js';
import { makeAuthority } from '../kit/certificates.js';
import { type Daemon, runDovegate, startDaemon } from '../kit/daemon.js';
import { openGateway } from '../kit/gateway.js';
import { openRawClient } from '../kit/raw-client.js';
import { openRsyslog, type Rsyslog } from '../kit/rsyslog-lab.js';

const authority = makeAuthority({ name: 'shipping authority' });
const shown = authority.issue({ names: ['gate1.example.com'], client: true });
const signKey = makeSignKey();
const quota = { user: 'alice@example.org', fields: ['quota get'] };

/** Clients that run commands one after the other until they are told to stop, or their daemon is gone. */
function openLoad(
  path: string,
  clients: number,
): { readonly counts: { done: number; slowestMs: number }; end(): Promise<void> } {
  const counts = { done: 0, slowestMs: 0 };
  const stop = new AbortController();
  const running = Array.from({ length: clients }, async () => {
    try {
      const client = await openRawClient({ path, minor: 2 });
      while (!stop.signal.aborted) {
        const beganMs = performance.now();
        client.sendCommand(quota);
        assert.equal((await client.readReply()).status, '+');
        counts.done += 1;
        counts.slowestMs = Math.max(counts.slowestMs, performance.now() - beganMs);
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

async function until(isTrue: () => boolean, what: () => string, ms = 30_000): Promise<number> {
  const beganMs = performance.now();
  while (!isTrue()) {
    if (performance.now() - beganMs > ms) throw new Error(`after ${ms} ms: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - beganMs;
}

function lastSeq(daemon: Daemon): number {
  return Number(daemon.audit().at(-1)?.record['seq']);
}

void test('every record reaches a real rsyslog: stopped, killed and restarted under load', {
  timeout: 120_000,
}, async (t) => {
  const rsyslog = await openRsyslog(t, authority, ['gate1.example.com']);
  if ('skip' in rsyslog) return t.skip(rsyslog.skip);
  const { daemon, load } = await begin(t, rsyslog);
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  await pause(1500);
  await until(
    () => receivedSeqs(rsyslog).length > 100,
    () => `${daemon.output()}\n${rsyslog.output()}`,
  );

  // rsyslog goes away in order, and comes back after a while.
  await rsyslog.stop();
  await daemon.waitForLog(({ event }) => event === 'ship-away', 'that the receiver is away');
  const doneBefore = load.counts.done;
  await pause(1500);
  assert.ok(load.counts.done > doneBefore, 'commands run on while the receiver is away');
  await rsyslog.start();
  const behind = lastSeq(daemon);
  const caughtUpMs = await until(
    () => (receivedSeqs(rsyslog).at(-1) ?? 0) >= behind,
    () => daemon.output(),
  );

  // The daemon is killed, and rsyslog stopped with it; both come back.
  await daemon.kill();
  await load.end();
  await rsyslog.stop();
  await rsyslog.start();
  const again = await startDaemon(t, {
    config: readFileSync(daemon.configFile, 'utf8'),
    folder: daemon.folder,
  });
  const secondLoad = openLoad(again.path('support.sock'), 4);
  await pause(1500);
  await secondLoad.end();
  assert.deepEqual(await again.stop(), { code: 0, signal: null });
  const written = again.audit().map(({ text }) => text);
  await rsyslog.stop();

  const seqs = receivedSeqs(rsyslog);
  const missing = written.map((_, at) => at + 1).filter((seq) => !new Set(seqs).has(seq));
  assert.deepEqual(missing, [], 'every record of the journal is in the file of rsyslog');
  // Each step back is an overlap: behind it everything comes again, in order, up to where it was and on.
  const steps = seqs.filter((seq, at) => at > 0 && seq !== (seqs[at - 1] ?? 0) + 1);
  const back = seqs.filter((seq, at) => at > 0 && seq <= (seqs[at - 1] ?? 0));
  assert.deepEqual(
    steps.filter((seq) => !back.includes(seq)),
    [],
    'no step forward leaves anything out',
  );
  const received = readFileSync(rsyslog.file, 'utf8').split('\n').slice(0, -1);
  const own = new Set(written);
  assert.ok(
    received.every((line) => own.has(line)),
    'records are stored byte for byte',
  );

  const key = join(daemon.folder, 'public.key');
  writeFileSync(key, signKey.key);
  const verified = await runDovegate(['audit', 'verify', '--received', '--key', key, '--json', rsyslog.file]);
  assert.equal(verified.exit, 0, verified.text);
  const told = JSON.parse(verified.stdout.toString());
  assert.deepEqual(
    [told.passed, told.records, told.first_seq, told.last_seq, told.others],
    [true, written.length, 1, written.length, 0],
    verified.text,
  );
  t.diagnostic(
    `rsyslog ${rsyslog.version}: ${written.length} records, ${received.length - written.length} sent twice, ${back.length} steps back; ` +
      `after its return caught up in ${Math.round(caughtUpMs)} ms; ${load.counts.done + secondLoad.counts.done} commands, the slowest ${Math.round(load.counts.slowestMs)} ms`,
  );
});

/** Asks the daemon's admin socket. */
function ask(daemon: Daemon, path: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: daemon.path('admin.sock'), path, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asked.on('error', reject).end();
  });
}

void test('a receiver that does not know us: told, shown in lag and status, and no command waits for it', async (t) => {
  const rsyslog = await openRsyslog(t, authority, ['gate2.example.com']);
  if ('skip' in rsyslog) return t.skip(rsyslog.skip);
  const { daemon, load } = await begin(t, rsyslog);
  const away = await daemon.waitForLog(({ event }) => event === 'ship-away', 'that the receiver is away');
  assert.equal(away['type'], 'closed-early');
  const { done } = load.counts;
  await until(
    () => load.counts.done > done + 10,
    () => daemon.output(),
  );
  await load.end();
  assert.equal((await ask(daemon, '/readyz')).status, 200);
  const { body } = await ask(daemon, '/status.json');
  const [sink] = JSON.parse(body).shipping;
  assert.deepEqual([sink.sink, sink.state, sink.safe_seq], [`127.0.0.1:${rsyslog.port}`, 'away', 0]);
  const metrics = (await ask(daemon, '/metrics')).body;
  assert.match(metrics, /^dovegate_audit_ship_lag_records\{sink="127\.0\.0\.1:\d+"\} \d+$/m);
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  assert.deepEqual(receivedSeqs(rsyslog), []);
});

async function begin(t: TestContext, rsyslog: Rsyslog) {
  const sink = `{ syslog: "127.0.0.1:${rsyslog.port}", server_name: localhost, ca: ca.pem, certificate: gate.pem, key: gate.key }`;
  const { daemon } = await openGateway(t, {
    authority,
    audit: `{ directory: audit, reserve: 4KiB, segment: 256KiB, sign_key: sign.pem, checkpoint_interval: 1s, ship: [${sink}] }`,
    more: 'admin: { unix: admin.sock }',
    files: { 'gate.pem': shown.certificatePem, 'gate.key': shown.keyPem, 'sign.pem': signKey.secretPem },
  });
  return { daemon, load: openLoad(daemon.path('support.sock'), 4) };
}
