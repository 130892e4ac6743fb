// Goal: what the playground says of a command is what the gate then does with it, in words and in JSON, also of hostile ones; and the
// answers that review a policy come from the thread of the built daemon. What must not happen: a question that reaches a backend, an answer
// without its record, a secret in that record, an answer for somebody with a limited view.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type {
  AccessTable,
  Checked,
  Explained,
  KeysTable,
  Replayed,
  Suggested,
} from '../../../src/page/answers/api.js';
import type { Explain } from '../../../src/page/answers/endpoints.js';
import { auditRecords, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { askPageAt, signIn } from '../../kit/gate/page-client.js';
import { hash, password } from '../../kit/gate/tcp-gate.js';
import { escapeCell } from '../../kit/plain/framing.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { askRaw, encodePost } from '../../kit/plain/raw-http.js';
import { until } from '../../kit/plain/until.js';

const policy = `
    users: ["*@example.org"]
    except: ["ceo@example.org"]
    allow:
      - quota get
      - mailbox list
      - { command: fetch, where: { field: [uid, flags] } }
      - { command: mailbox create, reason: required }
    deny: [mailbox delete]`;

type Line = readonly [user: string, ...words: string[]];

const bob = 'bob@example.org';
const lines: readonly Line[] = [
  [bob, 'quota', 'get'],
  ['BOB@Example.ORG', 'quota get'],
  [bob, 'fetch', 'uid', 'mailbox', 'INBOX'],
  [bob, 'fetch', 'text', 'all'],
  [bob, 'mailbox', 'delete', 'Trash'],
  [bob, 'mailbox', 'create', 'New'],
  [bob, 'mailbox', 'craete', 'New'],
  ['ceo@example.org', 'quota', 'get'],
  ['bob@other.org', 'quota', 'get'],
  ['', 'quota', 'get'],
  [bob, 'quota', 'get', '-x'],
  [bob, 'mailbox', 'list', '-A'],
  [bob, 'mailbox', 'list', "<img src=x onerror='alert(1)'>", '\u202etxt', '\t\n\u0001'],
  [bob, 'mailbox', 'list', 'w'.repeat(20_000)],
  [bob, 'fetch', 'uid', ...'( '.repeat(300).trim().split(' '), 'all'],
  ['a'.repeat(5_000), 'quota', 'get'],
];

const requests: readonly string[] = [
  JSON.stringify([['quotaGet', { user: bob }, 't']]),
  JSON.stringify([['mailboxDelete', { user: bob, mailbox: ['Trash'] }, 't']]),
  JSON.stringify([['fetch', { user: bob, field: ['uid'], query: ['all'] }, 't']]),
  JSON.stringify([['fetch', { user: bob, field: 'text', query: ['all'] }, 't']]),
  JSON.stringify([['quotaGett', { user: bob }, 't']]),
  '[["quotaGet",{"user":"bob@example.org","user":"eve@other.org"},"t"]]',
  '[["quotaGet",{"user":17},"t"]]',
  '[["mailboxList",{"user":"bob@example.org","mailboxMask":["\\u0000\\u202e"]},"t"]]',
  '[[[[',
];

test('the playground says what the gate then does; reviews come from a thread', async (t) => {
  const [port = 0] = await freePorts(1);
  const gateway = await openGateway(t, {
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  local: { unix: local.sock, protocol: http, mode: "0600", policy: support }`,
    policy,
    more: `admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: 127.0.0.1:${port}
    people:
      alice: { password_hash: "${hash}", role: audit }
      carol: { password_hash: "${hash}", role: audit }
      limited: { password_hash: "${hash}", role: audit, users: ["*@example.org"] }
`,
  });
  const { daemon, backend } = gateway;
  const token = await signIn(port, 'alice', password);
  const post = (path: string, body: unknown, as = token) =>
    askPageAt(port, 'POST', path, { token: as, body });
  const admissions = () => recordsOf(daemon, 'admission');
  const carol = await signIn(port, 'carol', password);
  let asked = 0;
  const explain = async (question: Explain, as = token): Promise<Explained | string> => {
    const { status, body } = await post('/api/explain', question, as);
    if (status === 200) asked += 1;
    const value: Explained & { readonly text: string } = JSON.parse(body);
    return status === 200 ? value : `${status} ${value.text}`;
  };
  const holds = (
    found: Explained | string,
    record: Readonly<Record<string, unknown>>,
    what: string,
  ): void => {
    assert.ok(typeof found === 'object', `${what}: ${JSON.stringify(found)}`);
    const wasSent = record['sent'] !== false;
    const { outcome, decision } = record;
    const fate =
      outcome === 'unparsable'
        ? 'unparsable'
        : decision === 'deny' || outcome === 'denied'
          ? 'deny'
          : wasSent
            ? 'allow'
            : 'obstacle';
    assert.equal(found.decision, fate, `${what}: ${found.text} ${JSON.stringify(record)}`);
    if (fate !== 'allow') return;
    assert.deepEqual(found.sent, [record['command'], ...Object.values(record['args'] ?? {})], what);
  };

  const said: { readonly found: Explained | string; readonly what: string }[] = [];
  for (const [user, ...words] of lines) {
    const what = JSON.stringify([user, ...words]).slice(0, 200);
    const found = await explain({ listener: 'support', words, ...(user === '' ? {} : { user }) });
    said.push({ found, what });
  }
  for (const json of requests)
    said.push({ found: await explain({ listener: 'local', json }, carol), what: json.slice(0, 200) });
  assert.equal(backend.commands.length, 0);
  assert.equal(admissions().length, 0);

  /** Of more than ten refusals a second the records are only counted. */
  let sent = 0;
  const pace = async (): Promise<void> => {
    sent += 1;
    if (sent % 8 === 0) await pause(1_100);
  };
  for (const [user, ...words] of lines) {
    await pace();
    // Some lines end their session.
    const client = await gateway.client({ minor: 4 });
    await client.write(`${['', user, ...words].map((word) => escapeCell(word)).join('\t')}\n`);
    await client.readReply();
    client.close();
  }
  let refused = 0;
  for (const [at, json] of requests.entries()) {
    await pace();
    const { status, body } = await askRaw({ path: daemon.path('local.sock') }, encodePost({ body: json }));
    const found = said[lines.length + at]?.found;
    if (status === 200) continue;
    refused += 1;
    // Dovecot's 400 has the same words.
    assert.equal(found, `${status} ${body.toString()}`, json);
  }
  const answered = said.filter(({ found }) => typeof found === 'object');
  assert.equal(answered.length, said.length - refused);
  const completions = () => recordsOf(daemon, 'completion');
  await until(() => completions().length >= answered.length, 'a completion for each command');
  assert.equal(admissions().length, answered.length);
  for (const [at, admission] of admissions().entries()) {
    const completion = completions().find(({ id }) => id === admission['id']);
    const { found = '', what = '' } = answered[at] ?? {};
    holds(found, { ...admission, ...completion }, what);
  }

  const secret = 'correct-horse-secret';
  await explain({ listener: 'support', user: bob, words: ['auth', 'test', 'bob', secret] }, carol);
  const explained = auditRecords(daemon).filter(({ action }) => action === 'explain');
  assert.equal(explained.length, asked);
  assert.deepEqual([...new Set(explained.map(({ by }) => by))], ['alice', 'carol']);
  assert.ok(!JSON.stringify(explained).includes(secret));

  const suggested = await post('/api/suggest', { policy: 'support', sinceMs: 0 });
  assert.equal(suggested.status, 200, suggested.body);
  const { groups, looked }: Suggested = JSON.parse(suggested.body);
  assert.ok(looked.records > 0 && looked.isAll);
  assert.ok(groups.some(({ kind, command }) => kind === 'rule' && command === 'quota get'));
  const yaml = 'policies:\n  support:\n    users: ["*@example.org"]\n    allow: [mailbox list]\n';
  const checked = await post('/api/check', { policy: 'support', yaml });
  const { problems }: Checked = JSON.parse(checked.body);
  assert.deepEqual([checked.status, problems], [200, []]);
  const replayed = await post('/api/replay', { policy: 'support', yaml, sinceMs: 0 });
  const { result }: Replayed = JSON.parse(replayed.body);
  assert.ok(
    result?.changes.some(
      ({ from, to, words }) => from === 'allow' && to === 'deny' && words[0] === 'quota get',
    ),
  );
  const looks = auditRecords(daemon).map(({ action }) => action);
  assert.ok(looks.includes('audit-suggest') && looks.includes('audit-replay'));

  const access: AccessTable = JSON.parse((await askPageAt(port, 'GET', '/api/access', { token })).body);
  assert.deepEqual(
    access.rows.map(({ name }) => name),
    ['support', 'local'],
  );
  const keys: KeysTable = JSON.parse((await askPageAt(port, 'GET', '/api/keys', { token })).body);
  assert.deepEqual(
    keys.rows.map(({ kind, name }) => `${kind} ${name}`),
    ['certificate mail1'],
  );
  const limited = await signIn(port, 'limited', password);
  const question = { listener: 'support', user: bob, words: ['quota', 'get'], policy: 'support', yaml };
  for (const path of ['explain', 'suggest', 'check', 'replay'])
    assert.equal((await post(`/api/${path}`, question, limited)).status, 403, path);
  for (const path of ['access', 'keys'])
    assert.equal((await askPageAt(port, 'GET', `/api/${path}`, { token: limited })).status, 403, path);
});
