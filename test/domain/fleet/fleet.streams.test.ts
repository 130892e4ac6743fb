// Goal: a host's records are followed from the one stream of all hosts, as releases before kept them, into its own stream, with what such a
// release had saved; and a record in a stream where it does not belong is found.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostStreamOf } from '../../../src/domain/fleet/block.js';
import { createFleet, type Fleet } from '../../../src/domain/fleet/fleet.js';
import {
  block,
  blocks,
  fleetOf,
  message,
  optionsOf,
  PaperGate,
  type PaperMessage,
  started,
  takeAll,
  told,
} from './paper-stream.js';

const minuteMs = 60_000;

/** Records 1 to 16. */
function makeGate(id?: string): PaperGate {
  const gate = new PaperGate(undefined, id);
  gate.exchanges(6);
  gate.checkpoint();
  gate.checkpoint();
  return gate;
}

/** Takes messages of the stream of a host, the first as the given number. */
function takeOwn(fleet: Fleet, messages: readonly PaperMessage[], firstSeq = 1, host = 'gate1') {
  const stream = hostStreamOf('DOVEGATE_AUDIT', host);
  return messages.flatMap((one, at) => [...fleet.take(message(one, firstSeq + at), stream)]);
}

const judge = (fleet: Fleet) => told(fleet.judge(started + minuteMs));

void test('a journal goes on in the stream of its host, and the state of the release before is gone on with', () => {
  const { lines } = makeGate();
  const fleet = fleetOf();
  takeAll(fleet, blocks(lines.slice(0, 8)));
  const { others: _, ...state } = JSON.parse(JSON.stringify(fleet.save()));
  const next = createFleet(optionsOf(), { ...state, format: 1 });
  assert.equal(next.seqIn('DOVEGATE_AUDIT'), 2);
  takeOwn(next, blocks(lines.slice(8)));
  assert.deepEqual(judge(next), []);
  assert.deepEqual([next.seqIn('DOVEGATE_AUDIT_gate1'), next.streamSeq, next.records], [2, 4, 16]);
  const saved = JSON.parse(JSON.stringify(next.save()));
  assert.deepEqual(JSON.parse(JSON.stringify(createFleet(optionsOf(), saved).save())), saved);

  // Everything once more: the old records first, then the new ones.
  next.rewind([]);
  takeAll(next, blocks(lines.slice(0, 8)));
  assert.deepEqual(judge(next), [['cut-in-stream', 'gate1', 16]]);
  takeOwn(next, blocks(lines.slice(8)));
  assert.deepEqual(judge(next), []);
});

void test('a beginning that is gone from the one stream by its age is not missing', () => {
  const { lines } = makeGate();
  const late = fleetOf();
  takeOwn(late, blocks(lines.slice(8)));
  assert.deepEqual(judge(late), [['missing', 'gate1', 1]]);
  const pruned = fleetOf();
  const old = new PaperGate(undefined, 'ee'.repeat(16));
  old.checkpoint();
  takeAll(pruned, [block(old.lines, 'gate1', 'ee'.repeat(16))], 40);
  takeOwn(pruned, blocks(lines.slice(8)));
  assert.deepEqual(
    judge(pruned).filter(([kind]) => kind === 'missing'),
    [],
  );
});

void test('records in the stream of another host, or behind those of the own stream in that of all: misplaced', () => {
  const { lines } = makeGate();
  const foreign = fleetOf(['gate1', 'gate2']);
  takeOwn(foreign, blocks(lines, 4, 'gate2'));
  assert.deepEqual(judge(foreign), [
    ['misplaced', 'gate2', undefined],
    ['never-seen', 'gate1', undefined],
    ['never-seen', 'gate2', undefined],
  ]);
  const fleet = fleetOf();
  takeOwn(fleet, blocks(lines.slice(0, 12)));
  takeAll(fleet, blocks(lines.slice(12)), 1);
  assert.deepEqual(judge(fleet), [['misplaced', 'gate1', undefined]]);
  assert.equal(fleet.records, 12, 'it is not followed');
});
