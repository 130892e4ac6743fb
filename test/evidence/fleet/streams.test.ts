// A stream that was stronger is found weak until a person accepts it, over restarts, lost states and kept lines.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkpointSubject, formatHead, headerNames } from '../../../src/evidence/fleet/block.js';
import {
  type ReadCheckpoint,
  readCheckpoint,
  signCheckpoint,
} from '../../../src/evidence/fleet/checkpoint.js';
import { createFleet, type Fleet } from '../../../src/evidence/fleet/fleet.js';
import { configOf } from '../../../src/evidence/streams/made.js';
import {
  blocks,
  fleetOf,
  key,
  message,
  optionsOf,
  PaperGate,
  started,
  takeAll,
  takeOne,
  told,
} from './paper-stream.js';

const dayMs = 86_400_000;
const wanted = { subjects: [], isExact: false, replicas: 1, keepMs: dayMs };

function see(fleet: Fleet, replicas: number, more: Readonly<Record<string, unknown>> = {}): void {
  const made = configOf('DOVEGATE_AUDIT', { replicas, maxAgeMs: dayMs, maxBytes: 1000, subjects: [] });
  const config = { ...made, ...more };
  fleet.see({ stream: 'DOVEGATE_AUDIT', config, bytes: 800, wanted });
}

/** As another run has it. */
function restarted(fleet: Fleet): Fleet {
  return createFleet(optionsOf(), JSON.parse(JSON.stringify(fleet.save())));
}

function weakIn(fleet: Fleet): readonly string[] {
  return fleet
    .judge(started)
    .filter(({ kind }) => kind === 'weakened')
    .map(({ text }) => text.replace(/^.*: (.*?)\. .*$/, '$1'));
}

/** A line that was kept elsewhere, from when the stream had so many replicas. */
function kept(replicas: number): ReadCheckpoint {
  const streams = [{ stream: 'DOVEGATE_AUDIT', replicas, maxAgeMs: dayMs }];
  const { line } = signCheckpoint({ heads: [], findings: {}, streams }, undefined, key.secretPem, started);
  return readCheckpoint(line) ?? assert.fail();
}

const less = 'num_replicas is 1 and was 3 (replicas)';

void test('fewer replicas than in an earlier run are found in every run until that is accepted', () => {
  const first = fleetOf();
  see(first, 3);
  assert.deepEqual(weakIn(first), []);
  const second = restarted(first);
  assert.deepEqual(weakIn(second), [], 'nothing is said of a stream that was not seen');
  see(second, 1);
  assert.deepEqual(weakIn(second), [less]);
  const third = restarted(second);
  see(third, 1);
  assert.deepEqual(weakIn(third), [less]);
  const accepting = restarted(third);
  assert.equal(accepting.accept(started), 1);
  see(accepting, 1);
  assert.deepEqual(weakIn(accepting), []);
  const after = restarted(accepting);
  see(after, 1);
  assert.deepEqual(weakIn(after), []);
  // Back as it was: nothing is to be accepted.
  const back = restarted(third);
  see(back, 3);
  assert.deepEqual(weakIn(back), []);
  assert.equal(back.accept(started), 0);
});

void test('only what an earlier run saw is accepted', () => {
  const first = fleetOf();
  see(first, 3);
  first.judge(started);
  see(first, 2);
  first.judge(started);
  const accepting = restarted(first);
  accepting.accept(started);
  see(accepting, 1);
  assert.deepEqual(weakIn(accepting), ['num_replicas is 1 and was 2 (replicas)']);
});

void test('a lost state is made up for by the signed line in the stream, and by one that was kept elsewhere', () => {
  const gate = new PaperGate();
  const stream = blocks(gate.lines);
  const whole = fleetOf();
  takeAll(whole, stream);
  see(whole, 3);
  whole.judge(started);
  const other = { stream: 'S_gate1', replicas: 7, maxAgeMs: 0 };
  const seen = { heads: whole.heads(), findings: {}, streams: [...whole.strengths(), other] };
  const { line } = signCheckpoint(seen, undefined, key.secretPem, started);
  const read = readCheckpoint(line);
  assert.deepEqual(read?.streams, [{ stream: 'DOVEGATE_AUDIT', replicas: 3, maxAgeMs: dayMs }, other]);
  assert.equal(readCheckpoint(line.replace('"replicas":3', '"replicas":1')), undefined);

  const fromStream = fleetOf();
  see(fromStream, 1);
  const logged = { subject: checkpointSubject, headers: [], body: Buffer.from(line), storedMs: started };
  takeAll(fromStream, stream);
  takeOne(fromStream, message(logged, stream.length + 1));
  assert.deepEqual(weakIn(fromStream), [less]);
  assert.deepEqual(
    fromStream.strengths().map(({ stream: name }) => name),
    ['DOVEGATE_AUDIT'],
    'a stream that was not seen is not taken from the line',
  );
  // What is known does not come from the line, which is of before.
  fromStream.accept(started);
  assert.deepEqual(weakIn(fromStream), []);

  const fromLine = fleetOf();
  fromLine.rewind([], read);
  see(fromLine, 1);
  assert.deepEqual(weakIn(fromLine), [less]);
});

void test('of each property the strongest counts, of whichever run and kept line', () => {
  const halfDay = { max_age: (dayMs / 2) * 1e6 };
  const first = fleetOf();
  see(first, 3);
  first.judge(started);
  see(first, 5, halfDay);
  assert.deepEqual(weakIn(first), ['max_age is 12h, must be 1d (keep)']);
  const second = restarted(first);
  second.rewind([], kept(1));
  see(second, 3);
  assert.deepEqual(weakIn(second), ['num_replicas is 3 and was 5 (replicas)']);
  second.rewind([], kept(7));
  assert.deepEqual(weakIn(second), ['num_replicas is 3 and was 7 (replicas)']);
});

void test('rights that are too wide are a finding as long as they are seen', () => {
  const fleet = fleetOf([]);
  fleet.seeRights(['it may purge it']);
  assert.deepEqual(told(fleet.judge(started)), [['weakened', '-', undefined]]);
  fleet.seeRights([]);
  assert.deepEqual(fleet.judge(started), []);
});

void test('a stream of one host is a finding of that host; how full it is stands in the status', () => {
  const fleet = fleetOf([]);
  see(fleet, 1);
  const config = { max_bytes: -1 };
  fleet.see({ stream: 'S_gate1', host: 'gate1', config, bytes: 5, wanted });
  assert.deepEqual(told(fleet.judge(started)), [['weakened', 'gate1', undefined]]);
  const [first, second] = fleet.status(started).streams ?? [];
  assert.match(first?.filling ?? '', /^the stream DOVEGATE_AUDIT is full/);
  assert.deepEqual(
    { ...first, filling: '' },
    { stream: 'DOVEGATE_AUDIT', bytes: 800, maxBytes: 1000, filling: '' },
  );
  assert.deepEqual(second, { stream: 'S_gate1', bytes: 5 });
});

void test('blocks have the same id only where their bytes are the same', () => {
  const [a, b, c] = ['a'.repeat(64), 'b'.repeat(64), 'c'.repeat(64)];
  const written = [
    ['j1', 1, 10, a],
    // Sent again, when more records had come.
    ['j1', 1, 20, b],
    // Records that were cut off and written again.
    ['j1', 1, 10, c],
    ['j1', 2, 10, a],
    ['j2', 1, 10, a],
  ] as const;
  const ids = written.map(([journal, first, last, head]) =>
    new Map(formatHead(journal, { kind: 'block', first, last, head })).get(headerNames.id),
  );
  assert.equal(new Set(ids).size, written.length);
});

void test('records that are not in the mirror when half of their time in the stream is over', () => {
  const mirrored = new Map([
    ['gate1', started],
    ['gate2', started + dayMs / 4],
  ]);
  const unmirrored = (keepMs: number | undefined, nowMs: number): readonly string[] => {
    const fleet = fleetOf(['gate1', 'gate2'], keepMs === undefined ? {} : { keepMs });
    fleet.seeMirrored(mirrored);
    return fleet
      .judge(nowMs)
      .filter(({ kind }) => kind === 'not-mirrored')
      .map(({ host, time, text }) => `${host} ${time} ${text}`);
  };
  assert.deepEqual(unmirrored(dayMs, started + dayMs / 2), []);
  const [one = '', ...more] = unmirrored(dayMs, started + dayMs / 2 + 1);
  assert.match(one, /^gate1 2026-11-20T08:00:00\.000Z its records since .* at 2026-11-21T08:00:00\.000Z: /);
  assert.deepEqual(more, []);
  assert.equal(unmirrored(dayMs, started + dayMs).length, 2);
  // A stream that keeps them for ever, or whose age is not known, drops none.
  assert.deepEqual(
    [unmirrored(0, started + 9 * dayMs), unmirrored(undefined, started + 9 * dayMs)],
    [[], []],
  );
});
