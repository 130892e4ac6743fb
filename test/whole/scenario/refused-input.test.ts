// Goal: the text behind a refused `save` is never run. Phases: refused as a whole; one that does not parse; one that names a file;
// input that never ends, or is too long. What must not happen: a line of the text at a backend.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openGateway, recordsOf } from '../../kit/gate/gateway.js';

const text =
  '\talice@example.org\tquota get\n\talice@example.org\tmailbox list\n..\n.x\n\talice@example.org\tquota get\r\n';

const ended = [
  'save\t--bogus',
  'save\t/etc/passwd',
  'save\t--file=/etc/passwd',
  'sieve put',
  'SAVE',
  'dsync-server',
];
const answered = ['save', 'save\t-m\tINBOX', 'sieve put\tname', 'sieve\tput\tname'];

test('refused with a text behind it', async (t) => {
  const { client, backend } = await openGateway(t);

  for (const command of ended) {
    await t.test(`${command.replaceAll('\t', ' ')}: an answer, then the end`, async () => {
      const one = await client();
      await one.write(`\talice@example.org\t${command}\n${text}.\n\talice@example.org\tquota get\n`);
      assert.match((await one.readReply()).status, /^-(USAGE|NOPERM)$/);
      assert.equal((await one.readEnd()).body.length, 0);
      assert.equal(backend.records.length, 0);
    });
  }

  for (const [at, command] of answered.entries()) {
    const title = `${command.replaceAll('\t', ' ')}: the answer comes after the dot, and the session goes on`;
    await t.test(title, async () => {
      const one = await client();
      one.send(`\talice@example.org\t${command}`);
      await one.write(text);
      // Nothing may be answered before the dot: the next thing that comes would be that answer.
      await one.write('.\n\talice@example.org\tquota get\n');
      const refused = await one.readReply();
      assert.equal(refused.status, '-NOPERM');
      assert.equal(refused.cells.length, 0);
      assert.equal((await one.readReply()).cells.length, 10);
      assert.equal(backend.commands.length, at + 1);
    });
  }
});

// bounds.inputBytes, bounds.inputMs
test('input above limits.input, and input that takes too long, end the session', async (t) => {
  const { client, backend, daemon } = await openGateway(t, {
    more: 'limits: { input: 4KiB, input_time: 300ms }',
  });
  const long = await client();
  long.send('\talice@example.org\tsave');
  await long.write('x'.repeat(10_000)).catch(() => undefined);
  assert.equal((await long.readReply()).status, '-NOPERM');
  assert.equal((await long.readEnd()).body.length, 0);
  const slow = await client();
  slow.send('\talice@example.org\tsave');
  await slow.write('a line\n');
  assert.equal((await slow.readEnd()).body.length, 0);
  assert.equal(backend.records.length, 0);
  await daemon.stop();
  const closes = recordsOf(daemon, 'session-close');
  assert.deepEqual(
    closes.map((record) => record['reason']),
    ['input-limit', 'input-limit'],
  );
});
