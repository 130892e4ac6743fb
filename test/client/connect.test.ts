// The whole library over real sockets, against the scripted server: every kind of TLS, every minor, and nothing left open.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServer } from 'node:tls';
import { type ConnectOptions, connect, SessionFault } from '../../src/client/connect.js';
import { makeAuthority } from '../kit/gate/certificates.js';
import { openScriptedDovecot, type ScriptedDovecotOptions } from '../kit/gate/scripted-dovecot.js';
import { openFolder } from '../kit/plain/folder.js';
import { listenHere } from '../kit/plain/free-ports.js';

const authority = makeAuthority({ name: 'test' });
const server = authority.issue({ names: ['localhost', '127.0.0.1'] });
const quota = { user: 'alice@example.com', name: 'quota get', columns: 5 };

void test('UNIX socket and TCP, STARTTLS and implicit TLS, every minor', async (t) => {
  const folder = openFolder(t);
  const tcp = { host: '127.0.0.1', ca: authority.certificatePem, password: 'secret' };
  const places: [ScriptedDovecotOptions, (port: number) => ConnectOptions][] = [
    [{ unix: join(folder, 's') }, () => ({ socket: join(folder, 's') })],
    [{ tls: 'plain' }, (port) => ({ ...tcp, port, tls: 'off' })],
    [{ tls: 'starttls', certificate: server }, (port) => ({ ...tcp, port })],
    [{ tls: 'implicit', certificate: server }, (port) => ({ ...tcp, port, tls: 'implicit' })],
  ];
  for (const [options, where] of places) {
    for (const serverMinor of [2, 3, 4]) {
      const dovecot = await openScriptedDovecot({ ...options, minor: serverMinor });
      try {
        for (const minor of [0, 1, 2, 3, 4] as const) {
          const attempt = new AbortController();
          await using session = await connect({ ...where(dovecot.port), minor, signal: attempt.signal });
          // It ends the attempt, and nothing else.
          attempt.abort();
          assert.equal(session.minor, Math.min(minor, minor === 0 ? 0 : serverMinor));
          const [rows, more] = await Promise.all([session.run(quota), session.run(quota)]);
          assert.equal(rows.length, 2);
          assert.deepEqual(more, rows);
        }
        await dovecot.waitFor(
          (one) => one.records.every((record) => !record.isOpen),
          'all sessions to be closed',
        );
      } finally {
        await dovecot.close();
      }
    }
  }
});

void test('a wrong password, a strange certificate, missing TLS, nobody there: each has its code', async () => {
  const starttls = await openScriptedDovecot({ tls: 'starttls', certificate: server });
  const plain = await openScriptedDovecot({ authenticate: false });
  const at = { host: '127.0.0.1', ca: authority.certificatePem, password: 'secret' };
  try {
    const wrong: [ConnectOptions, string][] = [
      [{ ...at, port: starttls.port, password: 'wrong' }, 'auth-rejected'],
      [{ ...at, port: starttls.port, ca: makeAuthority({ name: 'other' }).certificatePem }, 'tls-failed'],
      [{ ...at, port: starttls.port, serverName: 'mail.example.com' }, 'tls-failed'],
      [{ ...at, port: starttls.port, keyPins: ['00'] }, 'tls-failed'],
      [{ host: '127.0.0.1', ca: authority.certificatePem, port: starttls.port }, 'auth-rejected'],
      [{ ...at, port: plain.port }, 'tls-failed'],
      [{ socket: '/nonexistent/socket' }, 'dial-refused'],
    ];
    for (const [options, code] of wrong)
      await assert.rejects(connect(options), { name: 'SessionFault', code }, code);
    const [attempt, ...others] = starttls.plainAttempts;
    assert.deepEqual([attempt?.isAccepted, others], [false, []]);
  } finally {
    await starttls.close();
    await plain.close();
  }
});

void test('a certificate of our own is shown to a server that asks for one', async () => {
  const own = authority.issue({ names: ['backup.example.com'], client: true });
  const names: unknown[] = [];
  const shown = { cert: server.certificatePem, key: server.keyPem };
  const asking = { ca: authority.certificatePem, requestCert: true, rejectUnauthorized: true };
  const listener = createServer({ ...shown, ...asking }, (socket) => {
    names.push(socket.getPeerCertificate().subject.CN);
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write('VERSION\tdoveadm-client\t1\t3\n+\n'));
    socket.on('end', () => socket.end());
  });
  const port = await listenHere(listener);
  try {
    const at = { host: '127.0.0.1', port, ca: authority.certificatePem, tls: 'implicit' } as const;
    const certificate = { certificate: own.certificatePem, key: own.keyPem };
    await using session = await connect({ ...at, certificate });
    assert.equal(session.serverMinor, 3);
    assert.deepEqual(names, ['backup.example.com']);
    await assert.rejects(connect(at), SessionFault);
  } finally {
    listener.close();
  }
});
