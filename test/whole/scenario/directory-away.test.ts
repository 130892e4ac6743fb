// Goal: while a directory does not answer, nobody approves a request of their own, and emergencies are served. Phases: the directory is
// mute, a peer whose uid is that of an approver asks; the directory answers; a restart while it is mute again; the name gets another uid.
// What must not happen: a grant that requester and approver made as one human, over the kernel and with a key.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { startDaemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { authority, filesOf } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { openFolder } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const asRoot = onlyRoot('can be several users');
const carolsUid = 77_001;
const policy = `
    users: ["*@example.org"]
    allow: [quota get]
    on_request:
      - { command: fetch, content: true, approvals: 1, for: 2h }
      - { command: mailbox status, approvals: 0, for: 1h, uses: 20 }
  leads:
    users: ["*@example.org"]
    allow: [mailbox list]
    approve: [support]`;
const reading = ['--user=bob@example.org', '--reason=x', '--', 'fetch', 'text', 'mailbox', 'INBOX', 'all'];
const emergency = ['--user=bob@example.org', '--reason=x', '--', 'mailbox status', 'messages', 'INBOX'];

test('a directory that is away makes no approver of a requester', asRoot, async (t) => {
  const folder = openFolder(t);
  chmodSync(folder, 0o711);
  const [port = 0] = await freePorts(1);
  const key = makeKey(randomBytes(keyBytes));
  writeFileSync(join(folder, 'key'), key);
  writeFileSync(join(folder, 'ca.pem'), authority.certificatePem);
  // The directory: lines as of /etc/passwd, or mute.
  const told = join(folder, 'told');
  const tell = (lines: string): void => writeFileSync(told, lines);
  writeFileSync(
    join(folder, 'getent'),
    `#!/bin/sh
lines=$(cat ${told})
[ "$lines" = mute ] && exec sleep 600
[ "$1" = -- ] && shift
for key in "$@"; do :; done
echo "$lines" | grep -E "^$key:|^[^:]*:[^:]*:$key:" || exit 2
`,
    { mode: 0o755 },
  );
  const nsswitch = join(folder, 'nsswitch.conf');
  writeFileSync(nsswitch, 'passwd: files ldap\ngroup: files\n');
  const launcher = [
    'unshare',
    '--mount',
    'sh',
    '-ec',
    `mount --bind ${nsswitch} /etc/nsswitch.conf; exec "$@"`,
    'sh',
  ];
  const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}` };
  tell('mute');
  const { daemon, backend } = await openGateway(t, {
    listeners: `
  support: { unix: support.sock, mode: "0666", policy: support }
  panel:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { certificate: gate.crt, key: gate.key }
    keys: { carol: { hash: "${hashKey(key)}", policy: leads } }`,
    policy,
    more: `persons: { carol: { users: [carol], keys: [carol] } }\nadmin: { unix: admin.sock }`,
    files: filesOf(authority),
    launcher,
    env,
  });
  chmodSync(daemon.folder, 0o711);
  const path = daemon.path('support.sock');
  const ask = async (uid: number, ...words: string[]) => {
    const client = await openRawClient({ path, minor: 2, uid });
    const { status, logs, body } = await client.ask({ user: '', fields: words });
    client.close();
    const [, id = ''] = /"id":"([0-9A-Z]{26})"/.exec(body.toString()) ?? [];
    return { status, text: logs.map(({ text }) => text).join(' '), id };
  };
  const asCarol = (verb: string, ...args: string[]) =>
    runWarm([
      verb,
      '--http',
      `https://localhost:${port}`,
      '--ca',
      join(folder, 'ca.pem'),
      '--key-file',
      join(folder, 'key'),
      ...args,
    ]);
  const status = async () =>
    JSON.parse((await askHttp({ socketPath: daemon.path('admin.sock') }, '/status.json')).body);

  const mute = await ask(carolsUid, 'dovegate request', ...reading);
  assert.equal(mute.status, '-TEMPFAIL', mute.text);
  assert.match(mute.text, /nobody knows who you are.*\[access-identity\]/);
  assert.deepEqual((await status()).access.unknown_users, ['carol']);
  // Somebody of this machine: carol could be anybody.
  assert.match((await ask(0, 'dovegate request', ...reading)).text, /never told the uid of "carol"/);
  assert.equal((await ask(carolsUid, 'dovegate request', ...emergency)).status, '+');

  tell(`carol:x:${carolsUid}:100::/:\n`);
  // It would be asked again by itself, after a while.
  daemon.signal('SIGHUP');
  await until(async () => (await status()).access.unknown_users.length === 0, 'the uid of carol');
  const asked = await ask(carolsUid, 'dovegate request', ...reading);
  assert.equal(asked.status, '+', asked.text);
  const own = await asCarol('approve', asked.id);
  assert.equal(own.exit, 77, own.text);
  assert.match(own.text, /nobody approves a request of their own/);
  const other = await ask(0, 'dovegate request', ...reading);
  assert.equal((await asCarol('approve', other.id)).exit, 0);

  tell('mute');
  await daemon.stop();
  const again = await startDaemon(t, { folder: daemon.folder, launcher, env });
  assert.deepEqual((await status()).access.unknown_users, [], 'the last start knew it');
  assert.equal((await asCarol('approve', asked.id)).exit, 77, 'a request of before');
  assert.match((await ask(carolsUid, 'dovegate request', ...reading)).text, /\[access-identity\]/);

  tell(`caroline:x:${carolsUid}:100::/:\ncarol:x:77002:100::/:\n`);
  again.signal('SIGHUP');
  await until(async () => (await status()).access.moved_users.length === 1, 'the other uid');
  assert.deepEqual((await status()).access.moved_users, [{ user: 'carol', uids: [carolsUid, 77_002] }]);
  const former = await ask(carolsUid, 'dovegate request', ...reading);
  assert.equal((await asCarol('approve', former.id)).exit, 77, 'both uids are hers');
  const confirmed = await runWarm(['confirm', '--socket', daemon.path('admin.sock'), 'carol']);
  assert.equal(confirmed.exit, 0, confirmed.text);
  assert.equal((await asCarol('approve', former.id)).exit, 77, 'it was asked for as hers');
  const later = await ask(carolsUid, 'dovegate request', ...reading);
  assert.equal((await asCarol('approve', later.id)).exit, 0, 'an operator said that it is somebody else');
  assert.ok(!backend.commands.some(({ fields }) => fields[0] === 'fetch'), 'nobody has read anything');
});
