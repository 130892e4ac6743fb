// What is remembered: over a restart, a stream that was put back, and lines that somebody kept elsewhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCheckpoint, signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { logged } from './desk.js';
import {
  blocks,
  fleetOf,
  key,
  optionsOf,
  PaperGate,
  type PaperObject,
  started,
  takeAll,
  told,
} from './paper-store.js';
import { makeGate } from './tampering.js';

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

void test('a key that was accepted with a journal stays accepted for all that it had, and no further', () => {
  const foreign = new PaperGate(makeSignKey().secretPem);
  for (let round = 0; round < 3; round += 1) {
    foreign.exchanges(1);
    foreign.checkpoint();
  }
  const stream = blocks(foreign.lines);
  const fleet = fleetOf();
  takeAll(fleet, stream);
  assert.deepEqual(told(fleet.judge(started)), [['untrusted', 'gate1', 2]]);
  fleet.accept(started);
  fleet.rewind([]);
  takeAll(fleet, stream);
  assert.deepEqual(fleet.judge(started), []);
  foreign.checkpoint();
  fleet.rewind([]);
  takeAll(fleet, blocks(foreign.lines));
  assert.deepEqual(told(fleet.judge(started)), [['untrusted', 'gate1', foreign.ledger.seq]]);
});

void test('a checkpoint of the fleet whose signature stands elsewhere, or is spelled differently, is none', () => {
  const named = { heads: [], findings: {}, nextKey: makeSignKey().key };
  const { line } = signCheckpoint(named, undefined, key.secretPem, started);
  const body = line.slice('{"seq":1,'.length, line.indexOf(',"prev":'));
  const [signature = ''] = /,"signature":"[^"]*"/.exec(body) ?? [];
  // With right hashes, and the same signature.
  const sealed = (text: string) => readCheckpoint(sealLine(1, text, '0'.repeat(64)).line);
  assert.notEqual(sealed(body), undefined);
  for (const changed of [
    body.replace(signature, '').replace(/(?=,"next_key":)/, signature),
    body.replace(signature, '').replace(/(?=,"key":)/, signature),
    body.replace(/==(?="$)/, ''),
  ])
    assert.equal(sealed(changed), undefined, changed);
});

void test('a state that was lost is made up for by the checkpoints in the stream', () => {
  const gate = makeGate();
  const stream = blocks(gate.lines);
  const whole = fleetOf();
  takeAll(whole, stream);
  const { line } = signCheckpoint({ heads: whole.heads(), findings: {} }, undefined, key.secretPem, started);
  const fleet = fleetOf(undefined, { verifier: { name: undefined, keys: [key.key] } });
  takeAll(fleet, [...stream.slice(0, 3), logged(line)]);
  assert.deepEqual(told(fleet.judge(started)), [['cut-in-store', 'gate1', 16]]);
  assert.deepEqual(takeAll(fleet, [logged(line)]), [], 'a line that comes again is no other one');
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
  const stream: PaperObject[] = [];
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
    const seen = { heads: fleet.heads(), findings: {} };
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
  assert.deepEqual(told(fleet.judge(started)), [['cut-in-store', 'gate1', head]]);
  takeAll(fleet, end);
  assert.deepEqual(told(fleet.judge(started)), []);
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
    return JSON.parse(JSON.stringify(new Fleet(optionsOf(undefined, { hosts }), state).save())).keys;
  };
  assert.deepEqual(keysWith(key.key), state.keys);
  assert.deepEqual(keysWith(makeSignKey().key), []);
});
