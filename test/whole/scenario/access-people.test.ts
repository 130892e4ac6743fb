// Goal: access on request as people use it, over HTTP keys in front of the built daemon: asked for with the command line, approved by
// another person, used once, listed for the auditor. What must not happen: an approval by the requester, a second use, a request of
// somebody else that is shown, a number of mails for the requester.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '../../../src/client/connect.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { startDaemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import type { Script } from '../../kit/gate/script.js';
import { authority, filesOf } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';

const alice = 'alice@example.org';
const words = ['--', 'fetch', 'text', 'mailbox', 'INBOX', 'all'];

const answer: Script = async ({ fields }, connection) => {
  if (fields[0] === 'search') for (const uid of ['1', '2', '3']) await connection.row('0123', uid);
  else await connection.row('a mail');
  await connection.status('+');
};

const policies = `
    users: ["*@example.org"]
    allow: [quota get]
    on_request:
      - { command: fetch, content: true, approvals: 1, for: 2h, reason: { regex: "ticket [0-9]+" } }
  leads:
    users: ["*@example.org"]
    allow: [mailbox list]
    approve: [support]`;

test('asked for, approved by another person, used once, and listed', async (t) => {
  const [port = 0] = await freePorts(1);
  const keys = new Map(['anna', 'eve', 'carol'].map((name) => [name, makeKey(randomBytes(keyBytes))]));
  const keyLines = [...keys].map(
    ([name, key]) =>
      `\n      ${name}: { hash: "${hashKey(key)}", policy: ${name === 'carol' ? 'leads' : 'support'} }`,
  );
  const { daemon, backend } = await openGateway(t, {
    listeners: `
  panel:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { certificate: gate.crt, key: gate.key }
    keys:${keyLines.join('')}`,
    policy: policies,
    more: `persons: { anna: { keys: [anna] }, carol: { keys: [carol] } }
admin:
  door: door.sock
  page:
    unix: page.sock
    people: { ourselves: { user: "${process.getuid?.() ?? -1}", role: audit } }
`,
    files: filesOf(authority),
    backend: { script: answer },
  });
  const folder = openFolder(t);
  writeFileSync(join(folder, 'ca.pem'), authority.certificatePem);
  for (const [name, key] of keys) writeFileSync(join(folder, name), key);
  const url = `https://localhost:${port}`;
  const as = (who: string, verb: string, ...args: string[]) =>
    runWarm([verb, '--http', url, '--ca', join(folder, 'ca.pem'), '--key-file', join(folder, who), ...args]);

  const denied = await as('anna', 'send', '--user', alice, ...words);
  assert.equal(denied.exit, 77);
  assert.match(
    denied.text,
    /available on request: dovegate request --http \S+ --key-file \S+ --ca \S+ --user alice@example\.org --reason 'ticket \[0-9\]\+' -- fetch/,
  );
  const wrong = await as('anna', 'request', '--user', alice, '--reason', 'curious', ...words);
  assert.equal(wrong.exit, 64, wrong.text);
  const long = await as('anna', 'request', '--user', alice, '--reason', 'ticket 1', '--for', '3h', ...words);
  assert.equal(long.exit, 64, long.text);
  const unnamed = await as('anna', 'request', '--reason', 'ticket 1', ...words);
  assert.deepEqual(
    [unnamed.exit, /say for whose mail, with --user/.test(unnamed.text)],
    [64, true],
    unnamed.text,
  );

  const asked = await as(
    'anna',
    'request',
    '--json',
    '--user',
    alice,
    '--reason',
    'ticket 1',
    '--for',
    '1h',
    ...words,
  );
  assert.equal(asked.exit, 0, asked.text);
  const { id, state, matches } = JSON.parse(asked.stdout.toString());
  assert.deepEqual([state, matches], ['requested', undefined]);

  assert.equal((await as('anna', 'approve', id)).exit, 77);
  assert.equal((await as('eve', 'requests', id)).exit, 68);
  assert.match((await as('eve', 'requests')).text, /^No requests/);
  const list = await as('carol', 'requests');
  assert.match(list.text, new RegExp(`^\\* +${id} +waits for you +anna@panel +${alice}`, 'm'));
  const shown = await as('carol', 'requests', '--json', id);
  assert.equal(JSON.parse(shown.stdout.toString()).matches, 3, shown.text);
  const approved = await as('carol', 'approve', '--for', '30m', id);
  assert.equal(approved.exit, 0, approved.text);
  assert.match(approved.text, /^granted until /);

  const before = backend.commands.filter(({ fields }) => fields[0] === 'fetch').length;
  assert.equal(before, 0);
  assert.equal((await as('eve', 'send', '--user', alice, ...words)).exit, 77);
  // It asks for nothing while a grant is there.
  const sent = await as('anna', 'send', '--request', '--reason', 'ticket 1', '--user', alice, ...words);
  assert.equal(sent.exit, 0, sent.text);
  assert.equal((await as('anna', 'send', '--user', alice, ...words)).exit, 77, 'a second use');
  const over = await as('anna', 'requests', '--json', id);
  assert.equal(JSON.parse(over.stdout.toString()).state, 'used-up', over.text);

  // A refusal ends the wait of the requester.
  const waiting = as('anna', 'request', '--wait', '60s', '--user', alice, '--reason', 'ticket 2', ...words);
  const session = await connect({ url, key: keys.get('carol') ?? '', ca: authority.certificatePem });
  t.after(() => session.close());
  let open: string | undefined;
  for (let tries = 0; tries < 200 && open === undefined; tries += 1) {
    open = (await session.access.list()).find(({ may }) => may.includes('refuse'))?.id;
    await new Promise((resolve) => void setTimeout(resolve, 100));
  }
  assert.equal((await session.access.refuse(open ?? '', { reason: 'ask alice' })).state, 'refused');
  const refused = await waiting;
  assert.equal(refused.exit, 77, refused.text);
  assert.match(refused.text, /^refused by carol@panel: ask alice: /m);

  const audit = await runWarm(['audit', 'access', '--json', join(daemon.folder, 'audit')]);
  const items = audit.stdout
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const [first, second] = items;
  assert.deepEqual(
    [first.id, first.to, first.used, first.commands, first.approved_by[0].principal, first.end.action],
    [id, 'anna@panel', 1, { fetch: 1 }, 'carol@panel', 'used-up'],
  );
  assert.deepEqual([second.end.action, second.end.why], ['refused', 'ask alice']);

  for (const place of [
    ['--config', daemon.configFile],
    ['--socket', daemon.path('page.sock')],
  ]) {
    const found = await runWarm(['audit', 'search', '--grant', id, '--json', ...place]);
    const rows = found.stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      rows.map(({ action, command }) => action ?? command),
      ['requested', 'approved', 'granted', 'fetch', 'used-up', 'fetch'],
      place[0],
    );
    const refusal = await runWarm(['audit', 'search', '--grant', second.id, ...place]);
    assert.match(refusal.text, / refused \(by carol@panel\)$/m, refusal.text);
  }
});

test('a start that cannot prove what lived says so in the log', async (t) => {
  const [port = 0] = await freePorts(1);
  const [anna, carol] = [makeKey(randomBytes(keyBytes)), makeKey(randomBytes(keyBytes))];
  const { daemon } = await openGateway(t, {
    listeners: `
  panel:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { mode: off }
    keys: { anna: { hash: "${hashKey(anna)}", policy: support }, carol: { hash: "${hashKey(carol)}", policy: leads } }`,
    policy: policies.replace('{ command: fetch, content: true,', '{ command: mailbox list,'),
    more: 'persons: { anna: { keys: [anna] }, carol: { keys: [carol] } }\n',
  });
  const asked = await fetch(`http://127.0.0.1:${port}/dovegate/v1/request`, {
    method: 'POST',
    headers: { Authorization: `X-Dovecot-API ${Buffer.from(anna).toString('base64')}` },
    body: JSON.stringify({ users: [alice], reason: 'ticket 1', command: ['mailbox list'] }),
  });
  assert.equal(asked.status, 200, await asked.text());
  const again = () => startDaemon(t, { folder: daemon.folder });
  await daemon.stop();
  const proven = await again();
  assert.deepEqual(
    proven.logs.filter(({ event }) => event === 'access-ended'),
    [],
  );
  await proven.stop();
  rmSync(daemon.path('state/audit-end.json'));
  const doubted = await again();
  const [line, ...more] = doubted.logs.filter(({ event }) => event === 'access-ended');
  assert.deepEqual([line?.level, line?.['count'], more], ['warn', 1, []]);
  assert.match(String(line?.['text']), /^all access on request ended: .*; 1 request or grant$/);
});

// bounds.httpAccessBytes
test('bodies that are none: refused as a whole, with a code', async (t) => {
  const [port = 0] = await freePorts(1);
  const key = makeKey(randomBytes(keyBytes));
  await openGateway(t, {
    listeners: `
  panel:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { mode: off }
    keys: { anna: { hash: "${hashKey(key)}", policy: support } }`,
  });
  const ask = async (path: string, body: string) => {
    const answered = await fetch(`http://127.0.0.1:${port}/dovegate/v1/${path}`, {
      method: 'POST',
      headers: { Authorization: `X-Dovecot-API ${Buffer.from(key).toString('base64')}` },
      body,
    });
    return [answered.status, answered.headers.get('dovegate-code'), await answered.text()];
  };
  assert.deepEqual((await ask('request', '[')).slice(0, 2), [400, 'bad-request']);
  assert.deepEqual((await ask('request', JSON.stringify({ usess: 1 }))).slice(0, 2), [400, 'bad-request']);
  assert.deepEqual((await ask('request', `"${'x'.repeat(16 * 1024)}"`)).slice(0, 2), [
    413,
    'request-too-long',
  ]);
  assert.deepEqual((await ask('approve', '{"id":"x"}')).slice(0, 2), [404, 'access-unknown']);
  assert.deepEqual((await ask('approve', '{}')).slice(0, 1), [400]);
  assert.deepEqual(await ask('requests', ''), [200, null, '[]']);
});
