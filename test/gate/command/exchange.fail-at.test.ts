// Goal: whichever call of a port fails, an exchange leaves nothing behind and its records are true. One story over session, exchange
// and pool: reads, a change, refusals, refused input, a command that waits for an upstream. The N-th call of a read, write, dial,
// append or timer fails, N = 1, 2, ... until none does. What must not happen: a lease, timer or transport that stays, an
// admission with no completion or with two, a command at the backend that no admission speaks of.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logPacket, replyPacket } from '../../kit/gate/memory-backend.js';
import { type MemoryClient, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { failAtEach } from '../../kit/plain/fail-at.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { assertTidy } from './tidy.js';

/** A client that is gone sends no more. */
async function line(client: MemoryClient, text: string): Promise<void> {
  if (client.transport.closedFor === undefined) await client.line(text);
}

void test('one client: reads, a change, refusals and refused input', async () => {
  let outcomes = new Map<string, number>();
  const calls = await failAtEach(async (failAt) => {
    const engine = openMemoryEngine({ failAt });
    engine.setAnswer((asked) =>
      asked.includes('quota')
        ? Buffer.concat([replyPacket('row\t'), logPacket('info', 'note'), replyPacket('\n+\n')])
        : replyPacket(asked.includes('list') ? '\n-NOUSER\n' : '\n+\n'),
    );
    const client = await engine.client(3);
    await line(client, '||OPTION|log-passthrough');
    await line(client, '|alice@example.org|quota get');
    await line(client, '|alice@example.org|mailbox list|INBOX');
    await line(client, '|alice@example.org|mailbox subscribe|Work');
    await line(client, '||who|alice@example.org');
    await line(client, '|alice@example.org|who|--nonsense');
    await line(client, '|alice@example.org|expunge|mailbox|INBOX|all');
    await line(client, '|alice@example.org|save|-m|INBOX');
    await line(client, 'Subject: x\n\n|alice@example.org|mailbox subscribe|Smuggled\n.');
    await line(client, '|alice@example.org|quota get');
    if (client.transport.closedFor === undefined) client.peer.end();
    await assertTidy(engine, [client]);
    assert.ok(!engine.commands.some(({ line: asked }) => asked.includes('Smuggled')));
    outcomes = new Map();
    for (const { record } of engine.records) {
      if (record.event === 'completion') {
        outcomes.set(String(record.outcome), (outcomes.get(String(record.outcome)) ?? 0) + 1);
      }
    }
  });
  // Of the last run, in which nothing failed.
  assert.deepEqual(Object.fromEntries(outcomes), { ok: 4, failed: 1, unparsable: 1, denied: 2 });
  assert.ok(calls > 60, `${calls} calls`);
});

void test('three clients on two upstreams: one waits, one leaves, one is slow to be answered', async () => {
  const calls = await failAtEach(async (failAt) => {
    const engine = openMemoryEngine({ failAt });
    engine.setAnswer(() => undefined);
    const clients = [await engine.client(1), await engine.client(2), await engine.client(0)];
    for (const client of clients) await line(client, '|alice@example.org|mailbox subscribe|Work');
    await settle();
    clients[1]?.peer.vanish();
    await settle();
    for (const { end } of engine.commands.slice(0, 2)) {
      if (end.transport.closedFor === undefined) end.peer.send(replyPacket('\n+\n'));
    }
    await settle();
    engine.setAnswer(() => replyPacket('\n+\n'));
    for (const client of clients) {
      await line(client, '|alice@example.org|quota get').catch(() => undefined);
      if (client.transport.closedFor === undefined) client.peer.end();
    }
    await assertTidy(engine, clients);
  });
  assert.ok(calls > 40, `${calls} calls`);
});
