// Goal: a gate that is opened in a process that is not its own serves, is reloaded, and leaves nothing open. A phase that fails closes
// what the phases before it had opened, and another gate goes on.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { backendPassword, configurationOf } from '../../kit/gate/gateway.js';
import { openOwnGate } from '../../kit/gate/own-gate.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { readAudit } from '../../kit/plain/traces.js';
import { until } from '../../kit/plain/until.js';

async function openBackend(t: TestContext) {
  const authority = makeAuthority({ name: 'authority of a gate' });
  const certificate = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const backend = await openScriptedDovecot({ tls: 'starttls', certificate, password: backendPassword });
  t.after(() => backend.close());
  const files = { 'ca.pem': authority.certificatePem, 'mail1.password': `${backendPassword}\n` };
  return { config: configurationOf(backend.address, {}), files };
}

const quotaGet = { user: 'alice@example.org', fields: ['quota get'] };

async function statusOf(folder: string): Promise<string> {
  const client = await openRawClient({ path: join(folder, 'support.sock'), minor: 2 });
  const { status } = await client.ask(quotaGet);
  client.close();
  return status;
}

void test('a gate in this process serves, is reloaded, and leaves nothing open', async (t) => {
  // What runs for a moment only (closing, reading a file) does not count.
  const lasting = /^(?:TCPServerWrap|TCPSocketWrap|PipeWrap|ProcessWrap|MessagePort|Timeout)$/;
  const handles = (): string =>
    process
      .getActiveResourcesInfo()
      .filter((kind) => lasting.test(kind))
      .toSorted()
      .join(' ');
  const { config, files } = await openBackend(t);
  const before = handles();
  const { gate, folder, close } = await openOwnGate(t, { config, files });
  assert.equal(gate.lifecycle.at, 'serving');
  assert.equal(await statusOf(folder), '+');
  const reloaded = await gate.reloader.reload({ by: 'the test' });
  assert.ok(reloaded.isSuccess);
  assert.equal(await statusOf(folder), '+');
  assert.deepEqual(await close(), { code: 0, isHanging: false });
  assert.ok(!existsSync(join(folder, 'support.sock')));
  const events = readAudit(join(folder, 'audit')).map(({ record }) => record['event']);
  const kinds = ['start', 'admission', 'completion', 'reload', 'stop'];
  assert.deepEqual(
    events.filter((event) => kinds.includes(String(event))),
    ['start', 'admission', 'completion', 'reload', 'admission', 'completion', 'stop'],
  );
  await until(
    () => handles() === before,
    () => `no more than ${before}; there are ${handles()}`,
  );
});

void test('a gate whose journal another one has is closed again, and the other one serves on', async (t) => {
  const { config, files } = await openBackend(t);
  const first = await openOwnGate(t, { config, files });
  const other = config.replace('support.sock', 'other.sock');
  await assert.rejects(openOwnGate(t, { config: other, folder: first.folder }), /audit/);
  assert.ok(!existsSync(join(first.folder, 'other.sock')));
  assert.equal(await statusOf(first.folder), '+');
});

void test('a listener that cannot be opened: no socket stays, and the journal says when it stopped', async (t) => {
  const { config, files } = await openBackend(t);
  const { folder, close } = await openOwnGate(t, { config, files });
  await close();
  const listeners = `listeners:
  support: { unix: support.sock, mode: "0600", policy: support }
  none: { unix: none/of/these.sock, mode: "0600", policy: support }`;
  const broken = config.replace(/listeners:\n.*/, listeners);
  await assert.rejects(openOwnGate(t, { config: broken, folder }), /none/);
  assert.ok(!existsSync(join(folder, 'support.sock')));
  const events = readAudit(join(folder, 'audit')).map(({ record }) => record['event']);
  assert.deepEqual(
    events.filter((event) => event === 'start' || event === 'stop'),
    ['start', 'stop', 'start', 'stop'],
  );
});
