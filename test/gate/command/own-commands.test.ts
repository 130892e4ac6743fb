// Goal: `dovegate can` and `dovegate explain` are answered here, for who asks, as recorded exchanges. What must not happen: a byte
// upstream, a question to the auth service, a limit of the explained command that is used up, a secret or an unread argument in
// a record, a path or somebody else's policy in an answer.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type MemoryEngineOptions, openWithClient } from '../../kit/gate/memory-engine.js';
import { column } from '../../kit/plain/columns.js';

const settings = `
version: 1
mail_users: { default_realm: example.org, resolve: /run/dovecot/dovegate-userdb }
listeners:
  support: { unix: /run/dovegate/support.sock, policies: [{ peers: { users: [0] }, policy: wheel }, { policy: support }] }
backends:
  mail1: { address: "unix:/run/dovecot/doveadm-server", shared_namespaces: [] }
  mail2: { address: "unix:/run/dovecot/doveadm-server2", shared_namespaces: [] }
routes: [{ users: ["*@example.org"], backend: mail1 }, { users: ["*@example.com"], passdb: /run/dovecot/dovegate-userdb }]
policies:
  support:
    users: ["*@example.org", "*@example.com"]
    except: [ceo@example.org]
    allow:
      - { command: quota get, limit: 1/hour }
      - { command: auth cache flush, where: { user: any } }
      - { command: mailbox list, where: { mailbox-mask: any } }
    limits: { distinct_users: 1/hour }
  wheel: { users: ["*"], allow: [who] }
`;

/** Lines to one session: the rows of each answer as `what value`, then its status line. */
async function ask(lines: readonly string[], options: MemoryEngineOptions & { minor?: number } = {}) {
  const auth = (): string => assert.fail('the auth service was asked');
  const { engine, client } = await openWithClient(0, { settings, auth, ...options });
  for (const line of lines) await client.line(line);
  const replies = client
    .said()
    .split(/\n(?=[+-])/)
    .flatMap((text, at, all) => {
      const [status = '', body = ''] = at === 0 ? ['', text] : text.split('\n');
      const next = all[at + 1]?.split('\n')[0];
      if (next === undefined) return [];
      const cells = (at === 0 ? text : body).split('\t');
      const rows: string[] = [];
      for (let cell = 0; cell + 1 < cells.length; cell += 2) rows.push(`${cells[cell]} ${cells[cell + 1]}`);
      assert.ok(at === 0 || status !== '');
      return [{ rows, status: next }];
    });
  const of = (event: string) => engine.records.filter(({ record }) => record.event === event);
  return { engine, client, replies, admissions: of('admission'), completions: of('completion') };
}

void test('can tells the policy of who asks, and of nobody else', async () => {
  const { replies, engine, admissions, completions } = await ask(['||dovegate can', '||dovegate|can']);
  for (const { rows, status } of replies) {
    assert.equal(status, '+');
    assert.deepEqual(rows.slice(0, 6), [
      'listener support',
      'principal 1000@support',
      'policy support',
      'mode enforce',
      'user *@example.org',
      'user *@example.com',
    ]);
    assert.ok(rows.includes('allow quota get'));
    assert.doesNotMatch(rows.join('\n'), /wheel|\.yaml|\.sock|auth-userdb/);
  }
  assert.equal(replies.length, 2);
  assert.deepEqual(engine.commands, []);
  for (const { record, durable } of admissions) {
    assert.equal(durable, true);
    const { command, effect, decision, args, user, series, rule } = record;
    assert.deepEqual([command, effect, decision, args], ['dovegate can', 'session', 'allow', []]);
    assert.deepEqual([user, series, rule], ['', undefined, undefined]);
  }
  for (const { record } of completions) {
    assert.deepEqual([record.status, record.outcome, record.sent], ['+', 'ok', false]);
    assert.ok((record.bytes_out ?? 0) > 100);
  }
  const ended = engine.events.filter((event) => event.kind === 'exchange-ended');
  assert.deepEqual(
    ended.map(({ exchange, decision, outcome }) => [exchange.command, decision, outcome]),
    [1, 2].map(() => ['dovegate can', 'allow', 'ok']),
  );
});

void describe('explain', () => {
  const explain = async (words: string) => {
    const told = await ask([`||dovegate explain|${words}`]);
    assert.deepEqual(told.engine.commands, []);
    return { ...told, rows: told.replies[0]?.rows ?? [], status: told.replies[0]?.status };
  };

  void test('an allowed command, as often as one likes: its limits are not used up', async () => {
    const line = '||dovegate explain|-u|BOB|quota get';
    const { replies, engine, client } = await ask([line, line, '||dovegate explain|-u|eve|--|quota|get']);
    for (const { rows, status } of replies) {
      assert.equal(status, '+');
      for (const row of [
        'decision allow',
        'policy support',
        'rule quota get',
        'if at most 1 an hour',
        'sent quota get',
        'sent --',
        'effect read',
        'backend mail1',
        'term within the limit of its rule',
      ])
        assert.ok(rows.includes(row), row);
      assert.match(rows.join('\n'), /^later .*userdb/m);
    }
    assert.ok(replies[0]?.rows.includes('concerns bob@example.org'));
    assert.equal(replies.length, 3);
    assert.deepEqual(engine.commands, []);
    await client.line('||dovegate can');
    assert.equal(engine.recordsOf('completion').length, 4);
  });

  void test('whoever may not be named: nothing of where he lives', async () => {
    for (const user of ['ceo', 'bob@example.net', 'a b']) {
      const { rows } = await explain(`-u|${user}|quota get`);
      assert.doesNotMatch(rows.join('\n'), /^backend /m);
      assert.match(rows.join('\n'), /^no-backend /m);
      assert.doesNotMatch(rows.join('\n'), /^decision allow/m);
    }
  });

  void test('a user whose backend a passdb names: all that it may be, and nobody was asked', async () => {
    const { rows } = await explain('-u|bob@example.com|quota get');
    assert.ok(rows.includes('decision allow'));
    assert.ok(rows.includes('backend mail1') && rows.includes('backend mail2'));
    assert.match(rows.join('\n'), /^later .*passdb/m);
  });

  void test('what cannot be read, what is ours, and a command that nobody routes', async () => {
    assert.ok((await explain('-u|bob|quota|gte')).rows.includes('code command-unknown'));
    for (const words of ['dovegate can', 'dovegate|explain|dovegate|explain|quota|get']) {
      const { rows } = await explain(words);
      assert.ok(rows.includes('decision allow'), words);
      assert.ok(rows.includes('no-backend dovegate answers it'));
    }
    const { rows } = await explain('auth cache flush|bob');
    assert.ok(rows.includes('decision allow'), rows.join('\n'));
    assert.match(rows.join('\n'), /^no-backend .*server_commands/m);
  });
});

void test('what is no question: refused as usage, recorded, and the session goes on', async () => {
  const wrong = [
    '||dovegate can|more',
    '||dovegate explain',
    '||dovegate explain|-x|quota get',
    '|bob|dovegate can',
    '|bob|dovegate explain|quota get',
    '||dovegate status',
    '||dovegate',
    '||dovegate|save',
    '||Dovegate can',
  ];
  const { replies, completions, engine } = await ask([...wrong, '||dovegate can']);
  assert.deepEqual(column(replies, 'status'), [...wrong.map(() => '-USAGE'), '+']);
  assert.deepEqual(engine.commands, []);
  const outcomes = completions.map(({ record }) => record.outcome);
  assert.deepEqual(outcomes, [...wrong.map(() => 'unparsable'), 'ok']);
});

void test('the rate of the policy counts these too; the disk of the records is as full for them', async () => {
  const rated = settings.replace('distinct_users: 1/hour', 'rate: 2/hour');
  const { replies } = await ask(['||dovegate can', '||dovegate explain|-u|bob|quota get', '||dovegate can'], {
    settings: rated,
  });
  assert.deepEqual(column(replies, 'status'), ['+', '+', '-TEMPFAIL']);
  const { engine, client } = await openWithClient(0, { settings });
  engine.setSpace('reserve');
  await client.line('||dovegate can');
  engine.setSpace('normal');
  engine.setJournal('refuse');
  await client.line('||dovegate can');
  assert.match(client.said(), /^\n-TEMPFAIL\n\n-TEMPFAIL\n$/);
});
