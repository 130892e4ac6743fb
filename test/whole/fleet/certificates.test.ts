// Goal: before a certificate on the way to the stream ends, everybody who looks is warned, on a real server whose certificates end in five
// days: the gate by the log of the process that ships, by metrics, problems, check and doctor; the verifier by verify, watch and status.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { signKey, writeJournal } from '../../evidence/cli/shown.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import { openNatsServer } from '../../kit/gate/nats.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { endBefore } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';
import { fill, openDesk, readLines, skipOf } from './fleet-lab.js';
import { openFleetGate } from './gate.js';

const day = 86_400;

/** Days left by role, as metrics say. */
function daysIn(metrics: string, name: string): Readonly<Record<string, number>> {
  const pattern = new RegExp(`^${name}\\{role="([^"]+)",name="([^"]+)"\\} (\\S+)$`, 'gm');
  return Object.fromEntries(
    [...metrics.matchAll(pattern)].map(([, role, place, left]) => [
      `${role} ${place}`,
      Math.round(Number(left) / day),
    ]),
  );
}

void test('certificates that end in five days', { timeout: 600_000 }, async (t) => {
  const notAfter = new Date(Date.now() + 5 * day * 1000 + 3_600_000);
  const nats = await openNatsServer(t, { gates: ['gate1', 'gate2'], users: 'certificates', notAfter });
  if (skipOf(t, nats)) return;
  const place = `127.0.0.1:${nats.port}`;
  await fill(nats, { gate2: readLines(await writeJournal(t)) });

  await t.test('the gate', async () => {
    const gate = await openFleetGate(t, nats, { host: 'gate1' });
    const admin = { socketPath: gate.daemon.path('admin.sock') };
    const days = async () =>
      daysIn((await askHttp(admin, '/metrics')).body, 'dovegate_certificate_expiry_seconds');
    await until(async () => (await days())[`receiver ${place}`] !== undefined, 'the server showed it');
    assert.deepEqual(await days(), { [`receiver ${place}`]: 5, [`receiver-client ${place}`]: 5 });
    const told = gate.ship
      .output()
      .split('\n')
      .filter((line) => line.includes('"certificate-expires"'))
      .map((line): Readonly<Record<string, unknown>> => JSON.parse(line));
    assert.deepEqual(
      [told[0]?.['level'], told[0]?.['sink'], told[0]?.['text']],
      ['warn', place, 'the certificate that is shown to the server expires in 5 days'],
    );
    const check = await runWarm(['check', '--config', gate.daemon.configFile]);
    assert.match(
      check.text,
      /warning: audit\.ship\[0\]\.certificate: \S+fleet-certificate: the certificate that is shown to the server expires in 5 days/,
    );
    const doctor = await runWarm(['doctor', '--config', gate.daemon.configFile]);
    assert.match(
      doctor.text,
      new RegExp(`stream server ${place}.*; the certificate of the server expires in 5 days`),
    );
    assert.match(
      doctor.text,
      /fleet-certificate: the certificate that is shown to the server expires in 5 days/,
    );
    await gate.stop();
  });

  await t.test('the verifier', async () => {
    const [port = 0] = await freePorts(1);
    const hosts = { gate2: { key: signKey.key, silent_after: '1h' } };
    const desk = openDesk(nats, hosts, 'verifier', `127.0.0.1:${port}`);
    const verified = await desk.run('verify');
    const sentences = [
      `${place}: the certificate of the server expires in 5 days`,
      `${place}: the certificate that is shown to the server expires in 5 days`,
    ];
    for (const sentence of sentences) assert.ok(verified.stderr.includes(sentence), verified.text);
    const shown = await desk.run('status');
    for (const sentence of sentences) assert.ok(shown.text.includes(sentence), shown.text);

    const child = spawn(
      process.execPath,
      [builtProgram, 'audit', 'fleet', 'watch', '--config', desk.config],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const ended = new Promise((resolve) => {
      child.once('close', resolve);
    });
    endBefore(nats.folder, () => {
      child.kill('SIGKILL');
      return ended;
    });
    const name = 'dovegate_fleet_certificate_expiry_seconds';
    const days = async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/metrics`).catch(() => undefined);
      return daysIn((await answer?.text()) ?? '', name);
    };
    await until(async () => Object.keys(await days()).length === 2, 'both are known');
    assert.deepEqual(await days(), { [`server ${place}`]: 5, [`client ${place}`]: 5 });
    const [told] = output
      .split('\n')
      .filter((line) => line.includes('"certificate-expires"'))
      .map((line): Readonly<Record<string, unknown>> => JSON.parse(line));
    assert.deepEqual([told?.['level'], told?.['name']], ['warn', place]);
    const ends = notAfter.toISOString().slice(0, 19);
    await until(() => {
      const { certificates } = JSON.parse(readFileSync(join(desk.state, 'status.json'), 'utf8'));
      return (
        JSON.stringify(certificates) ===
        JSON.stringify([
          { role: 'server', name: place, ends: `${ends}.000Z` },
          { role: 'client', name: place, ends: `${ends}.000Z` },
        ])
      );
    }, 'the status has them');
    child.kill('SIGTERM');
    assert.equal(await ended, 0);
  });
});
