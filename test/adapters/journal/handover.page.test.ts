// The page between the main thread and the writer's thread, with both sides in one thread.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Mark, OrderPage, type Report, WriterPage } from '../../../src/adapters/journal/handover.js';

const held = (bodies: readonly string[]) => bodies.map((body) => ({ body }));
const mark = (seq: number, segment = 1): Mark => ({
  segment,
  device: 3,
  inode: 2 ** 40 + 1,
  bytes: seq * 500,
  seq,
  hash: `${seq}`.padStart(64, 'a'),
  stepsMs: -1500,
  oldestSeq: 1,
  timeMs: 1_795_000_000_000 + seq,
  openSeq: seq + 1,
});
const written = (reached: Mark | undefined, checkpoint?: string): Report => ({
  kind: 'written',
  mark: reached,
  checkpoint,
  isReserveUsed: false,
});

function pair() {
  const main = new OrderPage();
  return { main, writer: new WriterPage(main.memory) };
}

void test('an order to write lies on the page, whatever its text', () => {
  const { main, writer } = pair();
  for (const [bodies, sync] of [
    [['"a":1', '"b":"é\u{1f600}"'], true],
    [[], true],
    [['x'.repeat(7000)], false],
  ] as const) {
    main.write(held(bodies), sync);
    const order = writer.wait();
    assert.equal(order?.text.toString(), bodies.map((body) => `${body}\n`).join(''));
    assert.equal(order.sync, sync);
  }
});

void test('another order comes as a message, and too much text is refused instead of cut', () => {
  const { main, writer } = pair();
  main.ring();
  assert.equal(writer.wait(), undefined);
  const much = held(Array.from({ length: 110 }, () => 'é'.repeat(5000)));
  assert.throws(() => main.write(much, true), /no room/);
  main.write(held(['"a":1']), true);
  assert.equal(writer.wait()?.text.toString(), '"a":1\n');
});

void test('a report is the same on the other side, and costs no message unless it has more to say than where the chain stands', () => {
  const { main, writer } = pair();
  const reports: readonly (readonly [Report, boolean])[] = [
    [{ kind: 'lock', descriptor: 7 }, false],
    [written(undefined), true],
    [written(mark(5)), true],
    [written(mark(7)), true],
    [written(undefined), true],
    [written(mark(9), 'the checkpoint'), false],
    [written(mark(11)), true],
    [written(mark(12, 2)), true],
    [written(mark(15, 2)), true],
    [{ kind: 'failed', code: 'write-failed', message: 'no' }, false],
    [written(mark(16, 2)), true],
    [{ kind: 'written', mark: mark(17, 2), checkpoint: undefined, isReserveUsed: true }, false],
  ];
  for (const [report, isPacked] of reports) {
    const message = writer.pack(report);
    assert.equal(typeof message === 'string', isPacked);
    assert.deepEqual(main.unpack(structuredClone(message)), report);
  }
});
