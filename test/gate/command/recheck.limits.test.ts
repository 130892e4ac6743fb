// Goal: what policy and the journal demand of an allowed command besides its rule. What must not happen: a command that is sent with
// only the reserve of the disk left and no rule for emergencies, or one that was refused so and has used up a limit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySettings, openMemoryEngine } from '../../kit/gate/memory-engine.js';

const settings = memorySettings.replace(
  'search, fetch',
  '{ command: expunge, limit: 5/hour }, { command: mailbox create, emergency: true }',
);

void test('below the reserve only commands for emergencies are served, and nothing else is counted', async () => {
  const engine = openMemoryEngine({ settings });
  const client = await engine.client(1);
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
    settings: settings.replace('    users:', '    mode: observe\n    users:'),
  });
  const client = await engine.client(1);
  engine.setSpace('reserve');
  await client.line('|alice@example.org|mailbox delete|Work');
  assert.equal(engine.commands.length, 0);
});

void test('whose records fill the journal is limited, but for emergencies; its refusals are one record a minute, and a number', async () => {
  const engine = openMemoryEngine({ settings });
  const client = await engine.client(1);
  engine.setOverShare(['uid:1000']);
  for (let at = 0; at < 50; at += 1) await client.line('|alice@example.org|quota get');
  const refused = engine.records.filter(({ record }) => record.event === 'completion');
  assert.deepEqual(
    refused.map(({ record: { outcome, error, sent } }) => [outcome, error, sent]),
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
