// Goal: what the announced minor does not say of a release is decided by the reply, by the configuration, or against the command; and a
// newer Dovecot gets what `newer` says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelAccess } from '../../../src/gate/session/greet-peer.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import { type MemoryEngine, openMemoryEngine, openWithClient } from '../../kit/gate/memory-engine.js';
import { column } from '../../kit/plain/columns.js';
import { ask, post } from '../session/http.js';

const base = `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server", connections: 2, shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*"]
    allow: [quota get, { command: mailbox status, all_users: true }, mailbox create]
`;

function open(minor: number | (() => number), keys = '', http = false): MemoryEngine {
  const settings = base
    .replace('shared_namespaces', `${keys}shared_namespaces`)
    .replace('policy: support }', http ? 'protocol: http, policy: support }' : 'policy: support }');
  const access = () => ({ ...kernelAccess, protocol: 'http' as const });
  return openMemoryEngine({ settings, minor, ...(http && { access }) });
}

const guid = '0123456789abcdef0123456789abcdef';
/** Rows of `mailbox status all`, before 2.4.2 and since. */
const rows = {
  older: `INBOX\t3\t0\t4\t99\t3\t7\t1200\t${guid}\tnever\t`,
  newer: `INBOX\t3\t0\t1\t4\t99\t3\t7\t1200\t${guid}\tnever\t`,
};

for (const [minor, row] of [
  [2, rows.older],
  [3, rows.older],
  [3, rows.newer],
  [4, rows.newer],
  [5, rows.newer],
] as const) {
  const cells = row.split('\t').length - 1;

  void test(`mailbox status all of a client that wants the user in front, minor ${minor}, ${cells} cells`, async () => {
    const engine = open(minor);
    engine.setAnswer(() => replyPacket(`${row}${row}\n+\n`));
    const client = await engine.client(0);
    await client.line('|bob@example.org|mailbox status|-A|-u|bob@example.org|--|all|*');
    assert.equal(client.said(), `bob@example.org\t${row}bob@example.org\t${row}\n+\n`);
    assert.deepEqual(column(engine.commands, 'line'), ['\tbob@example.org\tmailbox status\t--\tall\t*']);
  });

  void test(`mailbox status all over HTTP, minor ${minor}, ${cells} cells`, async () => {
    for (const [parameters, before] of [
      [{ user: 'bob@example.org' }, ''],
      [{ allUsers: true }, 'bob@example.org\t'],
    ] as const) {
      if (minor < 3 && before !== '') continue;
      const engine = open(minor, `series: "${minor < 3 ? '2.3' : '2.4'}", `, true);
      engine.setAnswer(() => replyPacket(`${before}${row}${before}${row}\n+\n`));
      const answer = await askHttp(engine, { ...parameters, field: ['all'], mailboxMask: '*' });
      assert.equal(answer?.[0], 'doveadmResponse', JSON.stringify(answer));
      const found = answer[1];
      assert.equal(found.length, 2);
      for (const one of found) {
        assert.deepEqual([one.mailbox, one.guid, one.firstsaved], ['INBOX', guid, 'never']);
        assert.deepEqual([one.recent, one.uidnext, one.unseen], ['0', '4', '3']);
        assert.equal(one.deleted, cells === 11 ? '1' : undefined);
        assert.equal(one.username, before === '' ? undefined : 'bob@example.org');
      }
    }
  });
}

void test('rows that no known release sends are an error, never other rows', async () => {
  const unknown = rows.newer.replace('INBOX', 'INBOX\t9');
  const engine = open(5);
  engine.setAnswer(() => replyPacket(`${unknown}\n+\n`));
  const client = await engine.client(0);
  await client.line('|bob@example.org|mailbox status|-A|-u|bob@example.org|--|all|*');
  assert.equal(client.said(), '\n-TEMPFAIL\n');
  const over = open(5, '', true);
  over.setAnswer(() => replyPacket(`${unknown}\n+\n`));
  const failed = await askHttp(over, { user: 'bob@example.org', field: ['all'], mailboxMask: '*' });
  assert.deepEqual([failed?.[0], failed?.[1].exitCode, failed?.[1].code], ['error', 75, 'reply-bad-frame']);
  for (const { recordsOf } of [engine, over])
    assert.equal(recordsOf('completion').at(-1)?.outcome, 'unknown');
});

/** The entry of the only command in the answer. */
async function askHttp(engine: MemoryEngine, parameters: object) {
  return JSON.parse((await ask(engine, post([['mailboxStatus', parameters, 't']]))).body)[0];
}

/** The codes of the completions, and the commands that came to the backend. */
function ends({ recordsOf, commands }: MemoryEngine): readonly (readonly [string | undefined, number])[] {
  const errors = recordsOf('completion').map(({ error }) => error);
  return errors.map((error) => [error, commands.length] as const);
}

const deleted = '|bob@example.org|mailbox status|messages deleted|INBOX';

void test('a line that one series alone can read needs no other command before it: the first upstream decides', async () => {
  const replicator = '|bob@example.org|sync|-d|-N|-l|30|-U|-f|-s|';
  const options = [
    'default-destination',
    'all-namespaces',
    'lock-timeout',
    'replicator-notify',
    'full-sync',
    'state',
  ];
  const where = options.map((option) => `${option}: any`).join(', ');
  const sync = '{ command: dsync-server, where: { replicator-notify: any } }';
  const allow = `${sync}, fts flatcurve check, { command: sync, root_equivalent: true, where: { ${where} } }`;
  // [announced minor, line, code of the refusal]
  for (const [minor, line, code] of [
    [2, replicator, undefined],
    [3, replicator, 'unknown-option'],
    // After it nobody knows what follows, so its session ends.
    [3, '|bob@example.org|dsync-server|-U', 'unknown-option'],
    [3, '|bob@example.org|fts flatcurve check|INBOX', undefined],
    [2, '|bob@example.org|fts flatcurve check|INBOX', 'command-unknown'],
  ] as const) {
    const settings = base.replace('quota get', allow);
    const { engine, client } = await openWithClient(0, { settings, minor });
    await client.line(line);
    assert.deepEqual(ends(engine), [[code, code === undefined ? 1 : 0]], `${minor} ${line}`);
    assert.equal(client.said(), code === undefined ? '\n+\n' : '\n-USAGE\n');
    const closed = engine.recordsOf('session-close').map(({ reason }) => reason);
    assert.deepEqual(closed, line.includes('dsync-server') ? ['input-unknown'] : []);
  }
});

void test('mailbox status deleted goes where every possible release has the field', async () => {
  // [announced minor, configured release, code of the refusal]
  for (const [minor, release, code] of [
    [2, '', 'fields-invalid'],
    [3, '', 'release-unsure'],
    [3, 'release: 2.4.1, ', 'release-unsure'],
    [3, 'release: 2.4.2, ', undefined],
    [3, 'release: 2.4.4, ', undefined],
    [4, '', undefined],
    [5, '', undefined],
  ] as const) {
    const engine = open(minor, release);
    const client = await engine.client(3);
    // The backend is known by its first greeting.
    await client.line('|bob@example.org|quota get');
    engine.forget();
    await client.line(deleted);
    await client.line(deleted);
    const sent = code === undefined ? 2 : 0;
    assert.deepEqual(
      ends(engine),
      [
        [code, sent],
        [code, sent],
      ],
      `${minor} ${release}`,
    );
  }
});

void test('a backend that was never greeted is greeted first', async () => {
  for (const [minor, code] of [
    [3, 'release-unsure'],
    [4, undefined],
  ] as const) {
    const engine = open(minor, 'series: "2.4", ');
    const client = await engine.client(3);
    await client.line(deleted);
    assert.deepEqual(ends(engine), [[code, code === undefined ? 1 : 0]]);
  }
});

void test('a newer Dovecot gets reads, everything or nothing', async () => {
  for (const [newer, read, change] of [
    ['', undefined, 'backend-newer'],
    ['newer: reads, ', undefined, 'backend-newer'],
    ['newer: serve, ', undefined, undefined],
    ['newer: refuse, ', 'version-unsupported', 'version-unsupported'],
  ] as const) {
    const engine = open(5, newer);
    const client = await engine.client(3);
    await client.line('|bob@example.org|quota get');
    await client.line('|bob@example.org|mailbox create|New');
    const errors = engine.recordsOf('completion').map(({ error }) => error);
    assert.deepEqual(errors, [read, change], newer);
    const sent = [read, change].filter((code) => code === undefined).length;
    assert.equal(engine.commands.length, sent);
    if (change === 'backend-newer') assert.match(client.said(), /\n-NOPERM\n$/);
  }
});

void test('the refusal names the backend and the key', async () => {
  const engine = open(5);
  const client = await engine.client(2);
  await client.line('|bob@example.org|mailbox create|New');
  assert.match(
    client.said(),
    /backend mail1 is newer than this dovegate knows, .* \(backends\.mail1\.newer: reads\)/,
  );
  const unsure = open(3);
  const other = await unsure.client(2);
  await other.line('|bob@example.org|quota get');
  await other.line(deleted);
  assert.match(
    other.said(),
    /without the field "deleted" die of it, and backend mail1 may be one; .*backends\.mail1\.release/,
  );
});

void test('an upgrade to a newer Dovecot is noticed at the next connection, and going back too', async () => {
  let minor = 4;
  const engine = open(() => minor);
  const client = await engine.client(3);
  const create = '|bob@example.org|mailbox create|New';
  for (const next of [4, 5, 4]) {
    minor = next;
    // Ends the upstream, so that the next one is another.
    engine.setAnswer(() => replyPacket('\n-TEMPFAIL\n'));
    await client.line('|bob@example.org|quota get');
    engine.setAnswer(() => replyPacket('\n+\n'));
    await client.line('|bob@example.org|quota get');
    await client.line(create);
  }
  const errors = engine.records.flatMap(({ record }) =>
    record.event === 'completion' && record.command === 'mailbox create' ? [record.error] : [],
  );
  assert.deepEqual(errors, [undefined, 'backend-newer', undefined]);
});
