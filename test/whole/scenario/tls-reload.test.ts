// Goal: what a TCP listener shows and demands may change while it serves. Phases: certificates by SIGHUP, whole, half and broken; by
// themselves when the files change; the authorities of clients; the way TLS begins, and who has an account; a port that is taken. What must
// not happen: a session that a new certificate of ours ends, or that goes on when its own authority is gone; a listener that shows nothing,
// a socket that is closed in between.
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, test } from 'node:test';
import { type Authority, makeAuthority } from '../../kit/gate/certificates.js';
import { runDovegate } from '../../kit/gate/daemon.js';
import { auditRecords } from '../../kit/gate/gateway.js';
import { authority, filesOf, hash, isServed, openGate, password } from '../../kit/gate/tcp-gate.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

/** Each waits for the daemon to look at its files, every 10 s: they do so together. */
describe('what a TCP listener shows and demands', { concurrency: true, timeout: 300_000 }, () => {
  void test('certificates change under live sessions: by SIGHUP, and by themselves', async (t) => {
    const gate = await openGate(t);
    const { daemon } = gate;
    const first = await gate.login();
    assert.ok(await isServed(first));

    // By SIGHUP, all or nothing: half of a pair is none.
    const second = makeAuthority({ name: 'second' });
    const files = filesOf(second);
    daemon.write('gate.crt', files['gate.crt'] ?? '');
    await daemon.reload(undefined, 'reload-failed');
    assert.ok(await isServed(await gate.login()));
    daemon.write('gate.key', files['gate.key'] ?? '');
    await daemon.reload();
    await assert.rejects(gate.login());
    assert.ok(await isServed(await gate.login({ ca: second.certificatePem })));
    assert.ok(await isServed(first));

    // By themselves.
    const third = makeAuthority({ name: 'third' });
    for (const [name, text] of Object.entries(filesOf(third))) daemon.write(name, text);
    const isThird = (): Promise<boolean> =>
      gate.login({ ca: third.certificatePem }).then(isServed, () => false);
    await until(isThird, 'the third one');
    await daemon.waitForLog(({ event }) => event === 'certificate-replaced', 'certificate-replaced');
    assert.ok(await isServed(first));
  });

  void test('who came by a certificate goes when one of its authorities does, and not before; passwords stay', async (t) => {
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
    const loginBy = (by: Authority) =>
      gate.login({
        timeoutMs: 120_000,
        certificate: by.issue({ names: ['backup.example.com'], client: true }),
        auth: { user: 'backup', password: '' },
      });
    const first = await loginBy(old);
    const byPassword = await gate.login();
    await daemon.reload();
    assert.ok(await isServed(first));
    // As authorities are replaced: both for a while, then the new one.
    trust(old, fresh);
    await daemon.reload();
    const second = await loginBy(fresh);
    assert.ok((await isServed(first)) && (await isServed(second)));
    trust(fresh);
    await daemon.reload();
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

  void test('a reload changes how TLS begins, and who has an account; a port that is taken is told, and 78 at a start', async (t) => {
    const gate = await openGate(t);
    const { daemon } = gate;
    const before = await gate.login();
    const blocked = net.createServer();
    const port = await listenHere(blocked);
    t.after(() => void blocked.close());
    // A certificate that is broken replaces none, and a reload keeps what is served.
    const certificate = filesOf(authority);
    daemon.write('gate.crt', 'broken');
    await daemon.waitForLog(({ event }) => event === 'certificate-kept', 'the old one is kept');
    assert.ok(await isServed(await gate.login()));
    for (const [name, text] of Object.entries(certificate)) daemon.write(name, text);
    const taken = gate.configuration({ listeners: gate.listenersWith({ tcp: `"127.0.0.1:${port}"` }) });
    const { text } = await daemon.reload(taken, 'reload-failed');
    assert.match(String(text), /another process listens there/);
    assert.ok((await isServed(before)) && (await isServed(await gate.login())));

    // The way TLS begins, and who has an account, without a gap.
    const reload = async (keys: Readonly<Record<string, string>>): Promise<void> => {
      await daemon.reload(gate.configuration({ listeners: gate.listenersWith(keys) }));
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

    daemon.write('dovegate.yaml', taken);
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
    const second = await runDovegate(['serve', '--config', daemon.configFile]);
    assert.equal(second.exit, 78, second.text);
    assert.match(
      second.text,
      new RegExp(`127.0.0.1:${port}: the socket cannot be made: another process listens there`),
    );
  });
});
