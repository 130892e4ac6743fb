// Goal: a client that leaves, or we who stop, at every step of a command: nothing is sent after that, and the completion says no
// more than what is known.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import {
  allSynced,
  type MemoryEngine,
  memorySettings,
  openMemoryEngine,
} from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';

const settings = memorySettings.replace('search, fetch', '{ command: expunge, max_matches: 5 }, save, fetch');

const completionOf = ({ records }: MemoryEngine, command: string): AuditRecord | undefined =>
  records.find(({ record }) => record.event === 'completion' && record.command === command)?.record;

const namesOf = ({ commands }: MemoryEngine): (string | undefined)[] =>
  commands.map(({ line }) => line.split('\t')[2]);

void describe('a command whose mails are counted first', () => {
  const line = '|alice@example.org|expunge|mailbox|Trash|all';

  void test('is not sent when the client has left meanwhile', async () => {
    const engine = openMemoryEngine({ settings });
    engine.setAnswer(() => undefined);
    const client = await engine.client(1);
    await client.line(line);
    client.peer.vanish();
    await settle();
    engine.commands[0]?.end.peer.send(replyPacket('guid\t1\t\n+\n'));
    await engine.untilIdle();
    assert.deepEqual(namesOf(engine), ['search']);
    const completion = completionOf(engine, 'expunge');
    assert.deepEqual([completion?.sent, completion?.error], [false, 'client-gone']);
  });

  void test('is not told to be sent when we stop while its record is written', async () => {
    const engine = openMemoryEngine({ settings });
    engine.setAnswer(() => {
      engine.setJournal('hold');
      return replyPacket('guid\t1\t\n+\n');
    });
    const client = await engine.client(1);
    await client.line(line);
    assert.deepEqual(namesOf(engine), ['search']);
    void engine.service.drain();
    engine.service.abort();
    await settle();
    engine.setJournal('take');
    await engine.untilIdle();
    assert.deepEqual(namesOf(engine), ['search']);
    const completion = completionOf(engine, 'expunge');
    assert.deepEqual(
      [completion?.outcome, completion?.sent, completion?.error],
      ['failed', false, 'draining'],
    );
    assert.equal(client.said().trimEnd().endsWith('-TEMPFAIL'), true);
  });

  void test('nor is the search, when we stop while the record of that is written', async () => {
    const engine = openMemoryEngine({ settings: settings.concat(allSynced) });
    engine.setJournal('hold');
    const client = await engine.client(1);
    await client.line(line);
    void engine.service.drain();
    engine.service.abort();
    await settle();
    engine.setJournal('take');
    await engine.untilIdle();
    assert.deepEqual(namesOf(engine), []);
    for (const name of ['search', 'expunge']) {
      const completion = completionOf(engine, name);
      assert.deepEqual([completion?.outcome, completion?.sent], ['failed', false], name);
    }
    assert.equal(completionOf(engine, 'expunge')?.error, 'draining');
  });

  void test('nor when we stop while they are counted', async () => {
    const engine = openMemoryEngine({ settings });
    engine.setAnswer(() => undefined);
    const client = await engine.client(1);
    await client.line(line);
    void engine.service.drain();
    engine.service.abort();
    await engine.untilIdle();
    const completion = completionOf(engine, 'expunge');
    assert.deepEqual(
      [completion?.outcome, completion?.sent, completion?.error],
      ['failed', false, 'draining'],
    );
  });
});

void describe('a change whose client has left', () => {
  async function leaveIt(): Promise<MemoryEngine> {
    const engine = openMemoryEngine({ settings });
    engine.setAnswer(() => undefined);
    const client = await engine.client(1);
    await client.line('|alice@example.org|mailbox subscribe|Work');
    client.peer.vanish();
    await settle();
    return engine;
  }

  void test('and whose backend then broke off: nobody knows whether it ran', async () => {
    const engine = await leaveIt();
    engine.commands[0]?.end.peer.vanish();
    await engine.untilIdle();
    const completion = completionOf(engine, 'mailbox subscribe');
    assert.deepEqual([completion?.outcome, completion?.sent], ['unknown', true]);
  });

  void test('and which we then cut', async () => {
    const engine = await leaveIt();
    void engine.service.drain();
    engine.service.abort();
    await engine.untilIdle();
    const completion = completionOf(engine, 'mailbox subscribe');
    assert.deepEqual([completion?.outcome, completion?.sent], ['unknown', true]);
  });
});

void test('who leaves in the moment in which its answer is whole takes nothing from the one who got its upstream', async () => {
  const one = memorySettings.replace('connections: 2', 'connections: 1');
  for (let steps = 0; steps < 60; steps += 1) {
    const engine = openMemoryEngine({ settings: one });
    engine.setAnswer(() => undefined);
    const first = await engine.client(1);
    const second = await engine.client(1);
    await first.line('|alice@example.org|quota get');
    await second.line('|bob@example.org|quota get');
    engine.commands[0]?.end.peer.send(replyPacket('\n+\n'));
    for (let step = 0; step < steps; step += 1) await Promise.resolve();
    first.peer.vanish();
    await settle();
    engine.commands.at(-1)?.end.peer.send(replyPacket('\n+\n'));
    await settle();
    const bobs = engine.records.filter(({ record }) => record.user === 'bob@example.org').at(-1)?.record;
    assert.deepEqual([steps, bobs?.event, bobs?.outcome], [steps, 'completion', 'ok']);
  }
});
