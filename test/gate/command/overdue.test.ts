// Goal: a change that gets no answer within its deadline is not forgotten. Its client reads that it may still run; its end becomes known
// and is recorded; nobody starts the same one beside it; everything else goes on. What must not happen: a completion before the end, a byte
// of the late reply in another answer, or a place that one client takes from the others.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { OverdueCommands } from '../../../src/gate/command/overdue.js';
import { heldBytesMax } from '../../../src/gate/relay/upload.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { logPacket, replyPacket } from '../../kit/gate/memory-backend.js';
import {
  type MemoryClient,
  type MemoryEngine,
  memorySettings,
  openMemoryEngine,
  openWithClient,
} from '../../kit/gate/memory-engine.js';
import { column } from '../../kit/plain/columns.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { judgeLine } from '../../kit/plain/judge-line.js';

const settings = memorySettings
  .replace('mailbox subscribe', 'mailbox subscribe, save, { command: reload, root_equivalent: true }')
  .replace('sessions: 3', 'sessions: 30')
  .replace('support:\n', 'support:\n    logs: full\n');
const line = '|alice@example.org|mailbox subscribe|Work';

/** An engine whose backend answers only reads. */
function open(text = settings): MemoryEngine {
  const engine = openMemoryEngine({ settings: text });
  engine.setAnswer((sent) => (sent.includes('quota get') ? replyPacket('\n+\n') : undefined));
  return engine;
}

async function isOverdue(engine: MemoryEngine, client: MemoryClient, text = line): Promise<void> {
  await client.line(text);
  await engine.clock.advance(bounds.writeDeadlineMs);
  await settle();
}

const completions = (engine: MemoryEngine): readonly (readonly unknown[])[] =>
  engine.recordsOf('completion').map(({ command, outcome, error, sent }) => [command, outcome, error, sent]);
const linesOf = ({ commands }: MemoryEngine, text: string): number =>
  commands.filter((each) => each.line.includes(text)).length;

void test('the client is answered, the upstream is held, and the completion comes with the reply', async () => {
  const engine = open();
  const client = await engine.client(2, { uid: 1000 });
  await isOverdue(engine, client);
  assert.match(client.said(), /may still run there.*\[reply-timeout\], id/);
  assert.match(client.said(), /-TEMPFAIL\n$/);
  const [sent] = engine.commands;
  assert.equal(sent?.end.transport.closedFor, undefined);
  assert.deepEqual(completions(engine), []);
  const [admission] = engine.recordsOf('admission');
  const [log] = engine.recordsOf('log');
  assert.deepEqual([log?.id, log?.level, log?.backend], [admission?.id, 'warn', 'mail1']);
  assert.match(log?.text ?? '', /the client got -TEMPFAIL; the command may still run/);
  assert.ok(engine.events.some((event) => event.kind === 'command-overdue'));
  assert.ok(!engine.events.some(({ kind }) => kind === 'exchange-ended'));

  // The session serves on, and nothing of the late reply gets into it.
  await client.line('|alice@example.org|quota get');
  const before = client.said();
  sent?.end.peer.send(logPacket('info', 'late log'));
  await settle();
  await engine.clock.advance(60_000);
  sent?.end.peer.send(replyPacket('late row\t\n-NOTFOUND\n'));
  await settle();
  assert.equal(client.said(), before);
  assert.equal(sent?.end.transport.closedFor, 'not-reusable');
  const last = engine.recordsOf('completion').find(({ id }) => id === admission?.id);
  assert.deepEqual(
    [last?.outcome, last?.error, last?.status, last?.sent, last?.cells, last?.duration_ms],
    ['failed', 'reply-timeout', '-TEMPFAIL', true, 1, bounds.writeDeadlineMs + 60_000],
  );
  assert.equal(last?.text, 'answered after the deadline: -NOTFOUND');
  assert.deepEqual(engine.service.running(), []);
  assert.equal(engine.pool.snapshot().overdue, 0);
});

void test('meanwhile nobody runs the same line for the same user; everything else runs', async () => {
  const engine = open();
  const client = await engine.client(2, { uid: 1000 });
  await isOverdue(engine, client);
  const [first] = engine.recordsOf('admission');
  for (const uid of [1000, 1001]) {
    const other = await engine.client(2, { uid });
    // In another spelling.
    await other.line('|Alice@example.org|mailbox subscribe|--|Work');
    assert.match(other.said(), new RegExp(`id ${first?.id}.*\\[still-running\\]`));
    assert.match(other.said(), /-TEMPFAIL\n$/);
  }
  assert.equal(linesOf(engine, 'mailbox subscribe'), 1);
  assert.deepEqual(
    completions(engine),
    [1, 2].map(() => ['mailbox subscribe', 'failed', 'still-running', false]),
  );
  engine.setAnswer(() => replyPacket('\n+\n'));
  const other = await engine.client(2, { uid: 1002 });
  await other.line('|alice@example.org|mailbox subscribe|Play');
  await other.line('|bob@example.org|mailbox subscribe|Work');
  await other.line('|alice@example.org|quota get');
  assert.deepEqual(
    completions(engine)
      .slice(2)
      .map(([, outcome]) => outcome),
    ['ok', 'ok', 'ok'],
  );
  // Once its end is known, the line is free.
  engine.commands[0]?.end.peer.send(replyPacket('\n+\n'));
  await settle();
  await other.line(line);
  assert.equal(linesOf(engine, 'subscribe\tWork'), 0);
  assert.equal(completions(engine).at(-1)?.[1], 'ok');
});

void test('a command that waited for its upstream meanwhile is not sent either', async () => {
  const engine = openMemoryEngine({ settings: settings.replace('connections: 2', 'connections: 1') });
  engine.setAnswer(() => undefined);
  const client = await engine.client(2, { uid: 1000 });
  await client.line(line);
  await engine.clock.advance(bounds.writeDeadlineMs - 1);
  const other = await engine.client(2, { uid: 1001 });
  await other.line(line);
  assert.equal(engine.pool.snapshot().waiters, 1);
  await engine.clock.advance(1);
  await settle();
  await settle();
  assert.equal(engine.commands.length, 1);
  assert.match(other.said(), /\[still-running\]/);
});

void test('a held upstream takes no connection from others', async () => {
  const engine = open();
  await isOverdue(engine, await engine.client(2, { uid: 1000 }));
  assert.deepEqual([engine.pool.snapshot().leased, engine.pool.snapshot().overdue], [0, 1]);
  for (const uid of [1001, 1002]) await (await engine.client(2, { uid })).line(`${line}${uid}`);
  const { leased, waiters } = engine.pool.snapshot();
  assert.deepEqual([leased, waiters], [2, 0]);
});

const ends: readonly (readonly [
  what: string,
  end: (engine: MemoryEngine, id: string) => unknown,
  outcome: string,
  error: string,
])[] = [
  ['success', ({ commands }) => commands[0]?.end.peer.send(replyPacket('\n+\n')), 'ok', 'reply-timeout'],
  ['a backend that breaks off', ({ commands }) => commands[0]?.end.peer.end(), 'unknown', 'closed-early'],
  [
    'bytes that are no reply',
    ({ commands }) => commands[0]?.end.peer.send(replyPacket('\n!\n')),
    'unknown',
    'reply-bad-status',
  ],
  // bounds.overdueMs
  ['an hour', ({ clock }) => clock.advance(bounds.overdueMs), 'timeout', 'reply-timeout'],
  ['an operator', ({ service }, id) => assert.equal(service.kill(id), true), 'unknown', 'killed'],
  ['the end of the daemon', ({ service }) => service.abort(), 'unknown', 'draining'],
];

for (const [what, end, outcome, error] of ends) {
  void test(`the end by ${what} is recorded once, and frees the line`, async () => {
    const engine = open();
    const client = await engine.client(2);
    await isOverdue(engine, client);
    const [running] = engine.service.running();
    assert.ok(running);
    assert.deepEqual(
      [running.isOverdue, running.isKilled, running.backend, running.durationMs, running.deadlineMs],
      [true, false, 'mail1', bounds.writeDeadlineMs, bounds.writeDeadlineMs + bounds.overdueMs],
    );
    assert.equal(engine.service.find(running.id)?.isOverdue, true);
    await end(engine, running.id);
    await settle();
    assert.deepEqual(completions(engine), [['mailbox subscribe', outcome, error, true]]);
    assert.deepEqual(
      engine.events.flatMap((event) => (event.kind === 'exchange-ended' ? event.outcome : [])),
      [outcome],
    );
    assert.deepEqual([engine.service.running(), engine.service.kill(running.id)], [[], false]);
    assert.notEqual(engine.commands[0]?.end.transport.closedFor, undefined);
    const other = await engine.client(2, { uid: 1001 });
    await other.line(line);
    assert.equal(engine.commands.length, 2);
  });
}

void describe('without a place', () => {
  const roomy = settings.replace('connections: 2', 'connections: 4');

  // bounds.overduePerOrigin, bounds.overdueRefusedMs
  void test('the second of one client is given up, and that client alone may not repeat it, for ten minutes', async () => {
    const engine = open(roomy);
    const client = await engine.client(2, { uid: 1000 });
    await isOverdue(engine, client);
    const second = '|bob@example.org|mailbox subscribe|Work';
    const again = await engine.client(2, { uid: 1000 });
    await isOverdue(engine, again, second);
    assert.equal(engine.commands[1]?.end.transport.closedFor, 'reply-timeout');
    assert.deepEqual(completions(engine), [['mailbox subscribe', 'timeout', 'reply-timeout', true]]);
    const given = engine.recordsOf('completion')[0]?.id;
    await again.line(second);
    assert.match(again.said(), new RegExp(`id ${given}.*\\[still-running\\]`));
    await again.line('|bob@example.org|mailbox subscribe|Play');
    assert.equal(engine.commands.length, 3);
    const other = await engine.client(2, { uid: 1001 });
    await other.line(second);
    assert.equal(engine.commands.length, 4);
    // The first stays refused to everybody.
    const third = await engine.client(2, { uid: 1001 });
    await third.line(line);
    assert.match(third.said(), /\[still-running\]/);
    const later = await engine.client(2, { uid: 1000 });
    await engine.clock.advance(bounds.overdueRefusedMs - 1);
    await later.line(second);
    assert.match(later.said(), /\[still-running\]/);
    await engine.clock.advance(1);
    await later.line(second);
    assert.equal(linesOf(engine, 'bob@example.org\tmailbox subscribe\t--\tWork'), 3);
  });

  void test('an operator ends the wait of that client', async () => {
    const engine = open(roomy);
    const client = await engine.client(2, { uid: 1000 });
    await isOverdue(engine, client);
    const second = '|bob@example.org|mailbox subscribe|Work';
    await isOverdue(engine, client, second);
    const given = engine.recordsOf('completion')[0]?.id ?? '';
    assert.equal(engine.service.find(given)?.isOverdue, true);
    assert.ok(engine.service.kill(given));
    assert.equal(engine.service.find(given), undefined);
    assert.equal(engine.service.kill(given), false);
    await client.line(second);
    assert.equal(linesOf(engine, 'bob@example.org\tmailbox subscribe\t--\tWork'), 2);
  });

  // bounds.overduePerBackend
  void test('the third at one backend is given up', async () => {
    const engine = open(roomy);
    for (const uid of [1000, 1001, 1002]) await (await engine.client(2, { uid })).line(`${line}${uid}`);
    await engine.clock.advance(bounds.writeDeadlineMs);
    await settle();
    assert.deepEqual(
      engine.commands.map(({ end }) => end.transport.closedFor),
      [undefined, undefined, 'reply-timeout'],
    );
    assert.equal(engine.service.running().length, bounds.overduePerBackend);
  });
});

void test('silence within a reply, and a client that has left, make no difference', async () => {
  const engine = open();
  const client = await engine.client(2);
  await client.line(line);
  engine.commands[0]?.end.peer.send(replyPacket('row\t'));
  await settle();
  client.peer.vanish();
  await settle();
  await engine.clock.advance(bounds.replyIdleMs);
  await settle();
  assert.deepEqual(column(engine.service.running(), 'isOverdue'), [true]);
  engine.commands[0]?.end.peer.send(replyPacket('rest\t\n+\n'));
  await settle();
  assert.deepEqual(completions(engine), [['mailbox subscribe', 'ok', 'reply-timeout', true]]);
});

void test('the same line with another text is another command, where the text is known before it is sent', async () => {
  const engine = open();
  const first = await engine.client(2, { uid: 1000 });
  const save = async (client: MemoryClient, text: string): Promise<void> => {
    await client.line('|alice@example.org|save');
    client.peer.send(`Subject: x\n\n${text}\n.\n`);
    await settle();
  };
  await save(first, 'one');
  await engine.clock.advance(bounds.writeDeadlineMs);
  await settle();
  const other = await engine.client(2, { uid: 1001 });
  await save(other, 'one');
  assert.match(other.said(), /\[still-running\]/);
  assert.equal(linesOf(engine, 'save'), 1);
  await save(other, 'two');
  assert.equal(linesOf(engine, 'save'), 2);
  const [held, running] = engine.commands.filter(({ line: sent }) => sent.includes('save'));
  running?.end.peer.send(replyPacket('\n+\n'));
  await settle();
  // Of such a long text only the beginning is known when it would be sent.
  await other.line('|alice@example.org|save');
  for (const piece of ['x'.repeat(heldBytesMax), '\n.\n']) {
    other.peer.send(piece);
    await settle();
  }
  assert.match(other.said(), /\[still-running\][^[]*-TEMPFAIL\n$/);
  assert.equal(linesOf(engine, 'save'), 2);
  held?.end.peer.send(replyPacket('\n+\n'));
  await settle();
  assert.deepEqual(completions(engine), [
    ['save', 'failed', 'still-running', false],
    ['save', 'ok', undefined, true],
    ['save', 'failed', 'still-running', false],
    ['save', 'ok', 'reply-timeout', true],
  ]);
});

// bounds.overdueLinesPerOrigin, bounds.overdueOrigins
void test('lines without a place are forgotten, the oldest first: of one client, and of the oldest client', () => {
  const clock = createFakeClock();
  const overdue = new OverdueCommands(clock, (text) => text);
  const nobody = {
    listener: 'support',
    session: 's',
    id: 'i',
    principal: 'a@support',
    user: '',
    command: undefined,
  };
  const upstream = { backend: 'mail1', close: () => undefined };
  const { policies, mailUsers } = openMemoryEngine({ settings }).settings;
  const policy = policies.get('support') ?? assert.fail();
  const asked = { listener: 'support', principal: 'a@support', user: 'alice@example.org', clientMinor: 2 };
  const lineOf = (word: string) => {
    const words = ['mailbox', 'subscribe', word];
    const judged = judgeLine(policy, { ...asked, words }, '2.4', undefined, createUserNames(mailUsers), 0);
    return judged.kind === 'judged' ? judged : assert.fail(judged.message);
  };
  const hold = (origin: string, word: string) => {
    const names = { ...nobody, id: `${origin} ${word}` };
    const facts = { text: undefined, origin, lockable: {}, sinceMs: 0, upstream };
    return overdue.hold({ names, judgement: lineOf(word), ...facts });
  };
  const lose = (origin: string, word: string): void => assert.equal(hold(origin, word), undefined);
  const isRefused = (origin: string, word: string): boolean =>
    overdue.refusal({ judgement: lineOf(word), text: undefined }, origin, 'another') !== undefined;
  for (let at = 0; at < bounds.overduePerBackend; at += 1) assert.ok(hold(`h${at}`, `held ${at}`));
  for (let at = 0; at <= bounds.overdueLinesPerOrigin; at += 1) lose('one', `word ${at}`);
  assert.deepEqual([isRefused('one', 'word 0'), isRefused('one', 'word 1')], [false, true]);
  assert.equal(isRefused('other', 'word 1'), false);
  for (let at = 1; at < bounds.overdueOrigins; at += 1) lose(`o${at}`, 'word');
  assert.equal(isRefused('one', 'word 1'), true);
  lose('last', 'word');
  assert.deepEqual(
    [isRefused('one', 'word 1'), isRefused('o1', 'word'), isRefused('last', 'word')],
    [false, true, true],
  );
});

const timed = memorySettings.replace(
  'search, fetch',
  `search, fetch, kick, mailbox subscribe, acl set, mailbox delete, { command: index, deadline: 2h },
      { command: sync, root_equivalent: true, where: { destination: any } }`,
);

for (const [effect, asked, limitMs] of [
  ['read', '|alice@example.org|quota get', bounds.readDeadlineMs],
  ['session', '|alice@example.org|kick|alice@example.org', bounds.sessionDeadlineMs],
  ['write', '|alice@example.org|mailbox subscribe|Work', bounds.writeDeadlineMs],
  ['admin', '|alice@example.org|acl set|Work|user=bob@example.org|lookup', bounds.adminDeadlineMs],
  ['destroy', '|alice@example.org|mailbox delete|Work', bounds.destroyDeadlineMs],
  // As long as `backup -R`, whose effect is destroy.
  ['admin', '|alice@example.org|sync|tcp:mail2.example.org', bounds.destroyDeadlineMs],
  // By the rule.
  ['write', '|alice@example.org|index|INBOX', 7_200_000],
] as const)
  void test(`a backend that says nothing keeps a client, and an upstream, for ${effect}: ${limitMs / 1000} s`, async () => {
    const { engine, client } = await openWithClient(2, { settings: timed, answer: () => undefined });
    await client.line(asked);
    const [command = assert.fail(client.said())] = engine.commands;
    assert.equal(engine.recordsOf('admission')[0]?.effect, effect);
    await engine.clock.advance(limitMs - 1);
    await settle();
    assert.equal(client.said(), '');
    await engine.clock.advance(1);
    await settle();
    assert.match(client.said(), /\[reply-timeout\]/);
    assert.equal(engine.pool.snapshot().leased, 0);
    if (effect !== 'read') return;
    assert.equal(command.end.transport.closedFor, 'reply-timeout');
    assert.deepEqual(completions(engine), [['quota get', 'timeout', 'reply-timeout', true]]);
  });
