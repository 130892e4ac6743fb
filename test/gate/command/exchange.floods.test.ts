// Goal: what sends nothing cannot fill the disk, and nothing that was sent goes unrecorded. Phases: refusals of every kind in a flood,
// allowed commands among them; sessions in a flood. What must not happen: a refusal that is neither recorded nor counted, an exchange with
// one of its two records, an allowed command that is only counted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { logPacket, replyPacket } from '../../kit/gate/memory-backend.js';
import {
  type MemoryEngine,
  memorySettings,
  openMemoryEngine,
  openWithClient,
} from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';

const settings = memorySettings.replace('search, fetch', '{ command: expunge, limit: 5/hour }');

function limitsOf(engine: MemoryEngine): string[] {
  return engine.recordsOf('limit').map(({ principal, action, count }) => `${principal} ${action} ${count}`);
}

const refused: Readonly<Record<string, readonly [line: string, allowed: number]>> = {
  denied: ['|alice@example.org|mailbox delete|Work', 0],
  unparsable: ['|alice@example.org|no such command', 0],
  'over a limit': ['|alice@example.org|expunge|mailbox|Trash|all', 5],
};

for (const [hint, [line, allowed]] of Object.entries(refused)) {
  void test(`a flood of commands that are ${hint}`, async () => {
    const { engine, client } = await openWithClient(2, { settings });
    const count = 300;
    for (let at = 0; at < count; at += 1) await client.line(line);
    for (let at = 0; at < 3; at += 1) await client.line('|alice@example.org|quota get');
    await engine.clock.advance(1000);
    assert.deepEqual(limitsOf(engine), [`1000@support refused ${count - allowed - 100}`]);
    assert.equal(engine.recordsOf('admission').length, allowed + 100 + 3);
    // The names that the records of what was counted would have had.
    const { command = '', user = '', users = [] } = engine.recordsOf('admission')[0] ?? {};
    const [counted] = engine.recordsOf('limit');
    const names = [...new Set([...(user === '' ? [] : [user]), ...users])];
    assert.deepEqual([counted?.args, new Set(counted?.users)], [[`command=${command}`], new Set(names)]);
    const idsOf = (event: AuditRecord['event']) => new Set(engine.recordsOf(event).map(({ id }) => id));
    assert.deepEqual(idsOf('admission'), idsOf('completion'));
    assert.equal(engine.commands.length, allowed + 3);
    const told = engine.events.filter(({ kind }) => kind === 'exchange-ended').length;
    assert.equal(told, count + 3, 'observers hear of all of them');
    const worth = engine.events.filter(
      (event) => event.kind === 'exchange-ended' && event.level !== undefined,
    ).length;
    assert.equal(worth, allowed + 100 + 3, 'the log has a line of as many as the journal');
    const floods = engine.events.flatMap((event) =>
      event.kind === 'flood' ? [`${event['principal']} ${event['type']} ${event['count']}`] : [],
    );
    assert.deepEqual(floods, limitsOf(engine), 'and the same number');
    await client.line(line);
    await settle();
    assert.equal(engine.recordsOf('admission').length, allowed + 104, 'the next second has records again');
  });
}

void test('a flood of questions to dovegate is none of refusals', async () => {
  const { engine, client } = await openWithClient(2, { settings });
  for (let at = 0; at < 15; at += 1) await client.line('||dovegate can');
  await client.line('|alice@example.org|mailbox delete|Work');
  await engine.clock.advance(1000);
  assert.deepEqual(limitsOf(engine), ['1000@support question 5']);
  assert.equal(engine.recordsOf('admission').length, 11, 'questions leave refusals their records');
});

void test('a flood of commands that nobody refused, and that were not sent, is none of refusals', async () => {
  const { engine, client } = await openWithClient(3, { settings });
  for (let at = 0; at < 105; at += 1) await client.line('x|proxy-ttl=1|alice@example.org|quota get');
  await engine.clock.advance(1000);
  assert.deepEqual(limitsOf(engine), ['1000@support unsent 5']);
  assert.ok(engine.recordsOf('completion').every(({ outcome }) => outcome === 'failed'));
});

void test('refused input is thrown away in a flood as well', async () => {
  const { engine, client } = await openWithClient(2, { settings });
  for (let at = 0; at < 120; at += 1) {
    await client.line('|alice@example.org|save|-m|INBOX');
    await client.line('Subject: x\n\n|alice@example.org|mailbox subscribe|Smuggled\n.');
  }
  await engine.clock.advance(1000);
  assert.deepEqual(limitsOf(engine), ['1000@support refused 20']);
  assert.equal(engine.commands.length, 0);
});

// bounds.logRecords
void test('of the log lines of a backend 64 of a command get a record, and all are counted', async () => {
  const engine = openMemoryEngine({ settings });
  const lines = Array.from({ length: 100 }, (_, at) => logPacket('info', `line ${at}`));
  engine.setAnswer(() => Buffer.concat([...lines, replyPacket('\n+\n')]));
  const client = await engine.client(2);
  await client.line('|alice@example.org|quota get');
  await settle();
  assert.equal(engine.recordsOf('log').length, 64);
  assert.deepEqual(engine.recordsOf('completion')[0]?.logs, { info: 100 });
});

// What policy and the journal demand of an allowed command besides its rule.
const emergencies = memorySettings.replace(
  'search, fetch',
  '{ command: expunge, limit: 5/hour }, { command: mailbox create, emergency: true }',
);

void test('below the reserve only commands for emergencies are served, and nothing else is counted', async () => {
  const { engine, client } = await openWithClient(1, { settings: emergencies });
  const ends = (): (string | undefined)[] =>
    engine.records.flatMap(({ record }) =>
      record.event === 'completion' ? [record.error ?? record.outcome] : [],
    );
  engine.setSpace('reserve');
  await client.line('|alice@example.org|quota get');
  await client.line('|alice@example.org|expunge|mailbox|Trash|all');
  await client.line('|alice@example.org|mailbox create|Work');
  await client.line('|alice@example.org|mailbox delete|Work');
  assert.deepEqual(ends(), ['audit-reserve', 'audit-reserve', 'ok', 'denied']);
  assert.equal(engine.commands.length, 1);
  assert.match(client.said(), /only commands for emergencies are served/);
  assert.match(client.said(), /-TEMPFAIL/);
  engine.setSpace('normal');
  for (let at = 0; at < 6; at += 1) await client.line('|alice@example.org|expunge|mailbox|Trash|all');
  assert.deepEqual(ends().slice(4), ['ok', 'ok', 'ok', 'ok', 'ok', 'over-limit']);
});

void test('a policy that only observes has no rules for emergencies', async () => {
  const engine = openMemoryEngine({
    settings: emergencies.replace('    users:', '    mode: observe\n    users:'),
  });
  const client = await engine.client(1);
  engine.setSpace('reserve');
  await client.line('|alice@example.org|mailbox delete|Work');
  assert.equal(engine.commands.length, 0);
});

void test('whose records fill the journal is limited, but for emergencies; its refusals are one record a minute, and a number', async () => {
  const { engine, client } = await openWithClient(1, { settings: emergencies });
  engine.setOverShare(['uid:1000']);
  for (let at = 0; at < 50; at += 1) await client.line('|alice@example.org|quota get');
  const completed = engine.records.filter(({ record }) => record.event === 'completion');
  assert.deepEqual(
    completed.map(({ record: { outcome, error, sent } }) => [outcome, error, sent]),
    [['limited', 'audit-share', false]],
  );
  assert.match(client.said(), /-TEMPFAIL/);
  assert.match(client.said(), /audit journal is nearly full/);
  for (let at = 0; at < 50; at += 1) await client.line('|alice@example.org|mailbox delete|Work');
  await engine.clock.advance(30_000);
  assert.equal(engine.recordsOf('completion').length, 1);
  assert.equal(engine.recordsOf('limit').length, 0);
  await engine.clock.advance(31_000);
  const counts = engine.recordsOf('limit').map(({ count }) => count);
  assert.deepEqual(counts, [99]);
  await client.line('|alice@example.org|mailbox create|Work');
  assert.equal(engine.commands.length, 1, 'an emergency');
  engine.setOverShare([]);
  await client.line('|alice@example.org|quota get');
  assert.equal(engine.commands.length, 2);
});
