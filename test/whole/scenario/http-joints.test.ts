// Goal: what works for clients of the doveadm protocol works over HTTP as well. Phases: certificates of clients, beside keys and taken away
// by a reload; a listener from an included file; an operator who ends a command within its answer. What must not
// happen: a certificate that counts for another account or after its authority is gone, an
// answer that was ended and can be read as JSON.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { auditRecords, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { oneRow, type Script } from '../../kit/gate/script.js';
import { authority, filesOf } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { askRaw, authorizationOf, encodePost, HttpCut, openRawHttp } from '../../kit/plain/raw-http.js';
import { until } from '../../kit/plain/until.js';

const key = makeKey(randomBytes(keyBytes));
const command = [
  'mailboxStatus',
  { user: 'alice@example.org', field: ['messages'], mailboxMask: 'INBOX' },
  't',
];
const body = JSON.stringify([command]);
const policy = `
    users: ["*@example.org"]
    allow: [mailbox status, { command: mailbox list, all_users: true }, { command: fetch, content: true }]`;

test('a certificate lets a program in, a wrong one does not, and a reload takes it back', async (t) => {
  const [port = 0] = await freePorts(1);
  const clients = makeAuthority({ name: 'authority of clients' });
  const listener = (ca: string): string => `
  panel:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { mode: implicit, certificate: gate.crt, key: gate.key, client_ca: ${ca} }
    accounts: { backup: { certificate_name: backup.example.com, policy: support } }
    keys: { panel: { hash: "${hashKey(key)}", policy: support, expires: 2099-01-01 } }`;
  const gateway = await openGateway(t, {
    listeners: ' {}',
    more: 'include: [listener1.yaml]',
    policy,
    files: {
      ...filesOf(authority),
      'clients.crt': clients.certificatePem,
      'listener1.yaml': `listeners:${listener('clients.crt')}`,
    },
    backend: { script: oneRow },
  });
  const { daemon } = gateway;
  const certified = (names: readonly string[], by = clients) => ({
    port,
    tls: {
      ca: authority.certificatePem,
      serverName: 'localhost',
      certificate: by.issue({ names, client: true }),
    },
  });
  const backup = certified(['backup.example.com']);
  const bare = encodePost({ body });
  assert.equal((await askRaw(backup, bare)).status, 200);
  assert.equal((await askRaw(certified(['other.example.com']), bare)).status, 401);
  // A key counts before the certificate; a wrong one is not saved by it.
  assert.equal(
    (await askRaw(backup, encodePost({ body, authorization: authorizationOf.key(key) }))).status,
    200,
  );
  const wrong = authorizationOf.key(makeKey(randomBytes(keyBytes)));
  assert.equal((await askRaw(backup, encodePost({ body, authorization: wrong }))).status, 401);
  await assert.rejects(askRaw(certified(['backup.example.com'], authority), bare));

  const kept = await openRawHttp(backup);
  t.after(() => kept.close());
  const ask = async (): Promise<number> => {
    await kept.write(encodePost({ body, keepsAlive: true }));
    return (await kept.readAnswer()).status;
  };
  assert.equal(await ask(), 200);
  daemon.write('listener1.yaml', `listeners:${listener('gate.crt')}`);
  await daemon.reload();
  assert.equal(await kept.readEnd(), 'closed');
  await assert.rejects(askRaw(backup, bare));
  await daemon.stop();
  const principals = auditRecords(daemon).flatMap(({ event, principal }) =>
    event === 'admission' ? [principal] : [],
  );
  assert.deepEqual(principals, ['backup@panel', 'panel@panel', 'backup@panel']);
});

test('an operator ends a command within its answer: no client takes it for whole', async (t) => {
  const stalled: Script = async (_command, connection) => {
    for (let row = 0; row < 64; row += 1) await connection.row('x'.repeat(64 * 1024), '4');
    await connection.closed;
  };
  const gateway = await openGateway(t, {
    listeners: '\n  panel: { unix: panel.sock, protocol: http, mode: "0600", policy: support }',
    policy,
    backend: { script: stalled },
    more: 'admin: { unix: admin.sock }',
  });
  const { daemon } = gateway;
  const client = await openRawHttp({ path: daemon.path('panel.sock') });
  t.after(() => client.close());
  await client.write(encodePost({ body }));
  const answer = client.readAnswer().catch((cut: unknown) => cut);
  // Beyond what is held, the answer has begun.
  await until(() => client.received().length > 2 * 1024 * 1024, 'an answer');
  const admission = auditRecords(daemon).find(({ event }) => event === 'admission');
  const killed = await runWarm(['kill', String(admission?.['id']), '--socket', daemon.path('admin.sock')]);
  assert.equal(killed.exit, 0, killed.text);
  const fault = await answer;
  assert.ok(fault instanceof HttpCut, String(fault));
  await daemon.stop();
  const [done] = recordsOf(daemon, 'completion');
  assert.deepEqual([done?.['id'], done?.['outcome']], [admission?.['id'], 'unknown']);
});
