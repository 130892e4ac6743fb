// Goal: one command, one or several backends, and never more than was promised: a change is sent once, a read at most twice and only
// if nothing of its answer came, a referral is followed once to a backend that we know, joined rows are whole and never silently partial.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { type DialledEnd, replyPacket } from '../../kit/gate/memory-backend.js';
import { type Answer, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';
import { until } from '../../kit/plain/until.js';

const password = join(openFolder({ after }), 'password');
writeFileSync(password, 'secret\n', { mode: 0o600 });

const settings = `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support, sessions: 3 } }
backends:
  mail1: { address: "127.0.0.1:1", tls: off, password_file: ${password}, shared_namespaces: [], series: "2.3" }
  mail2: { address: "127.0.0.2:2", tls: off, password_file: ${password}, shared_namespaces: [], series: "2.3" }
  mail3: { address: "127.0.0.3:3", tls: off, password_file: ${password}, shared_namespaces: [], series: "2.3" }
routes:
  - { users: ["*@example.org"], backend: mail1 }
  - { users: ["*@example.net"], backend: mail2 }
  - { users: ["*"], backend: mail3 }
server_commands: { process status: all, kick: by_user }
policies:
  support:
    users: ["*"]
    allow:
      - quota get
      - mailbox create
      - search
      - { command: who, masks: true }
      - service status
      - process status
      - { command: reload, root_equivalent: true }
      - kick
      - penalty
      - { command: sync, root_equivalent: true, where: { destination: any } }
`;

const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
const numberOf = ({ address }: DialledEnd): number =>
  address.kind === 'tcp' ? hosts.indexOf(address.host) + 1 : 0;

interface Heard {
  readonly said: string;
  /** `1 |alice@example.org|quota get|--`: the number of the backend and what it got. */
  readonly sent: readonly string[];
  readonly completion: AuditRecord | undefined;
  /** Records of channel L, and of referrals. */
  readonly logs: readonly { readonly record: AuditRecord; readonly durable: boolean }[];
  readonly admission: AuditRecord | undefined;
}

/** One line, and how each backend answers. `earlier`: another line before it, which goes well and is not told of. */
async function ask(
  line: string,
  answer: (backend: number, time: number, end: DialledEnd) => string | undefined,
  earlier?: string,
): Promise<Heard> {
  const engine = openMemoryEngine({ settings });
  // The password of each backend is read from a real file, which takes real time.
  const ends = (count: number) =>
    until(() => engine.recordsOf('completion').length === count, `${count} ends`);
  const times = new Map<number, number>();
  const reply: Answer = (_line, end) => {
    const backend = numberOf(end);
    const time = (times.get(backend) ?? 0) + 1;
    times.set(backend, time);
    const text = answer(backend, time, end);
    return text === undefined ? undefined : replyPacket(text);
  };
  const client = await engine.client(2);
  const before = earlier === undefined ? 0 : 1;
  if (earlier !== undefined) {
    await client.line(earlier);
    await ends(before);
  }
  const saidBefore = client.said().length;
  engine.setAnswer(reply);
  await client.line(line);
  await ends(before + 1);
  const find = (event: string): AuditRecord | undefined =>
    engine.records.findLast(({ record }) => record.event === event)?.record;
  return {
    said: client.said().slice(saidBefore),
    sent: engine.commands
      .slice(before)
      .map(({ line: sent, end }) => `${numberOf(end)} ${sent.replaceAll('\t', '|')}`),
    admission: find('admission'),
    logs: engine.records.filter(({ record }) => record.event === 'log'),
    completion: find('completion'),
  };
}

const good = '\n+\n';
/** The backend ends the connection instead of answering. */
function hangUp(end: DialledEnd): undefined {
  end.peer.end();
  return undefined;
}
const statusOf = (said: string): string => said.trimEnd().split('\n').at(-1) ?? '';
const partsOf = ({ completion }: Heard): unknown[] =>
  (completion?.backends ?? []).map((part) =>
    typeof part === 'string' ? part : [part.backend, part.outcome, part.status, part.cells],
  );

void describe('a second try', () => {
  const earlier = '|a@example.org|quota get';

  void test('PROTOCOL 12 trap 27: a read whose upstream, which had served before, ended before a byte came', async () => {
    const heard = await ask(
      '|a@example.org|quota get',
      (_backend, time, end) => (time === 1 ? hangUp(end) : good),
      earlier,
    );
    assert.deepEqual(heard.sent, ['1 |a@example.org|quota get|--', '1 |a@example.org|quota get|--']);
    assert.equal(statusOf(heard.said), '+');
    assert.equal(heard.completion?.outcome, 'ok');
    assert.deepEqual(partsOf(heard), [
      ['mail1', 'unknown', undefined, 0],
      ['mail1', 'ok', '+', 0],
    ]);
  });

  void test('but not a third', async () => {
    const heard = await ask('|a@example.org|quota get', (_backend, _time, end) => hangUp(end), earlier);
    assert.equal(heard.sent.length, 2);
    assert.equal(statusOf(heard.said), '-TEMPFAIL');
    assert.equal(heard.completion?.outcome, 'unknown');
  });

  void test('PROTOCOL 8: not a read that killed an upstream that was opened for it', async () => {
    const heard = await ask('|a@example.org|quota get', (_backend, _time, end) => hangUp(end));
    assert.equal(heard.sent.length, 1);
    assert.deepEqual([heard.completion?.outcome, heard.completion?.error], ['unknown', 'closed-early']);
  });

  void test('not a change', async () => {
    const heard = await ask('|a@example.org|mailbox create|Box', (_backend, _time, end) => hangUp(end));
    assert.equal(heard.sent.length, 1);
    assert.deepEqual([statusOf(heard.said), heard.completion?.outcome], ['-TEMPFAIL', 'unknown']);
  });

  void test('not after a byte of the reply', async () => {
    const heard = await ask('|a@example.org|search|mailbox|INBOX', (_backend, _time, end) => {
      end.peer.send(replyPacket('guid\t1'));
      return hangUp(end);
    });
    assert.equal(heard.sent.length, 1);
    assert.equal(heard.completion?.outcome, 'unknown');
  });
});

void describe('a referral', () => {
  const refer = (to: string) => (backend: number) => (backend === 1 ? `\n-REFERRAL ${to}\n` : good);

  void test('is followed once, for a change too', async () => {
    const heard = await ask('|a@example.org|mailbox create|Box', refer('a@example.org@127.0.0.2:2'));
    assert.deepEqual(heard.sent, [
      '1 |a@example.org|mailbox create|--|Box',
      '2 |a@example.org|mailbox create|--|Box',
    ]);
    assert.equal(statusOf(heard.said), '+');
    assert.equal(heard.completion?.backend, 'mail2');
    assert.deepEqual(partsOf(heard).length, 2);
    // The admission cannot know of the second backend: a record of its own names it before anything goes there.
    const { admission, logs } = heard;
    assert.equal(admission?.backend, 'mail1');
    const said = logs.map(({ record, durable }) => [record.id, record.backend, record.level, durable]);
    assert.deepEqual(said, [[admission?.id, 'mail2', 'info', true]]);
  });

  void test('is not followed when that cannot be recorded', async () => {
    const engine = openMemoryEngine({ settings });
    engine.setAnswer(() => {
      engine.setJournal('refuse');
      return replyPacket('\n-REFERRAL a@example.org@127.0.0.2:2\n');
    });
    const client = await engine.client(2);
    await client.line('|a@example.org|mailbox create|Box');
    await until(() => client.said() !== '', 'the answer');
    assert.match(client.said(), /audit record could not be written/);
    assert.equal(engine.commands.length, 1);
  });

  // [what, where it points]
  const notFollowed: readonly (readonly [string, string])[] = [
    ['to a stranger', 'a@example.org@198.51.100.1'],
    ['to itself', 'a@example.org@127.0.0.1'],
    ['for another user', 'ceo@example.org@127.0.0.2'],
    ['to nobody', 'nonsense'],
  ];
  for (const [what, to] of notFollowed) {
    void test(`${what} is not followed, and the client never sees it`, async () => {
      const heard = await ask('|a@example.org|quota get', refer(to));
      assert.equal(heard.sent.length, 1);
      assert.equal(statusOf(heard.said), '-TEMPFAIL');
      assert.doesNotMatch(heard.said, /REFERRAL/);
      assert.deepEqual([heard.completion?.outcome, heard.completion?.error], ['failed', 'referral']);
    });
  }

  void test('leaves its user there: who comes for the first backend waits, is told so, and no longer than a queue lasts', async () => {
    const engine = openMemoryEngine({ settings });
    const answer = refer('a@example.org@127.0.0.2:2');
    engine.setAnswer((_line, end) => (numberOf(end) === 1 ? replyPacket(answer(1)) : undefined));
    const sentTo = (): number[] => engine.commands.map(({ end }) => numberOf(end));
    const first = await engine.client(2);
    await first.line('|a@example.org|quota get');
    await until(() => sentTo().length === 2, 'the second backend');
    const second = await engine.client(2);
    await second.line('|a@example.org|quota get');
    await engine.clock.advance(29_999);
    assert.match(second.said(), /waiting for mail1 \[waiting\]\n/);
    assert.equal(engine.recordsOf('completion').length, 0);
    await engine.clock.advance(1);
    assert.equal(statusOf(second.said()), '-TEMPFAIL');
    assert.deepEqual(sentTo(), [1, 2]);
    const { record } = engine.records.findLast(({ record: each }) => each.event === 'completion') ?? {};
    assert.deepEqual([record?.outcome, record?.error, record?.sent], ['failed', 'queue-timeout', false]);
    for (const client of [first, second]) client.peer.end();
    await engine.untilIdle();
  });

  void test('to a referral ends there', async () => {
    const heard = await ask('|a@example.org|quota get', (backend) =>
      backend === 1 ? '\n-REFERRAL a@example.org@127.0.0.2\n' : '\n-REFERRAL a@example.org@127.0.0.3\n',
    );
    assert.equal(heard.sent.length, 2);
    assert.equal(statusOf(heard.said), '-TEMPFAIL');
  });
});

void describe('several backends', () => {
  const rows = (backend: number): string => `user${backend}\t1\timap\t(1)\t(127.0.0.1)\t`;

  void test('rows of all, one status', async () => {
    const heard = await ask('||who', (backend) => `${rows(backend)}${good}`);
    assert.equal(heard.sent.length, 3);
    assert.equal(statusOf(heard.said), '+');
    for (const backend of [1, 2, 3]) assert.ok(heard.said.includes(rows(backend)));
    assert.equal(heard.said.split('\n+\n').length, 2, 'one end of the rows');
    assert.deepEqual(heard.admission?.backends, ['mail1', 'mail2', 'mail3']);
    assert.deepEqual(partsOf(heard), [
      ['mail1', 'ok', '+', 5],
      ['mail2', 'ok', '+', 5],
      ['mail3', 'ok', '+', 5],
    ]);
    assert.deepEqual([heard.completion?.cells, heard.completion?.outcome], [15, 'ok']);
  });

  void test('one of them is down: the rows of the others, and a failure', async () => {
    const heard = await ask('||who', (backend, _time, end) => {
      if (backend !== 2) return `${rows(backend)}${good}`;
      end.peer.send(replyPacket('half\ta\t'));
      return hangUp(end);
    });
    assert.equal(statusOf(heard.said), '-TEMPFAIL');
    assert.ok(heard.said.includes(rows(1)) && heard.said.includes(rows(3)));
    assert.ok(!heard.said.includes('half'), 'a part of a row got out');
    assert.match(heard.said, /mail1 answered; mail2: .*; mail3 answered/);
    assert.equal(heard.completion?.outcome, 'unknown');
  });

  void test('one of them ends within a row and says that all went well: it did not', async () => {
    const heard = await ask('||who', (backend) =>
      backend === 2 ? `${rows(2)}half\ta\t${good}` : `${rows(backend)}${good}`,
    );
    assert.equal(statusOf(heard.said), '-TEMPFAIL');
    assert.ok(heard.said.includes(rows(2)) && !heard.said.includes('half'));
    assert.equal(heard.completion?.error, 'reply-bad-frame');
  });

  // [statuses of the three, what the client gets]
  const statuses: readonly (readonly [readonly string[], string])[] = [
    [['+', '-NOTFOUND', '+'], '+'],
    [['-NOTFOUND', '-NOTFOUND', '-NOTFOUND'], '-NOTFOUND'],
    [['+', '-USAGE', '+'], '-USAGE'],
    [['-NOPERM', '-USAGE', '+'], '-TEMPFAIL'],
  ];
  for (const [said, expected] of statuses) {
    void test(`${said.join(' ')} is ${expected}`, async () => {
      const heard = await ask('||who', (backend) => `\n${said[backend - 1] ?? ''}\n`);
      assert.equal(statusOf(heard.said), expected);
    });
  }

  void test('a change without a line goes nowhere, and the client hears which key is missing', async () => {
    const heard = await ask('||reload', () => good);
    assert.deepEqual(heard.sent, []);
    assert.equal(statusOf(heard.said), '-USAGE');
    assert.match(heard.said, /server_commands has no line "reload: BACKEND"/);
  });

  void test('by the users of the arguments', async () => {
    assert.deepEqual((await ask('||kick|a@example.net|b@example.net', () => good)).sent, [
      '2 ||kick|--|a@example.net|b@example.net',
    ]);
    const apart = await ask('||kick|a@example.net|b@example.org', () => good);
    assert.deepEqual([apart.sent, statusOf(apart.said)], [[], '-USAGE']);
  });
});

void test('a server command does not wait for a command that runs for the user whom it names', async () => {
  const engine = openMemoryEngine({ settings: settings.replace('kick: by_user', 'kick: mail2') });
  engine.setAnswer((line) => (line.includes('kick') ? replyPacket(good) : undefined));
  const sent = (count: number) => until(() => engine.commands.length >= count, `${count} commands`);
  const [reader, operator] = [await engine.client(2), await engine.client(2)];
  await reader.line('|a@example.org|quota get');
  await sent(1);
  await operator.line('||kick|a@example.org');
  await sent(2);
  await settle();
  assert.equal(statusOf(operator.said()), '+');
  assert.deepEqual(
    engine.commands.map(({ end }) => numberOf(end)),
    [1, 2],
  );
});

void test('a command that amounts to root gets an upstream on which nothing ran: a process of 2.3 gives its rights up for its first user', async () => {
  const engine = openMemoryEngine({ settings });
  engine.setAnswer(() => replyPacket(good));
  const client = await engine.client(2);
  for (const line of [
    '|a@example.org|quota get',
    '|a@example.org|quota get',
    '|a@example.org|sync|maildir:~/x',
  ]) {
    const count = engine.commands.length + 1;
    await client.line(line);
    await until(() => engine.commands.length >= count, line);
    await settle();
  }
  const [first, second, third] = engine.commands.map(({ end }) => end);
  assert.equal(first, second);
  assert.notEqual(third, second);
});
