// What is remembered: over a restart, a stream that was put back, and lines that somebody kept elsewhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCheckpoint, signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { logged } from './desk.js';
import {
  block,
  blocks,
  fleetWith,
  key,
  optionsOf,
  PaperGate,
  savedOf,
  standing,
  started,
  takeAll,
} from './paper-store.js';
import { makeGate } from './tampering.js';

const verifies = { verifier: { name: undefined, keys: [key.key] } };

void test('a key that was accepted with a journal stays accepted for all that it had, and no further', () => {
  const foreign = new PaperGate(makeSignKey().secretPem);
  for (let round = 0; round < 3; round += 1) {
    foreign.exchanges(1);
    foreign.checkpoint();
  }
  const stream = blocks(foreign.lines);
  const fleet = fleetWith(stream);
  assert.deepEqual(standing(fleet), ['untrusted gate1 2']);
  fleet.accept(started);
  fleet.rewind([]);
  takeAll(fleet, stream);
  assert.deepEqual(standing(fleet), []);
  foreign.checkpoint();
  fleet.rewind([]);
  takeAll(fleet, [...stream, { ...block(foreign.lines.slice(-1)), storedMs: started + 1 }]);
  assert.deepEqual(standing(fleet), [`untrusted gate1 ${foreign.ledger.seq}`]);
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
  const heads = fleetWith(stream).heads();
  const { line } = signCheckpoint({ heads, findings: {} }, undefined, key.secretPem, started);
  const fleet = fleetWith([...stream.slice(0, 3), logged(line)], verifies);
  assert.deepEqual(standing(fleet), ['cut-in-store gate1 16']);
  assert.deepEqual(takeAll(fleet, [logged(line)]), [], 'a line that comes again is no other one');
});

void test('what a key named is trusted no longer than that key', () => {
  const next = makeSignKey();
  const gate = new PaperGate();
  gate.checkpoint({ next_key: next.key });
  const state = JSON.parse(JSON.stringify(fleetWith(blocks(gate.lines)).save()));
  assert.ok(JSON.stringify(state.keys).includes(next.key));
  const keysWith = (listed: string): unknown => {
    const hosts = new Map([['gate1', { key: listed, silentMs: 60_000 }]]);
    return Object(savedOf(new Fleet(optionsOf(undefined, { hosts }), state))).keys;
  };
  assert.deepEqual(keysWith(key.key), state.keys);
  assert.deepEqual(keysWith(makeSignKey().key), []);
});
