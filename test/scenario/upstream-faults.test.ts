// Goal: whatever is wrong with the way to a backend, the client gets -TEMPFAIL within the configured time, one log line names the
// backend and the cause, nothing secret was sent, and the daemon goes on. Phases: certificates, password, greeting, injection.
// What must not happen: PLAIN before TLS; a command at a backend that was not judged good; a hang.

import assert from 'node:assert/strict';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Authority, Issued } from '../kit/certificates.js';
import { makeAuthority } from '../kit/certificates.js';
import { openFolder } from '../kit/folder.js';
import { backendPassword, type GatewayOptions, openGateway } from '../kit/gateway.js';
import type { GreetingFault } from '../kit/script.js';

const day = 24 * 3600 * 1000;

interface Case {
  readonly name: string;
  readonly options: GatewayOptions;
  /** Code in the log's `type`; several where the kernel decides which comes first. */
  readonly code: string | readonly string[];
  readonly text: RegExp;
  /** Whether PLAIN may have been sent (never in clear). */
  readonly isAuthenticated?: boolean;
}

const otherAuthority = makeAuthority({ name: 'somebody else' });
const fault = (name: GreetingFault, more: GatewayOptions = {}): GatewayOptions => ({
  ...more,
  backend: { fault: name, ...more.backend },
});
const certificate = (issue: (authority: Authority) => Issued): GatewayOptions => ({ certificate: issue });
const quick = { connect_timeout: '400ms', greeting_timeout: '400ms' };

const cases: readonly Case[] = [
  {
    name: 'wrong CA',
    options: certificate(() => otherAuthority.issue({ names: ['localhost', '127.0.0.1'] })),
    code: 'tls-failed',
    text: /authority that is not in `ca`/,
  },
  {
    name: 'wrong host name',
    options: certificate((authority) => authority.issue({ names: ['mail9.example.org'] })),
    code: 'tls-failed',
    text: /another name than `server_name`/,
  },
  {
    name: 'an IP address is not the name localhost',
    options: {
      ...certificate((authority) => authority.issue({ names: ['localhost'] })),
      mail1: { server_name: '127.0.0.1' },
    },
    code: 'tls-failed',
    text: /another name/,
  },
  {
    name: 'expired certificate',
    options: certificate((authority) =>
      authority.issue({
        names: ['localhost'],
        notBefore: new Date(Date.now() - 9 * day),
        notAfter: new Date(Date.now() - day),
      }),
    ),
    code: 'tls-failed',
    text: /expired/,
  },
  {
    name: 'a key that is not pinned',
    options: { mail1: { key_pins: `["sha256:${'ab'.repeat(32)}"]` } },
    code: 'tls-failed',
    text: /key_pins/,
  },
  {
    name: 'wrong password',
    options: { password: 'wrong-password' },
    code: 'auth-rejected',
    text: /password|PLAIN|auth/i,
    isAuthenticated: true,
  },
  {
    name: 'refused whatever the password',
    options: fault('plain-refused'),
    code: 'auth-rejected',
    text: /./,
    isAuthenticated: true,
  },
  {
    name: 'closes after PLAIN',
    options: fault('closed-after-plain'),
    code: 'closed-early',
    text: /./,
    isAuthenticated: true,
  },
  {
    name: 'never answers PLAIN',
    options: { ...fault('plain-unanswered'), mail1: quick },
    code: 'dial-timeout',
    text: /PLAIN/,
    isAuthenticated: true,
  },
  { name: 'speaks SSH', options: fault('banner-ssh'), code: 'version-unsupported', text: /doveadm/ },
  { name: 'speaks HTTP', options: fault('banner-http'), code: 'version-unsupported', text: /doveadm/ },
  { name: 'speaks IMAP', options: fault('banner-imap'), code: 'version-unsupported', text: /doveadm/ },
  { name: 'another major version', options: fault('major-2'), code: 'version-unsupported', text: /./ },
  { name: 'an endless greeting', options: fault('greeting-endless'), code: 'version-unsupported', text: /./ },
  {
    name: 'preauthenticated where TLS is configured',
    options: fault('greeting-plus'),
    code: 'tls-failed',
    text: /TLS/,
  },
  {
    name: 'clear text injected behind the greeting',
    options: fault('injected-same-segment'),
    code: 'tls-failed',
    text: /clear|inject/i,
  },
  {
    name: 'clear text injected in a segment of its own',
    options: fault('injected-later-segment'),
    code: 'tls-failed',
    text: /./,
  },
  {
    name: 'clear text injected before the handshake',
    options: fault('injected-after-starttls'),
    code: 'tls-failed',
    text: /./,
  },
  {
    name: 'silent after accept',
    options: { ...fault('silent-after-accept'), mail1: quick },
    code: 'dial-timeout',
    text: /400 ms/,
  },
  {
    name: 'silent after STARTTLS',
    options: { ...fault('silent-after-starttls'), mail1: quick },
    code: 'dial-timeout',
    text: /TLS handshake/,
  },
  { name: 'closes after accept', options: fault('closed-after-accept'), code: 'closed-early', text: /./ },
  { name: 'closes after STARTTLS', options: fault('closed-after-starttls'), code: 'tls-failed', text: /./ },
  {
    name: 'resets after accept',
    options: fault('reset-after-accept'),
    code: ['closed-early', 'dial-refused'],
    text: /./,
  },
  {
    name: 'a minor above the ones that are known',
    options: { backend: { minor: 5 } },
    code: 'version-unsupported',
    text: /./,
  },
  {
    name: 'a series other than configured',
    options: { mail1: { series: '"2.4"' } },
    code: 'version-unsupported',
    text: /series/,
    isAuthenticated: true,
  },
];

for (const { name, options, code, text, isAuthenticated } of cases) {
  test(`${name}: -TEMPFAIL, one clear log line, and the daemon goes on`, async (t) => {
    const { client, backend, daemon } = await openGateway(t, options);
    const one = await client();
    for (let round = 0; round < 2; round += 1) {
      one.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
      const reply = await one.readReply();
      assert.equal(reply.status, '-TEMPFAIL');
      assert.match(reply.logs[0]?.text ?? '', /^dovegate: backend mail1 is not reachable \([a-z-]+\), id /);
    }
    const log = await daemon.waitForLog((record) => record['event'] === 'dial-failed', 'the failed dial');
    assert.equal(log['backend'], 'mail1');
    const codes = typeof code === 'string' ? [code] : code;
    assert.ok(codes.includes(String(log['type'])), `${String(log['type'])}: ${String(log['text'])}`);
    assert.match(String(log['text']), text);
    assert.match(String(log['text']), /^backend mail1: /);
    assert.equal(backend.commands.length, 0);
    const inClear = Buffer.concat(backend.records.flatMap((record) => record.inClear)).toString('latin1');
    assert.ok(!inClear.includes('PLAIN'), inClear);
    assert.equal(backend.plainAttempts.length > 0, isAuthenticated === true);
    // Refused commands are still refused, and the end is orderly.
    one.send('\talice@example.org\tmailbox delete\tINBOX');
    assert.equal((await one.readReply()).status, '-NOPERM');
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
    assert.deepEqual(daemon.grepSecrets([backendPassword, 'wrong-password']), []);
  });
}

test('nobody listens: refused at once; and when somebody does again, it works', async (t) => {
  const holder = net.createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const bound = holder.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  await new Promise((resolve) => holder.close(resolve));
  const { client, daemon } = await openGateway(t, { mail1: { address: `127.0.0.1:${port}` } });
  const one = await client();
  one.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
  assert.equal((await one.readReply()).status, '-TEMPFAIL');
  const log = await daemon.waitForLog((record) => record['event'] === 'dial-failed', 'the failed dial');
  assert.equal(log['type'], 'dial-refused');
  assert.match(String(log['text']), new RegExp(`127\\.0\\.0\\.1:${port}: nobody listens there`));
});

test('implicit TLS with a pinned key', async (t) => {
  const authority = makeAuthority({ name: 'pinned' });
  const one = authority.issue({ names: ['localhost'] });
  const { client, backend } = await openGateway(t, {
    certificate: () => one,
    authority,
    backend: { tls: 'implicit' },
    mail1: { tls: 'implicit', key_pins: `["sha256:${one.spkiSha256Hex}"]` },
  });
  const asking = await client();
  asking.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
  assert.equal((await asking.readReply()).status, '+');
  assert.equal(backend.tlsHandshakes, 1);
});

test('a preauthenticated UNIX socket needs neither TLS nor a password', async (t) => {
  const path = join(openFolder(t), 'doveadm-server');
  const { client } = await openGateway(t, {
    backend: { unix: path, tls: 'plain' },
    mail1: { tls: 'off', ca: '', server_name: '', password_file: '' },
  });
  const asking = await client();
  asking.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
  assert.equal((await asking.readReply()).status, '+');
});

test('of two passwords the second is tried when the first is refused', async (t) => {
  const { client, backend } = await openGateway(t, {
    mail1: { password_file: '[old.password, mail1.password]' },
    files: { 'old.password': 'yesterday' },
  });
  const asking = await client();
  asking.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
  assert.equal((await asking.readReply()).status, '+');
  assert.deepEqual(
    backend.plainAttempts.map((attempt) => attempt.isAccepted),
    [false, true],
  );
});
