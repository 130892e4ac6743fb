// Goal: `dovegate send` logs in at a real Dovecot by TCP, with STARTTLS and with TLS from the first byte, and the client library knows the
// cells of its rows. What must not happen: an answer where the authority or the password is another one.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../src/client/connect.js';
import { makeAuthority } from '../kit/certificates.js';
import { runDovegate } from '../kit/daemon.js';
import { removeAfter } from '../kit/folder.js';
import { alice, backendPassword, onDovecot, openRealDovecot } from './real-gateway.js';

onDovecot('send by TCP', openRealDovecot, async (t, lab) => {
  const folder = mkdtempSync(join(tmpdir(), 'dovegate-send-'));
  removeAfter(t, folder);
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const password = file('password', `${backendPassword}\n`);
  const guess = file('guess', 'guess\n');
  const other = file('other.pem', makeAuthority({ name: 'somebody else' }).certificatePem);
  const send = (options: readonly string[]) =>
    runDovegate(['send', ...options, '--user', alice, '--format', 'tab', '--', 'mailbox', 'list', 'INBOX']);
  for (const [mode, port] of [
    ['starttls', lab.port],
    ['implicit', lab.tlsPort],
  ] as const) {
    const at = ['--socket', `127.0.0.1:${port}`, '--tls', mode, '--account', 'doveadm'];
    const right = await send([...at, '--ca', lab.caFile, '--password-file', password]);
    assert.equal(right.text, 'mailbox\nINBOX\n', mode);
    assert.equal(right.exit, 0);
    for (const wrong of [
      ['--ca', lab.caFile, '--password-file', guess],
      ['--ca', other, '--password-file', password],
    ]) {
      const refused = await send([...at, ...wrong]);
      assert.equal(refused.exit, 75, `${mode}: ${refused.text}`);
      assert.ok(!refused.text.includes('INBOX'));
    }
  }
  await using session = await connect({
    host: '127.0.0.1',
    port: lab.port,
    ca: readFileSync(lab.caFile, 'utf8'),
    password: backendPassword,
  });
  const widths = async (name: string, args: readonly string[]): Promise<number[]> =>
    (await session.run({ user: alice, name, args })).map((row) => row.length);
  assert.ok((await widths('quota get', [])).every((cells) => cells === 5));
  const fetched = await widths('fetch', ['--', 'uid flags date.received', 'mailbox', 'INBOX']);
  assert.ok(fetched.length > 0 && fetched.every((cells) => cells === 3), fetched.join());
});
