// Goal: what a TCP listener shows and demands may change while it serves. Phases: certificates by SIGHUP, whole, half and broken; by
// themselves when the files change; the authorities of clients; the way TLS begins, and who has an account; a port that is taken. What must
// not happen: a session that a new certificate of ours ends, or that goes on when its own authority is gone; a listener that shows nothing,
// a socket that is closed in between.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { type Authority, makeAuthority } from '../kit/certificates.js';
import { runDovegate } from '../kit/daemon.js';
import { listenHere } from '../kit/free-ports.js';
import { auditRecords } from '../kit/gateway.js';
import { openRawClient } from '../kit/raw-client.js';
import { filesOf, hash, isServed, openGate, password } from '../kit/tcp-gate.js';
import { until } from '../kit/until.js';

test('certificates change under live sessions: by SIGHUP, and by themselves', {
  timeout: 300_000,
}, async (t) => {
  const gate = await openGate(t);
  const { daemon } = gate;
  const count = (event: string): number => daemon.logs.filter((each) => each['event'] === event).length;
  const reload = async (event: string): Promise<void> => {
    const before = count(event);
    daemon.signal('SIGHUP');
    await daemon.waitForLog(() => count(event) > before, event);
  };
  const first = await gate.login();
  assert.ok(await isServed(first));

  // By SIGHUP, all or nothing: half of a pair is none.
  const second = makeAuthority({ name: 'second' });
  const files = filesOf(second);
  daemon.write('gate.crt', files['gate.crt'] ?? '');
  await reload('reload-failed');
  assert.ok(await isServed(await gate.login()));
  daemon.write('gate.key', files['gate.key'] ?? '');
  await reload('reloaded');
  await assert.rejects(gate.login());
  assert.ok(await isServed(await gate.login({ ca: second.certificatePem })));
  assert.ok(await isServed(first));

  // By themselves.
  const kept = count('certificate-kept');
  daemon.write('gate.crt', 'broken');
  await daemon.waitForLog(() => count('certificate-kept') > kept, 'the old one is kept');
  assert.ok(await isServed(await gate.login({ ca: second.certificatePem })));
  const third = makeAuthority({ name: 'third' });
  for (const [name, text] of Object.entries(filesOf(third))) daemon.write(name, text);
  const isThird = (): Promise<boolean> =>
    gate.login({ ca: third.certificatePem }).then(isServed, () => false);
  await until(isThird, 'the third one');
  assert.ok(count('certificate-replaced') > 0);
  assert.ok(await isServed(first));
});

test('who came by a certificate goes when one of its authorities does, and not before; passwords stay', {
  timeout: 300_000,
}, async (t) => {
  const [old, fresh] = [makeAuthority({ name: 'old' }), makeAuthority({ name: 'fresh' })];
  const gate = await openGate(
    t,
    {
      tls: '{ certificate: gate.crt, key: gate.key, client_ca: clients.crt }',
      accounts: `{ migrator: { password_hash: "${hash}", policy: support }, backup: { certificate_name: backup.example.com, policy: support } }`,
    },
    '',
    { 'clients.crt': old.certificatePem },
  );
  const { daemon } = gate;
  const trust = (...authorities: readonly Authority[]): void =>
    daemon.write('clients.crt', authorities.map(({ certificatePem }) => certificatePem).join(''));
  const reload = async (): Promise<void> => {
    const done = daemon.logs.length;
    daemon.signal('SIGHUP');
    await daemon.waitForLog(
      (record) => record['event'] === 'reloaded' && daemon.logs.indexOf(record) >= done,
      'reloaded',
    );
  };
  const loginBy = (by: Authority) =>
    gate.login({
      timeoutMs: 120_000,
      certificate: by.issue({ names: ['backup.example.com'], client: true }),
      auth: { user: 'backup', password: '' },
    });
  const first = await loginBy(old);
  const byPassword = await gate.login();
  await reload();
  assert.ok(await isServed(first));
  // As authorities are replaced: both for a while, then the new one.
  trust(old, fresh);
  await reload();
  const second = await loginBy(fresh);
  assert.ok((await isServed(first)) && (await isServed(second)));
  trust(fresh);
  await reload();
  await Promise.all([first.readEnd(), second.readEnd()]);
  await assert.rejects(loginBy(old));
  const third = await loginBy(fresh);
  assert.ok((await isServed(third)) && (await isServed(byPassword)));
  // Without a reload.
  trust(old);
  await third.readEnd();
  await daemon.waitForLog(({ event }) => event === 'certificate-replaced', 'certificate-replaced');
  assert.ok((await isServed(await loginBy(old))) && (await isServed(byPassword)));
  const ended = (): unknown[] =>
    auditRecords(daemon)
      .filter(({ event, reason }) => event === 'session-close' && reason === 'revoked')
      .map(({ principal }) => principal);
  await until(() => ended().length >= 3, 'the records of those who went');
  assert.deepEqual(ended(), ['backup@jobs', 'backup@jobs', 'backup@jobs']);
});

test('a reload changes how TLS begins, and who has an account; a port that is taken is told, and 78 at a start', async (t) => {
  const gate = await openGate(t);
  const { daemon } = gate;
  const before = await gate.login();
  const blocked = net.createServer();
  const port = await listenHere(blocked);
  t.after(() => void blocked.close());
  // A reload keeps what is served.
  const taken = gate.listenersWith({ tcp: `"127.0.0.1:${port}"` });
  daemon.write('dovegate.yaml', gate.configuration({ listeners: taken }));
  daemon.signal('SIGHUP');
  await daemon.waitForLog(
    ({ event, text }) => event === 'reload-failed' && String(text).includes('another process listens there'),
    'reload-failed',
  );
  assert.ok((await isServed(before)) && (await isServed(await gate.login())));

  // The way TLS begins, and who has an account, without a gap.
  const reload = async (keys: Readonly<Record<string, string>>): Promise<void> => {
    const done = daemon.logs.length;
    daemon.write('dovegate.yaml', gate.configuration({ listeners: gate.listenersWith(keys) }));
    daemon.signal('SIGHUP');
    await daemon.waitForLog(
      (record) => record['event'] === 'reloaded' && daemon.logs.indexOf(record) >= done,
      'reloaded',
    );
  };
  const implicit = '{ mode: implicit, certificate: gate.crt, key: gate.key }';
  await reload({ tls: implicit });
  assert.ok(await isServed(await gate.login({ tls: 'implicit' })));
  assert.ok(await isServed(before));
  // On loopback, where the file says so in so many words.
  await reload({ tls: '{ mode: off }' });
  const clear = await openRawClient({
    port: gate.port,
    minor: 2,
    auth: { user: 'migrator', password },
    owner: t,
  });
  assert.ok((await isServed(clear)) && (await isServed(before)));
  const other = `{ other: { password_hash: "${hash}", policy: support } }`;
  await reload({ tls: implicit, accounts: other });
  await before.readEnd();
  await assert.rejects(gate.login({ tls: 'implicit' }));
  assert.ok(await isServed(await gate.login({ tls: 'implicit', auth: { user: 'other', password } })));

  daemon.write('dovegate.yaml', gate.configuration({ listeners: taken }));
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  const second = await runDovegate(['serve', '--config', daemon.configFile]);
  assert.equal(second.exit, 78, second.text);
  assert.match(
    second.text,
    new RegExp(`127.0.0.1:${port}: the socket cannot be made: another process listens there`),
  );
});
