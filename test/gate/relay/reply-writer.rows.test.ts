// Goal: rows of several replies are joined whole, however they are cut; what breaks off leaves no trace in others.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';
import { createJoinedTarget, type RelayTarget } from '../../../src/gate/relay/reply-writer.js';

function createTarget(): RelayTarget & { text(): string; logs: string[] } {
  const parts: Buffer[] = [];
  const logs: string[] = [];
  return {
    logs,
    expect: () => true,
    addBody: (bytes) => void parts.push(Buffer.from(bytes)),
    addLog: (_type, text) => void logs.push(text),
    say: () => undefined,
    addRawStatus: () => assert.fail('a status line went out'),
    flush: () => undefined,
    takenBytes: 0,
    text: () => Buffer.concat(parts).toString('latin1'),
  };
}

void test('any cuts and any order: every whole row, in the order of its reply', () => {
  const reply = fc.record({
    rows: fc.array(fc.array(fc.stringMatching(/^[a-z]{0,6}$/), { minLength: 3, maxLength: 3 }), {
      maxLength: 6,
    }),
    rest: fc.constantFrom('', 'half', 'one\t', 'one\ttwo\t', 'one\ttwo\tthr'),
  });
  fc.assert(
    fc.property(
      fc.array(reply, { minLength: 1, maxLength: 4 }),
      fc.infiniteStream(fc.nat(9)),
      (replies, cuts) => {
        const target = createTarget();
        const flows = replies.map(({ rows, rest }, index) => ({
          joiner: createJoinedTarget(target, 3),
          left: Buffer.from(
            rows.map((row) => row.map((cell) => `${index}${cell}\t`).join('')).join('') + rest,
          ),
        }));
        while (flows.some(({ left }) => left.length > 0)) {
          for (const flow of flows) {
            const size = cuts.next().value;
            flow.joiner.addBody(flow.left.subarray(0, size));
            flow.left = flow.left.subarray(size);
            flow.joiner.addRawStatus(Buffer.from('-TEMPFAIL'), '');
          }
        }
        const cells = target.text().split('\t').slice(0, -1);
        assert.equal(cells.length % 3, 0);
        const joined = replies.map((): string[][] => []);
        for (let at = 0; at < cells.length; at += 3) {
          const row = cells.slice(at, at + 3);
          const [owner = ''] = row[0] ?? '';
          for (const cell of row) assert.equal(cell[0], owner, 'a row of two replies');
          joined[Number(owner)]?.push(row.map((cell) => cell.slice(1)));
        }
        assert.deepEqual(
          joined,
          replies.map(({ rows }) => rows),
        );
      },
    ),
  );
});

// bounds.rowBytes
void test('a row without an end has a limit', () => {
  const joiner = createJoinedTarget(createTarget(), 2);
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  for (let count = 0; count < 4; count += 1) joiner.addBody(chunk);
  assert.throws(() => joiner.addBody(chunk));
});

void test('log lines pass, status lines do not', () => {
  const target = createTarget();
  for (const each of [createJoinedTarget(target, 1), createJoinedTarget(target, undefined)]) {
    each.addLog('info', 'text');
    each.addRawStatus(Buffer.from('-NOTFOUND'), '');
    each.addBody(Buffer.from('cell\t'));
  }
  assert.deepEqual(target.logs, ['text', 'text']);
  assert.equal(target.text(), 'cell\tcell\t');
});

void test('a reply that ends within a row has not succeeded, whatever it says; its failure is passed over as any', () => {
  for (const rest of ['half', 'one\t']) {
    const joiner = createJoinedTarget({ ...createTarget(), addRawStatus: () => undefined }, 2);
    joiner.addBody(Buffer.from(`a\tb\t${rest}`));
    joiner.addRawStatus(Buffer.from('-TEMPFAIL'), '');
    assert.throws(() => joiner.addRawStatus(Buffer.from('+'), ''), { code: 'bad-frame' });
  }
  const whole = createJoinedTarget(createTarget(), 2);
  whole.addBody(Buffer.from('a\tb\t'));
  whole.addRawStatus(Buffer.from('+'), '');
});
