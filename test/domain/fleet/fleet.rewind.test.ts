// What is remembered: over a restart, a stream that was put back, and lines that somebody kept elsewhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSignKey, sealLine } from '../../../src/domain/audit/ledger.js';
import { checkpointStreamOf, checkpointSubject, hostStreamOf } from '../../../src/domain/fleet/block.js';
import { readCheckpoint, signCheckpoint } from '../../../src/domain/fleet/checkpoint.js';
import { createFleet, type Fleet } from '../../../src/domain/fleet/fleet.js';
import {
  blocks,
  fleetOf,
  journal,
  key,
  message,
  optionsOf,
  PaperGate,
  type PaperMessage,
  started,
  takeAll,
  takeOne,
  told,
} from './paper-stream.js';

function makeGate(): PaperGate {
  const gate = new PaperGate();
  gate.exchanges(6);
  gate.checkpoint();
  gate.checkpoint();
  return gate;
}

function loaded(fleet: Fleet): Fleet {
  return createFleet(optionsOf(), JSON.parse(JSON.stringify(fleet.save())));
}

function logged(line: string): PaperMessage {
  return { subject: checkpointSubject, headers: [], body: Buffer.from(line), storedMs: started };
}

void test('a state that is not exactly ours is refused with a sentence', () => {
  const fleet = fleetOf();
  takeAll(fleet, blocks(makeGate().lines));
  const state = JSON.parse(JSON.stringify(fleet.save()));
  assert.deepEqual(JSON.parse(JSON.stringify(createFleet(optionsOf(), state).save())), state);
  for (const [name, bad] of Object.entries({
    none: null,
    text: 'x',
    empty: {},
    more: { ...state, more2: 1 },
    less: { ...state, chains: undefined },
    inChain: { ...state, chains: [{ ...state.chains[0], seq: -1 }] },
    inTuple: { ...state, chains: [{ ...state.chains[0], open: [['a', 1]] }] },
    kind: { ...state, findings: [{ kind: 'bored', host: 'a', text: 'b' }] },
  })) {
    assert.throws(
      () => createFleet(optionsOf(), bad),
      { name: 'TypeError', message: /is not what was saved/ },
      name,
    );
  }
  assert.throws(() => createFleet(optionsOf(), { ...state, format: 3 }), /newer program/);
  assert.throws(
    () => createFleet(optionsOf(undefined, { stream: 'B' }), state),
    /is of stream "DOVEGATE_AUDIT"/,
  );
});

void test('a server that lost its end and is filled up again ends green without a hand', () => {
  const stream = blocks(makeGate().lines);
  const fleet = fleetOf();
  takeAll(fleet, stream);
  fleet.rewind([]);
  assert.deepEqual(takeAll(fleet, stream.slice(0, 2)), []);
  assert.deepEqual(told(fleet.judge(started)), [['cut-in-stream', 'gate1', 16]]);
  const again = loaded(fleet);
  takeAll(again, stream.slice(2));
  assert.deepEqual(again.judge(started), []);
});

void test('a stream that was written anew is another one', () => {
  const fleet = fleetOf();
  takeAll(fleet, blocks(makeGate().lines));
  fleet.rewind([]);
  const forged = new PaperGate();
  forged.nowMs += 7;
  forged.exchanges(6);
  forged.checkpoint();
  forged.checkpoint();
  assert.deepEqual(told(takeAll(fleet, blocks(forged.lines))), [['forked', 'gate1', 16]]);
});

void test('what was accepted stays accepted when it is read a second time, and what was not is told once', () => {
  const stream = blocks(makeGate().lines);
  stream.splice(1, 1);
  const fleet = fleetOf();
  takeAll(fleet, stream);
  fleet.accept(started);
  fleet.rewind([]);
  assert.deepEqual(takeAll(fleet, stream), []);
  assert.deepEqual(fleet.judge(started), []);
});

void test('what the retention of the stream removed is not missed, what is younger is', () => {
  const stream = blocks(makeGate().lines);
  const fleet = fleetOf();
  takeAll(fleet, stream);
  fleet.rewind([]);
  const later = { storedMs: started + 1000 };
  const gone = new PaperGate(undefined, 'ef'.repeat(16));
  const next = blocks(gone.lines, 2, 'gate1', gone.id).map((one) => ({ ...one, ...later }));
  takeAll(fleet, next, 5);
  assert.deepEqual(told(fleet.judge(started + 1000)), []);
  const other = fleetOf();
  takeAll(other, stream);
  other.rewind([]);
  takeAll(other, blocks(gone.lines, 2, 'gate1', gone.id), 5);
  assert.deepEqual(told(other.judge(started)), [['cut-in-stream', 'gate1', 16]]);
});

void test('a checkpoint of the fleet is signed, read, and vouches for each head', () => {
  const gate = makeGate();
  const fleet = fleetOf();
  takeAll(fleet, blocks(gate.lines));
  const first = signCheckpoint({ heads: fleet.heads(), findings: 0 }, undefined, key.secretPem, started);
  const read = readCheckpoint(first.line);
  assert.deepEqual(
    [read?.seq, read?.root, read?.time, read?.key, read?.findings],
    [1, first.root, '2026-11-20T08:00:00.000Z', key.key, 0],
  );
  assert.deepEqual(read?.heads, fleet.heads());
  assert.match(first.line, new RegExp(`"hosts":\\[\\{"host":"gate1","journal":"${journal}","seq":16,`));
  for (const changed of [
    first.line.replace('"seq":16', '"seq":15'),
    first.line.replace('"findings":0', '"findings":1'),
    first.line.slice(0, -1),
    '',
    '{}',
  ]) {
    assert.equal(readCheckpoint(changed), undefined);
  }
  // With right hashes, and the same signature: elsewhere, and spelled differently.
  const named = { heads: fleet.heads(), findings: 0, nextKey: makeSignKey().key };
  const { line } = signCheckpoint(named, undefined, key.secretPem, started);
  const body = line.slice('{"seq":1,'.length, line.indexOf(',"prev":'));
  const [signature = ''] = /,"signature":"[^"]*"/.exec(body) ?? [];
  const sealed = (text: string) => readCheckpoint(sealLine(1, text, '0'.repeat(64)).line);
  assert.notEqual(sealed(body), undefined);
  for (const changed of [
    body.replace(signature, '').replace(/(?=,"next_key":)/, signature),
    body.replace(signature, '').replace(/(?=,"key":)/, signature),
    body.replace(/==(?="$)/, ''),
  ])
    assert.equal(sealed(changed), undefined, changed);
  // A kept line against a stream that ends before.
  const short = fleetOf();
  short.rewind(read?.heads ?? []);
  takeAll(short, blocks(gate.lines).slice(0, 3));
  assert.deepEqual(told(short.judge(started)), [['cut-in-stream', 'gate1', 16]]);
});

void test('the checkpoints in the stream and in the file are one chain', () => {
  const gate = makeGate();
  const stream = blocks(gate.lines);
  const fleet = fleetOf(undefined, { verifier: { name: undefined, keys: [key.key] } });
  takeAll(fleet, stream);
  const seen = { heads: fleet.heads(), findings: 0 };
  const lines: string[] = [];
  const sign = (before: string | undefined, secretPem = key.secretPem, findings = 0) =>
    signCheckpoint(
      { ...seen, findings },
      before === undefined ? undefined : readCheckpoint(before),
      secretPem,
      started,
    ).line;
  for (let count = 0; count < 4; count += 1) lines.push(sign(lines.at(-1)));
  const [one = '', two = '', three = '', four = ''] = lines;
  const results = (taken: readonly string[], file: readonly string[] = lines) => {
    const each = loaded(fleet);
    const found = takeAll(each, taken.map(logged));
    return told([...found, ...each.takeLog(file)]);
  };
  assert.deepEqual(results(lines), []);
  assert.deepEqual(results([one, two]), [], 'a line that could not be published yet');
  assert.deepEqual(results([one, two, one]), [], 'and one that was published twice');
  assert.deepEqual(results([one, three]), [['missing', '-', 2]]);
  assert.deepEqual(results([one, two, sign(two, undefined, 7)]), [['forked', '-', 3]]);
  assert.deepEqual(results([one, two, three, sign(two, undefined, 7)]), [['forked', '-', 3]]);
  assert.deepEqual(results([one, sign(sign(undefined, undefined, 7))]).slice(0, 1), [['unlinked', '-', 2]]);
  assert.deepEqual(results([one, sign(one, makeSignKey().secretPem)]), [['untrusted', '-', 2]]);
  assert.deepEqual(results([one, `${two} `.replace('"seq":2', '"seq":3')]), [['malformed', '-', undefined]]);
  assert.deepEqual(results(lines, [one, two]), [['cut-at-host', '-', 3]]);
  assert.deepEqual(results(lines, [one, three, four]), [['unlinked', '-', 3]]);
  assert.deepEqual(results(lines, [one, two.replace('fleet', 'float'), three, four]), [['changed', '-', 1]]);
  const status = loaded(fleet);
  takeAll(status, lines.map(logged));
  assert.equal(status.status(started).checkpoint?.seq, 4);
});

void test('a state that was lost is made up for by the checkpoints in the stream', () => {
  const gate = makeGate();
  const stream = blocks(gate.lines);
  const whole = fleetOf();
  takeAll(whole, stream);
  const { line } = signCheckpoint({ heads: whole.heads(), findings: 0 }, undefined, key.secretPem, started);
  const fleet = fleetOf(undefined, { verifier: { name: undefined, keys: [key.key] } });
  takeAll(fleet, [...stream.slice(0, 3), logged(line)]);
  assert.deepEqual(told(fleet.judge(started)), [['cut-in-stream', 'gate1', 16]]);
  assert.deepEqual(
    takeOne(fleet, message(logged(line), 4)),
    [],
    'a message that was taken is not taken again',
  );
});

void test('more that is missing than was accepted is told when it is read a second time', () => {
  const stream = blocks(makeGate().lines);
  const fleet = fleetOf();
  takeAll(fleet, [...stream.slice(0, 1), ...stream.slice(2)]);
  fleet.accept(started);
  fleet.rewind([]);
  takeAll(fleet, [...stream.slice(0, 1), ...stream.slice(3)]);
  assert.deepEqual(told(fleet.judge(started)), [['missing', 'gate1', 5]]);
});

void test('the last head that was read is missed, however many signed ones come first', () => {
  const gate = new PaperGate();
  const stream: PaperMessage[] = [];
  const lines: string[] = [];
  const fleet = fleetOf(undefined, { verifier: { name: undefined, keys: [key.key] } });
  for (let round = 0; round < 20; round += 1) {
    gate.exchanges(2);
    gate.checkpoint();
    const sent = stream.reduce((sum, { body }) => sum + body.toString().split('\n').length - 1, 0);
    const more = blocks(gate.lines.slice(sent), 100);
    takeAll(fleet, more);
    stream.push(...more);
    const before = lines.length === 0 ? undefined : readCheckpoint(lines.at(-1) ?? '');
    const seen = { heads: fleet.heads(), findings: 0 };
    lines.push(signCheckpoint(seen, before, key.secretPem, started).line);
  }
  gate.exchanges(2);
  gate.checkpoint();
  const end = blocks(gate.lines.slice(-5), 100);
  takeAll(fleet, end);
  const head = gate.ledger.seq;
  fleet.rewind([]);
  // A store that was put back: the verifier's lines are sent again before the gates fill it up.
  takeAll(fleet, [...lines.map(logged), ...stream]);
  assert.deepEqual(told(fleet.judge(started)), [['cut-in-stream', 'gate1', head]]);
  takeAll(fleet, end);
  assert.deepEqual(told(fleet.judge(started)), []);
});

void test('an acceptance while everything is read a second time accepts nothing that was not looked for', () => {
  const stream = blocks(makeGate().lines);
  const fleet = fleetOf();
  takeAll(fleet, stream);
  fleet.rewind([]);
  takeAll(fleet, stream.slice(0, 1));
  const again = loaded(fleet);
  again.accept(started);
  takeAll(again, stream.slice(1, 3));
  assert.deepEqual(told(again.judge(started)), [['cut-in-stream', 'gate1', 16]]);
  again.accept(started);
  assert.deepEqual(told(again.judge(started)), []);
});

void test('what a key named is trusted no longer than that key', () => {
  const next = makeSignKey();
  const gate = new PaperGate();
  gate.checkpoint({ next_key: next.key });
  const fleet = fleetOf();
  takeAll(fleet, blocks(gate.lines));
  const state = JSON.parse(JSON.stringify(fleet.save()));
  assert.ok(JSON.stringify(state.keys).includes(next.key));
  const keysWith = (listed: string): unknown => {
    const hosts = new Map([['gate1', { key: listed, silentMs: 60_000 }]]);
    return JSON.parse(JSON.stringify(createFleet(optionsOf(undefined, { hosts }), state).save())).keys;
  };
  assert.deepEqual(keysWith(key.key), state.keys);
  assert.deepEqual(keysWith(makeSignKey().key), []);
});

// Goal: a host's records are followed from the one stream of all hosts, as releases before kept them, into its own stream, with what such a
// release had saved; and a record in a stream where it does not belong is found.
const minuteMs = 60_000;

/** Records 1 to 16. */
function makeGateOfStreams(id?: string): PaperGate {
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

void test('records in the stream of another host, or in that of the checkpoints: misplaced', () => {
  const { lines } = makeGateOfStreams();
  const foreign = fleetOf(['gate1', 'gate2']);
  takeOwn(foreign, blocks(lines, 4, 'gate2'));
  assert.deepEqual(judge(foreign), [
    ['misplaced', 'gate2', undefined],
    ['never-seen', 'gate1', undefined],
    ['never-seen', 'gate2', undefined],
  ]);
  const fleet = fleetOf();
  takeOwn(fleet, blocks(lines.slice(0, 12)));
  for (const [at, one] of blocks(lines.slice(12)).entries())
    fleet.take(message(one, at + 1), checkpointStreamOf('DOVEGATE_AUDIT'));
  assert.deepEqual(judge(fleet), [['misplaced', 'gate1', undefined]]);
  assert.equal(fleet.records, 12, 'it is not followed');
});
