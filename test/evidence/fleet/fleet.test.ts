// What an intruder, a disk or an operator can do to journals in a store, and what is said about it: kind, host and seq.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Awaited, awaitRecord } from '../../../src/evidence/fleet/chain.js';
import { readCheckpoint, signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import { judgeSignature } from '../../../src/evidence/fleet/signatures.js';
import { isBlockName } from '../../../src/evidence/store/names.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { Ledger, sealLine } from '../../../src/journal/records/ledger.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { held, lockExpired, locked } from '../../kit/plain/lock-records.js';
import { logged } from './desk.js';
import {
  block,
  blocks,
  fleetOf,
  fleetWith,
  hashOf,
  journal,
  key,
  optionsOf,
  PaperGate,
  type PaperObject,
  renamed,
  savedOf,
  standing,
  started,
  takeAll,
  told,
} from './paper-store.js';
import { at, makeGate } from './tampering.js';

const minuteMs = 60_000;

void test('a host is silent after its time, and not before; a stop is named', () => {
  const gate = makeGate();
  gate.put({ time: gate.nowMs, event: 'stop' });
  const fleet = fleetWith(blocks(gate.lines));
  assert.deepEqual(standing(fleet, started + 5 * minuteMs), []);
  const found = fleet.judge(started + 5 * minuteMs + 1);
  assert.deepEqual(told(found), ['untrusted gate1 17', 'silent gate1 17']);
  assert.match(found[1]?.text ?? '', /was stopped/);
  assert.equal(found[1]?.time, '2026-11-20T08:00:00.000Z');
});

// bounds.fleetFindings
void test('of each kind and host 20 findings are kept, and it is said that there are more', () => {
  const fleet = fleetOf();
  const empty = { ...at(blocks(makeGate().lines), 0), body: Buffer.from('\n'.repeat(50_000)) };
  assert.equal(takeAll(fleet, [empty]).length, 20);
  const found = fleet.judge(started).filter(({ kind }) => kind === 'malformed');
  assert.equal(found.length, 20);
  assert.match(found.at(-1)?.text ?? '', / \(and more of this kind\)$/);
  assert.equal(fleet.accept(started), 20);
});

// bounds.fleetChains, bounds.fleetStrangers
void test('strangers and journals of one host are bounded', () => {
  const { lines } = makeGate(false);
  const first = block(lines.slice(0, 2));
  const fleet = fleetOf();
  for (let each = 0; each < 1000; each += 1) {
    const id = each.toString(16).padStart(32, '0');
    const hosts = [`stranger${each}`, 'gate1'];
    takeAll(
      fleet,
      hosts.map((host) => renamed(first, { host, journal: id })),
    );
  }
  assert.equal(fleet.heads().filter(({ host }) => host === 'gate1').length, 32);
  assert.equal(fleet.heads().length, 132);
  assert.ok(JSON.stringify(fleet.save()).length < 300_000);
  assert.ok(standing(fleet).some((one) => one.startsWith('unknown-host - ')));
});

// bounds.fleetOpen
void test('open exchanges are bounded, and the finding says so', () => {
  const gate = new PaperGate();
  for (let each = 0; each < 10_003; each += 1) gate.admit(`A${each}`);
  gate.checkpoint();
  const fleet = fleetWith(blocks(gate.lines, 500), { driftMs: 3_600_000 });
  const text = fleet.judge(started + minuteMs)[0]?.text ?? '';
  assert.match(text, /more than 10000 were open at once, and 3 of them could not be followed/);
  for (let each = 0; each < 10_003; each += 1) gate.end(`A${each}`);
  gate.checkpoint();
  takeAll(fleet, blocks(gate.lines.slice(10_006), 500));
  assert.deepEqual(standing(fleet, started + minuteMs), []);
});

void test('an object that is no block says nothing', () => {
  const fleet = fleetOf();
  const { name } = at(blocks(makeGate().lines), 0);
  assert.ok(isBlockName(name));
  const found = fleet.take({ name, storedMs: started, text: undefined });
  assert.deepEqual([told(found), fleet.records], [['changed gate1 1'], 0]);
});

const savedText = (objects: readonly PaperObject[]): string => JSON.stringify(fleetWith(objects).save());

// bounds.fleetRecent
void test('so many hashes of the last records are kept', () => {
  const gate = new PaperGate();
  gate.exchanges(bounds.fleetRecent);
  const hash = (back: number): string => hashOf(gate.lines.at(-back)).slice(0, 32);
  const { chains }: { readonly chains: readonly { readonly recent: string }[] } = JSON.parse(
    savedText(blocks(gate.lines, 100)),
  );
  const text = Buffer.from(chains[0]?.recent ?? '', 'base64').toString('hex');
  assert.ok(text.includes(hash(bounds.fleetRecent)));
  assert.ok(!text.includes(hash(bounds.fleetRecent + 1)));
});

// bounds.fleetLocks
void test('locks that are in force are compared over the listed hosts; a block that was late is the longest wait', () => {
  const hosts = ['gate1', 'gate2', 'gate3'];
  const day = 86_400_000;
  const fleet = fleetOf(hosts);
  for (const [number, host] of hosts.entries()) {
    const id = `${number}`.repeat(32);
    const gate = new PaperGate(key.secretPem, id);
    if (number < 2) gate.put(locked('L1', started));
    gate.put(locked('L3', started, { to: 'dave' }));
    gate.put(held('L2', started - 8 * day));
    if (number > 0) gate.put({ ...lockExpired('L3', started), to: 'dave' });
    const late = { ...block(gate.lines.slice(2), host, id), storedMs: started + number * minuteMs };
    takeAll(fleet, [block(gate.lines.slice(0, 2), host, id), late]);
  }
  const since = '2026-11-20T08:00:00.000Z';
  const { locks, gates } = fleet.status(started);
  assert.deepEqual(locks, [
    { target: 'carol', since, on: 2, lacking: ['gate3'] },
    { target: 'dave', since, on: 1, lacking: ['gate2', 'gate3'] },
  ]);
  assert.deepEqual(
    gates.map(({ waitMs }) => waitMs),
    [0, minuteMs, 2 * minuteMs],
  );
  const gate = new PaperGate();
  for (let each = 0; each < bounds.fleetLocks + 3; each += 1) gate.put(locked(`L${each}-`, started));
  assert.equal(savedText(blocks(gate.lines, 100)).match(/"L\d+-"/g)?.length, bounds.fleetLocks);
});

// bounds.fleetPolicies
void test('so many policies of a journal are remembered', () => {
  const gate = new PaperGate();
  for (let each = 0; each < bounds.fleetPolicies + 5; each += 1) {
    gate.admit(`A${each}`, { policy: `policy-${each}-` });
    gate.end(`A${each}`);
  }
  assert.equal(savedText(blocks(gate.lines, 100)).match(/policy-\d+-/g)?.length, bounds.fleetPolicies);
});

// bounds.fleetLineBytes
void test('a line that is far too long is not read, though its hash is right', () => {
  const gate = new PaperGate();
  const long = `"time":"2026-11-20T08:00:00.000Z","event":"log","text":"${'x'.repeat(bounds.fleetLineBytes)}"`;
  gate.lines.push(gate.ledger.seal(long));
  assert.deepEqual(told(takeAll(fleetOf(), blocks(gate.lines, 100))), ['malformed gate1 3']);
});

// bounds.fleetAwaited
void test('so many checkpoints wait for their record; the highest stay', () => {
  const all = new Map<number, Awaited>();
  const awaited: Awaited = { hash: 'a', storedMs: started };
  for (let seq = 1; seq <= bounds.fleetAwaited + 3; seq += 1) awaitRecord(all, seq, awaited);
  assert.deepEqual([all.size, Math.min(...all.keys())], [bounds.fleetAwaited, 4]);
});

// bounds.fleetKeys
void test('so many keys that a host names are trusted; the oldest goes first', () => {
  const ledger = new Ledger('dovegate 1.0', key.secretPem, journal);
  const keys: { listed: string; named: string[] } = { listed: key.key, named: [] };
  const names = Array.from({ length: bounds.fleetKeys + 1 }, () => makeSignKey().key);
  for (const name of names) {
    const line = ledger.sealSigned({ ...ledger.checkpoint(started), next_key: name }).trimEnd();
    assert.equal(judgeSignature(line, JSON.parse(line), keys).kind, 'vouches');
  }
  assert.deepEqual([keys.named.length, keys.named[0]], [bounds.fleetKeys, names[1]]);
});

// bounds.fleetCheckpointBytes
void test('a checkpoint that is far too long is not read', () => {
  const head = { host: 'gate1', journal, from: 1, seq: 1, hash: 'ab'.repeat(32), storedMs: started };
  const lineOf = (hosts: number): string => {
    const heads = Array.from({ length: hosts }, () => head);
    return signCheckpoint({ heads, findings: {} }, undefined, key.secretPem, started).line;
  };
  const bytesEach = (lineOf(1_001).length - lineOf(1).length) / 1_000;
  const hosts = Math.floor(bounds.fleetCheckpointBytes / bytesEach);
  assert.notEqual(readCheckpoint(lineOf(hosts - 10)), undefined);
  assert.equal(readCheckpoint(lineOf(hosts + 10)), undefined);
});

// bounds.fleetAwaitedChains
void test('so many journals that were not seen are waited for', () => {
  const fleet = fleetOf();
  const head = { host: 'gate1', seq: 1, hash: 'ab'.repeat(32), storedMs: started };
  const journals = Array.from({ length: bounds.fleetAwaitedChains + 100 }, (_, number) =>
    number.toString(16).padStart(32, '0'),
  );
  fleet.rewind(journals.map((id) => ({ ...head, journal: id })));
  assert.equal(Object(savedOf(fleet)).awaited.length, bounds.fleetAwaitedChains);
});

// What is remembered: over a restart, a stream that was put back, and lines that somebody kept elsewhere.

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
