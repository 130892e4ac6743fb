// Goal: one command, one or several backends, and never more than was promised: a change is sent once, a read at most twice and only
// if nothing of its answer came, a referral is followed once to a backend that we know, joined rows are whole and never silently partial.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parseStatus } from '../../../src/doveadm/reply/reply.js';
import { joinEndings } from '../../../src/gate/command/dispatch.js';
import { type Ending, judgeEnding } from '../../../src/gate/outcome/outcome.js';
import { type DialledEnd, replyPacket } from '../../kit/gate/memory-backend.js';
import { type MemoryEngine, openMemoryEngine, openWithClient } from '../../kit/gate/memory-engine.js';
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

interface Asking {
  /** Another line before it, which goes well and is not told of. */
  readonly earlier?: string;
  readonly settings?: string;
  /** What the client announces, and what a backend greets with. */
  readonly minors?: { readonly client: number; readonly backend: () => number };
  readonly onOpen?: (engine: MemoryEngine) => void;
}

/** One line, and how each backend answers; `sent`: the number of each backend and what it got, `1 |alice@example.org|quota get|--`. */
async function ask(
  line: string,
  answer: (backend: number, time: number, end: DialledEnd) => string | undefined,
  { earlier, settings: text = settings, minors, onOpen = () => undefined }: Asking = {},
) {
  const engine = openMemoryEngine({ settings: text, ...(minors && { minor: minors.backend }) });
  onOpen(engine);
  // The password of each backend is read from a real file, which takes real time.
  const ends = (count: number) =>
    until(() => engine.recordsOf('completion').length === count, `${count} ends`);
  const times = new Map<number, number>();
  const client = await engine.client(minors?.client ?? 2);
  const before = earlier === undefined ? 0 : 1;
  if (earlier !== undefined) {
    await client.line(earlier);
    await ends(before);
  }
  const saidBefore = client.said().length;
  engine.setAnswer((_line, end) => {
    const backend = numberOf(end);
    const time = (times.get(backend) ?? 0) + 1;
    times.set(backend, time);
    const reply = answer(backend, time, end);
    return reply === undefined ? undefined : replyPacket(reply);
  });
  await client.line(line);
  await ends(before + 1);
  return {
    said: client.said().slice(saidBefore),
    sent: engine.commands
      .slice(before)
      .map(({ line: sent, end }) => `${numberOf(end)} ${sent.replaceAll('\t', '|')}`),
    admission: engine.recordsOf('admission').at(-1),
    logs: engine.records.filter(({ record }) => record.event === 'log'),
    completion: engine.recordsOf('completion').at(-1),
  };
}

const good = '\n+\n';
/** The backend ends the connection instead of answering. */
function hangUp(end: DialledEnd): undefined {
  end.peer.end();
  return undefined;
}
const statusOf = (said: string): string => said.trimEnd().split('\n').at(-1) ?? '';
const partsOf = ({ completion }: Awaited<ReturnType<typeof ask>>): unknown[] =>
  (completion?.backends ?? []).map((part) =>
    typeof part === 'string' ? part : [part.backend, part.outcome, part.status, part.cells],
  );

void describe('a second try', () => {
  const earlier = '|a@example.org|quota get';

  void test('PROTOCOL 12 trap 27: a read whose upstream, which had served before, ended before a byte came', async () => {
    const heard = await ask(
      '|a@example.org|quota get',
      (_backend, time, end) => (time === 1 ? hangUp(end) : good),
      { earlier },
    );
    assert.deepEqual(heard.sent, ['1 |a@example.org|quota get|--', '1 |a@example.org|quota get|--']);
    assert.equal(statusOf(heard.said), '+');
    assert.equal(heard.completion?.outcome, 'ok');
    assert.deepEqual(partsOf(heard), [
      ['mail1', 'unknown', undefined, 0],
      ['mail1', 'ok', '+', 0],
    ]);
  });

  const halfAnswer = (end: DialledEnd): undefined => {
    end.peer.send(replyPacket('guid\t1'));
    return hangUp(end);
  };
  const quota = '|a@example.org|quota get';
  for (const [what, line, answer, before, sent] of [
    ['but not a third', quota, hangUp, { earlier }, 2],
    ['PROTOCOL 8: not a read that killed an upstream opened for it', quota, hangUp, {}, 1],
    ['not a change', '|a@example.org|mailbox create|Box', hangUp, {}, 1],
    ['not after a byte of the reply', '|a@example.org|search|mailbox|INBOX', halfAnswer, {}, 1],
  ] as const)
    void test(what, async () => {
      const heard = await ask(line, (_backend, _time, end) => answer(end), before);
      assert.equal(heard.sent.length, sent);
      assert.equal(statusOf(heard.said), '-TEMPFAIL');
      assert.deepEqual([heard.completion?.outcome, heard.completion?.error], ['unknown', 'closed-early']);
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
  const reached = engine.commands.map(({ end }) => numberOf(end));
  assert.deepEqual(reached, [1, 2]);
});

void test('a command that amounts to root gets an upstream on which nothing ran: a process of 2.3 gives its rights up for its first user', async () => {
  const { engine, client } = await openWithClient(2, { settings, answer: () => replyPacket(good) });
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

void describe('what was judged for one backend is not taken for judged at another', () => {
  /** Two backends with these keys besides, and these rules. */
  const settingsOf = (mail1: string, mail2: string, rules: readonly string[]): string => `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support, sessions: 3 } }
backends:
  mail1: { address: "127.0.0.1:1", tls: off, password_file: ${password}, idle: 0, ${mail1} }
  mail2: { address: "127.0.0.2:2", tls: off, password_file: ${password}, idle: 0, ${mail2} }
routes:
  - { users: ["*@example.org"], backend: mail1 }
  - { users: ["*"], backend: mail2 }
policies:
  support:
    users: ["*"]
    allow:
${rules.map((rule) => `      - ${rule}`).join('\n')}
`;
  const refer = (backend: number): string =>
    backend === 1 ? '\n-REFERRAL a@example.org@127.0.0.2:2\n' : good;
  const expunge = '|a@example.org|expunge|mailbox|Team/ceo|all';
  const atFirst = ['1 |a@example.org|expunge|--|mailbox|Team/ceo|all'];
  const shared = 'shared_namespaces: ["Team/"], series: "2.3"';

  void test('a referral to a backend where another rule, with other terms, would allow it', async () => {
    const other = '{ command: expunge, shared: true, max_matches: 1, reason: required }';
    const rules = ['{ command: expunge }', other];
    const heard = await ask(expunge, refer, { settings: settingsOf('shared_namespaces: []', shared, rules) });
    assert.deepEqual([heard.sent, statusOf(heard.said)], [atFirst, '-TEMPFAIL']);
  });

  void test('a referral to one where another rule allows it, which ends while an upstream is dialled there', async () => {
    const rules = [
      '{ command: expunge }',
      '{ command: expunge, shared: true, expires: "2026-01-02T03:05:00Z" }',
    ];
    let ended: MemoryEngine | undefined;
    let dials = 0;
    const backend = (): number => {
      dials += 1;
      if (dials === 2) ended?.clock.leap(60_000);
      return 2;
    };
    const heard = await ask(expunge, refer, {
      settings: settingsOf('shared_namespaces: [], series: "2.3"', shared, rules),
      minors: { client: 2, backend },
      onOpen: (engine) => void (ended = engine),
    });
    assert.deepEqual([heard.sent, dials], [atFirst, 2]);
    assert.deepEqual([statusOf(heard.said), heard.completion?.outcome], ['-NOPERM', 'denied']);
  });

  const none = 'shared_namespaces: [], series: "2.4"';
  const team = 'shared_namespaces: ["Team/"], series: "2.4"';
  for (const [what, mail1, mail2, mailbox, status, sent] of [
    [
      'a prefix that one backend says counts of one backend counts where another says none',
      team,
      'series: "2.4"',
      'Team/ceo',
      '-NOPERM',
      0,
    ],
    ['no shared namespaces where every backend says that it has none', none, none, '*', '+', 2],
  ] as const)
    void test(`all users: ${what}`, async () => {
      const rules = ['{ command: mailbox status, all_users: true }', 'quota get'];
      const heard = await ask(`||mailbox status|-A|messages|${mailbox}`, () => good, {
        settings: settingsOf(mail1, mail2, rules),
        minors: { client: 3, backend: () => 4 },
      });
      assert.deepEqual([statusOf(heard.said), heard.sent.length], [status, sent]);
    });
});

void describe('one ending of several tells no better story than they do', () => {
  const joined = (first: Ending, second: Ending, changes?: Parameters<typeof joinEndings>[2]) => {
    const facts = { upstream: undefined, isSent: true, isReused: false, waitMs: undefined, count: undefined };
    const parts = [first, second].map((ending, at) => ({
      attempt: { ...facts, backend: `mail${at + 1}` },
      ending,
    }));
    return judgeEnding(joinEndings(parts, ['mail1', 'mail2'], changes));
  };
  type Replied = Extract<Ending, { kind: 'replied' }>;
  const replied = (line: string, peer: Replied['peer'] = 'ready'): Ending => ({
    kind: 'replied',
    status: parseStatus(Buffer.from(line)),
    peer,
  });
  const broken: Ending = { kind: 'reply-timeout', backend: 'mail2' };
  const gone: Ending = { kind: 'client-gone', isSent: false };
  const unsent: Ending = { kind: 'cut-off', isSent: false };
  const [whole, stalled] = [replied('+'), replied('+', 'client-stall')];
  const cut: Ending = { kind: 'cut-off', isSent: true };
  const full: Ending = { kind: 'refused', why: 'queue-full' };
  const rows: readonly (readonly [string, Ending, Ending, outcome: string, error: string])[] = [
    ['a client that did not read, of an answer that is whole', stalled, whole, 'ok', 'client-stall'],
    ['it hides no backend that failed', stalled, broken, 'timeout', 'reply-timeout'],
    ['nor does one that left', replied('+', 'client-gone'), broken, 'timeout', 'reply-timeout'],
    ['nor one that left before', gone, broken, 'timeout', 'reply-timeout'],
    ['what we never sent hides nothing that may have run', unsent, cut, 'unknown', 'draining'],
    ['a part of which the client left is missing', whole, gone, 'aborted', 'client-gone'],
    ['so is one that was never sent', whole, unsent, 'failed', 'draining'],
    ['the error is that of the part that the outcome is of', full, broken, 'timeout', 'reply-timeout'],
  ];
  for (const [what, first, second, outcome, error] of rows)
    void test(what, () => {
      for (const found of [joined(first, second), joined(second, first)])
        assert.deepEqual([found.outcome, found.error], [outcome, error]);
    });

  void test('a change that one backend refused and another did is partly done; a read, or what nobody did, has failed', () => {
    for (const [changes, first, second, outcome] of [
      ['one', '-NOPERM', '+', 'partly'],
      ['one', '-NOPERM', '-NOTFOUND', 'failed'],
      ['several', '-NOPERM', '-NOTFOUND', 'partly'],
      ['several', '-NOUSER', '-NOUSER', 'failed'],
      ['several', '+', '-NOTFOUND', 'ok'],
      ['nothing', '-NOPERM', '+', 'failed'],
    ] as const)
      assert.equal(
        joined(replied(first), replied(second), changes).outcome,
        outcome,
        `${changes} ${first} ${second}`,
      );
  });
});
