// Goal: a real Prometheus, the distribution's package, scrapes the daemon over TLS with a token, and no client can make it hold more.
// Phases: a scrape; hostile commands of a thousand names; another scrape. What must not happen: a scrape that fails, a series that a client
// made.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { authority, filesOf } from '../../kit/gate/tcp-gate.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { endBefore, openFolder } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { ends, runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { rulesFile } from './expressions.js';

const setup = fileURLToPath(new URL('test/whole/prometheus/setup', projectRoot));
const commands = 1_000 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

async function fetchText(port: number, path: string): Promise<string> {
  return (await askHttp({ host: '127.0.0.1', port }, path)).body;
}

/** The one number that a query gives; undefined: there is none (yet). */
async function query(port: number, text: string): Promise<number | undefined> {
  const answer = await fetchText(port, `/api/v1/query?query=${encodeURIComponent(text)}`).catch(() => '');
  const value = /"value":\[[^,]+,"([^"]+)"\]/.exec(answer)?.[1];
  return value === undefined ? undefined : Number(value);
}

test('a real Prometheus scrapes it, and the number of series stays', { timeout: 1_800_000 }, async (t) => {
  if (process.getuid?.() !== 0) {
    const why = 'Prometheus is installed by root only';
    assert.notEqual(process.env['DOVEGATE_NO_SKIP'], '1', why);
    return t.skip(why);
  }
  const env = { DOVEGATE_LABS: process.env['DOVEGATE_LABS'] ?? join(tmpdir(), 'dovegate-labs') };
  const installed = await ends(0, runProgram('bash', [setup], { env, timeoutMs: 10 * 60_000 }));

  const [metrics = 0, own = 0] = await freePorts(2);
  const token = 'a-token-that-nobody-guesses';
  const secured = 'tls: { certificate: gate.crt, key: gate.key }, token_file: token';
  const { client, daemon } = await openGateway(t, {
    more: `admin: { tcp: "0.0.0.0:${metrics}", ${secured} }`,
    files: { ...filesOf(authority), token },
  });
  const folder = openFolder(t);
  writeFileSync(join(folder, 'ca.pem'), authority.certificatePem);
  mkdirSync(join(folder, 'data'));
  const file = join(folder, 'prometheus.yml');
  writeFileSync(
    file,
    `global: { scrape_interval: 1s }
rule_files: [${rulesFile}]
scrape_configs:
  - job_name: dovegate
    scheme: https
    authorization: { credentials_file: ${daemon.path('token')} }
    tls_config: { ca_file: ca.pem, server_name: localhost }
    static_configs: [{ targets: ["127.0.0.1:${metrics}"] }]
  - job_name: stranger
    scheme: https
    tls_config: { ca_file: ca.pem, server_name: localhost }
    static_configs: [{ targets: ["127.0.0.1:${metrics}"] }]
`,
  );
  const places = [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'data')}`];
  const words = [...places, `--web.listen-address=127.0.0.1:${own}`];
  const prometheus = spawn('/usr/bin/prometheus', words, { stdio: 'ignore' });
  // Before its folder goes: it writes there, and a hook that cannot remove the folder keeps the next ones from ending it.
  endBefore(folder, async () => {
    if (prometheus.exitCode !== null || prometheus.signalCode !== null) return;
    const ended = once(prometheus, 'exit');
    prometheus.kill();
    await ended;
  });
  const until = async (what: string, isTrue: () => Promise<boolean>): Promise<void> => {
    for (const startMs = performance.now(); !(await isTrue()); ) {
      assert.ok(performance.now() - startMs < 300_000, `no ${what} in time`);
      await pause(200);
    }
  };
  const series = 'count({job="dovegate"})';
  const exchanges = 'sum(dovegate_exchanges_total)';

  const one = await client();
  let asked = 0;
  const ask = async (user: string, ...fields: string[]): Promise<void> => {
    asked += 1;
    one.sendCommand({ user, fields });
    await one.readReply();
  };
  // What everybody does once, so that what is counted for it is there.
  await ask('alice@example.org', 'quota get');
  for (let n = 0; n < 2 * bounds.floodBurst; n += 1) await ask('alice@example.org', 'no such command');
  await ask('alice@example.org', 'mailbox delete', 'x');
  await until('scrape', async () => (await query(own, 'up{job="dovegate"}')) === 1);
  await until('exchange', async () => ((await query(own, exchanges)) ?? 0) >= asked);
  // Each job begins at a moment of its own within the interval.
  const stranger = 'up{job="stranger"}';
  await until('scrape without the token', async () => (await query(own, stranger)) !== undefined);
  assert.equal(await query(own, stranger), 0, 'without the token');
  // A scrape that took longer than a second, on a machine that is busy, has no series but those of Prometheus itself.
  const has = async (text: string, value: number): Promise<void> =>
    until(`${text} of ${value}`, async () => (await query(own, text)) === value);
  let before: number | undefined;
  await until('whole scrape', async () => {
    before = await query(own, series);
    return before !== undefined && before > 20;
  });
  await has('dovegate_backend_up', 1);
  await has('dovegate_audit_writable', 1);
  await has('dovegate_audit_lost_total', 0);
  for (let n = 0; n < commands; n += 1) {
    await ask(`user${n}@example${n}.org`, `command ${n}`, `--option-${n}=${'x'.repeat(n % 50)}`);
  }
  await until('the last command', async () => ((await query(own, exchanges)) ?? 0) >= asked);
  await has(series, before ?? 0);
  t.diagnostic(
    `Prometheus ${installed.stdout.toString().trim()}: ${before} series before and after ${commands} hostile commands`,
  );
  await daemon.stop();
});
