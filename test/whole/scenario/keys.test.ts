// Goal: a key from its making to its end. Phases: it is made, `check` says what is doubtful of it, programs use it, it expires while a
// connection is open, it is used from elsewhere. What must not happen: a key in anything that the daemon wrote, wherever a client put it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { oneRow } from '../../kit/gate/script.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { askRaw, authorizationOf, encodePost, openRawHttp } from '../../kit/plain/raw-http.js';
import { until } from '../../kit/plain/until.js';

const policy = `
    users: ["*@example.org"]
    allow: [mailbox status, mailbox create]`;
const command = [
  'mailboxStatus',
  { user: 'a@example.org', field: ['messages'], mailboxMask: ['INBOX'] },
  't',
];

async function made(...args: readonly string[]): Promise<{ readonly key: string; readonly yaml: string }> {
  const { stdout, stderr, exit } = await runWarm(['key', 'new', ...args]);
  assert.equal(exit, 0, stderr);
  const [key = '', yaml = ''] = stdout.toString().split('\n');
  return { key, yaml };
}

async function openPanel(t: TestContext, keys: string, more = '') {
  const [port = 0] = await freePorts(1);
  const listenersWith = (shown: string): string => `
  panel:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { mode: off }
    sessions: 3000
    sessions_per_peer: 3000
    keys:
      ${shown}`;
  const gateway = await openGateway(t, {
    listeners: listenersWith(keys),
    policy,
    backend: { script: oneRow },
    more: `admin: { unix: admin.sock }\n${more}`,
  });
  const reload = (shown: string) =>
    gateway.daemon.reload(gateway.configuration({ listeners: listenersWith(shown) }));
  const ask = (authorization?: string): Promise<{ readonly status: number }> =>
    askRaw(
      { port },
      encodePost({
        body: JSON.stringify([command]),
        ...(authorization === undefined ? {} : { authorization }),
      }),
    );
  return { ...gateway, port, reload, ask };
}

void test('made, checked, used, shown, and nowhere to be read', async (t) => {
  const { key, yaml } = await made('modoboa', '--policy', 'support');
  const other = await made('graph', '--policy', 'support', '--expires', 'never', '--from', '192.0.2.0/24');
  const soon = new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10);
  const third = await made('old', '--policy', 'support', '--expires', soon);
  const { daemon, port, ask } = await openPanel(t, [yaml, other.yaml, third.yaml].join('\n      '));

  const checked = await runWarm(['check', '--config', daemon.configFile]);
  assert.equal(checked.exit, 0, checked.text);
  assert.match(checked.text, /: warning: listeners\.panel\.keys\.graph: never expires; add expires/);
  assert.match(checked.text, /: warning: listeners\.panel\.keys\.old\.expires: the key expires in 5 days/);
  assert.doesNotMatch(checked.text, /keys\.modoboa/);
  const warnings = daemon.logs.filter(({ event }) => event === 'configuration-warning');
  assert.equal(warnings.length, 2);
  await daemon.waitForLog(
    ({ event, key: name }) => event === 'key-expires' && name === 'old',
    'the end of old',
  );

  // A key wherever a client can put one, beside where it belongs.
  const body = JSON.stringify([
    command,
    ['mailboxCreate', { user: 'a@example.org', mailbox: [key] }, 't'],
    ['mailboxStatus', { user: key, field: ['messages'], mailboxMask: ['INBOX'] }, 't'],
    [key, {}, 't'],
  ]);
  const headers = { 'Dovegate-Reason': `because ${key}`, 'User-Agent': key };
  const answer = await askRaw(
    { port },
    encodePost({ body, authorization: authorizationOf.key(key), headers }),
  );
  assert.equal(answer.status, 200);
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  for (const authorization of [
    `Basic ${base64(`${key}:x`)}`,
    `Bearer ${key}x`,
    `Bearer ${other.key}`,
    `Basic ${base64(`graph:${key}`)}`,
    `X-Dovecot-API ${base64(key.slice(0, -1))}`,
  ])
    assert.equal((await ask(authorization)).status, 401, authorization);

  const { body: shown } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/status.json');
  const keys: readonly Readonly<Record<string, unknown>>[] = JSON.parse(shown).keys;
  assert.deepEqual(
    keys.map(({ name, expires, last_used: used, failures }) => [
      name,
      expires !== undefined,
      used !== undefined,
      failures,
    ]),
    [
      ['modoboa', true, true, 1],
      ['graph', false, false, 1],
      ['old', true, false, 0],
    ],
  );
  const table = await runWarm(['status', '--socket', daemon.path('admin.sock')]);
  assert.match(table.text, /^modoboa@panel +support +\d{4}-\d\d-\d\d +\d{4}-\S+Z +1$/m);
  const { body: metrics } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics');
  for (const [series, value] of [
    ['key_failures_total{listener="panel",key="graph",reason="address"}', '1'],
    ['key_failures_total{listener="panel",key="modoboa",reason="name"}', '1'],
    ['http_requests_total{listener="panel",status="200"}', '1'],
    ['http_requests_total{listener="panel",status="401"}', '5'],
    ['logins_total{listener="panel",result="ok"}', '1'],
    ['logins_total{listener="panel",result="failed"}', '5'],
  ] as const)
    assert.ok(metrics.includes(`dovegate_${series} ${value}\n`), series);
  assert.match(
    metrics,
    /^dovegate_key_last_used_timestamp_seconds\{listener="panel",key="modoboa"\} \d{10}$/m,
  );

  await daemon.stop();
  const reasons = auditRecords(daemon).flatMap(({ event, reason }) =>
    event === 'admission' ? [String(reason)] : [],
  );
  assert.ok(
    reasons.length > 0 && reasons.every((reason) => reason === `because ${key.slice(0, 13)}[key]`),
    reasons.join(),
  );
  const texts = daemon.logs.filter(({ event }) => event === 'login-failed').map(({ text }) => String(text));
  assert.ok(
    texts.some((text) => text.startsWith('key graph was used from outside of its networks')),
    texts.join('\n'),
  );
  assert.ok(
    texts.some((text) => text.startsWith('key modoboa was used with the name of another key')),
    texts.join('\n'),
  );
  assert.deepEqual(daemon.grepSecrets([key, other.key, key.slice(13, 40)]), []);
});

void test('an open connection ends when its key does; the next request is refused', async (t) => {
  const key = makeKey(randomBytes(keyBytes));
  const yaml = (expires: string): string =>
    `panel: { hash: "${hashKey(key)}", policy: support, expires: ${expires} }`;
  const { port, reload, ask, backend } = await openPanel(t, yaml('2099-01-01'));
  const authorization = authorizationOf.key(key);
  const client = await openRawHttp({ port });
  t.after(() => client.close());
  const asked = async (): Promise<number> => {
    await client.write(encodePost({ body: JSON.stringify([command]), authorization, keepsAlive: true }));
    return (await client.readAnswer()).status;
  };
  assert.equal(await asked(), 200);
  // A reload on a busy machine takes its time, and must be over before the key is.
  const endMs = Date.now() + 8000;
  await reload(yaml(new Date(endMs).toISOString()));
  assert.equal(await asked(), 200, 'a reload that leaves the key leaves its connection');
  await until(() => Date.now() > endMs, 'the end of the key');
  const served = backend.commands.length;
  assert.equal(await asked(), 401);
  assert.equal(await client.readEnd(), 'closed');
  assert.equal((await ask(authorization)).status, 401);
  assert.equal(backend.commands.length, served);
});
