// Goal: a backend that answers nothing keeps a client waiting, and an upstream leased, for the time of the command's effect or rule, and no
// longer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { memorySettings, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';

const settings = memorySettings.replace(
  'search, fetch',
  `search, fetch, kick, mailbox subscribe, acl set, mailbox delete, { command: index, deadline: 2h },
      { command: sync, root_equivalent: true, where: { destination: any } }`,
);

const cases: readonly (readonly [effect: string, line: string, limitMs: number])[] = [
  ['read', '|alice@example.org|quota get', bounds.readDeadlineMs],
  ['session', '|alice@example.org|kick|alice@example.org', bounds.sessionDeadlineMs],
  ['write', '|alice@example.org|mailbox subscribe|Work', bounds.writeDeadlineMs],
  ['admin', '|alice@example.org|acl set|Work|user=bob@example.org|lookup', bounds.adminDeadlineMs],
  ['destroy', '|alice@example.org|mailbox delete|Work', bounds.destroyDeadlineMs],
  // As long as `backup -R`, whose effect is destroy.
  ['admin', '|alice@example.org|sync|tcp:mail2.example.org', bounds.destroyDeadlineMs],
  // By the rule.
  ['write', '|alice@example.org|index|INBOX', 7_200_000],
];

for (const [effect, line, limitMs] of cases) {
  void test(`${effect}: ${limitMs / 1000} s`, async () => {
    const engine = openMemoryEngine({ settings });
    engine.setAnswer(() => undefined);
    const client = await engine.client(2);
    await client.line(line);
    const [command] = engine.commands;
    assert.ok(command, client.said());
    const admission = engine.records.find(({ record }) => record.event === 'admission');
    assert.equal(admission?.record.effect, effect);
    await engine.clock.advance(limitMs - 1);
    await settle();
    assert.equal(client.said(), '');
    await engine.clock.advance(1);
    await settle();
    assert.match(client.said(), /\[reply-timeout\]/);
    assert.equal(engine.pool.snapshot().leased, 0);
  });
}
