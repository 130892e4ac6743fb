// Whatever is done to a stream is never judged clean, and a clean one always is; nothing that anybody publishes throws.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import {
  block,
  blocks,
  fleetOf,
  fleetWith,
  journal,
  optionsOf,
  PaperGate,
  type PaperObject,
  savedOf,
  started,
  takeAll,
  takeOne,
} from './paper-store.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

const gate = new PaperGate();
gate.exchanges(8);
gate.checkpoint();
gate.exchanges(8);
gate.checkpoint();
const { lines } = gate;
const nowMs = started + 60_000;

/** Cut at these places. */
function split(all: readonly string[], places: readonly number[]): PaperObject[] {
  const ends = [...new Set([0, ...places.map((place) => place % all.length), all.length])];
  const sorted = ends.toSorted((one, other) => one - other);
  return sorted.slice(1).map((end, at) => block(all.slice(sorted[at], end)));
}

const places = fc.array(fc.nat(lines.length), { maxLength: 20 });

void test('a clean stream is clean however it is cut, and wherever the verifier starts again', () => {
  fc.assert(
    fc.property(places, fc.nat(lines.length), (cuts, stop) => {
      const stream = split(lines, cuts);
      const fleet = new Fleet(optionsOf(), savedOf(fleetWith(stream.slice(0, stop))));
      takeAll(fleet, stream.slice(stop));
      assert.deepEqual(fleet.judge(nowMs), []);
      assert.deepEqual(savedOf(fleet), savedOf(fleetWith(stream)));
    }),
  );
});

type Change = (stream: PaperObject[], at: number, other: number) => void;
const changes: readonly Change[] = [
  (stream, at) => void stream.splice(at, 1),
  (stream, at, other) => void stream.splice(other, 0, ...stream.slice(at, at + 1)),
  (stream, at) => void stream.splice(at, 2, ...stream.slice(at, at + 2).toReversed()),
  (stream, at, other) => edit(stream, at, (all) => void all.splice(other % all.length, 1)),
  (stream, at, other) =>
    edit(stream, at, (all) => {
      const place = other % all.length;
      all.splice(place, 0, ...all.slice(place, place + 1));
    }),
  (stream, at, other) => edit(stream, at, (all) => void all.splice(other % all.length, 0, 'x')),
  (stream, at, other) => {
    const body = stream[at]?.body;
    if (body !== undefined) body[other % body.length] = (body[other % body.length] ?? 0) ^ 1;
  },
  (stream, at, other) => {
    const one = stream[at];
    if (one !== undefined) one.body = one.body.subarray(0, other % one.body.length);
  },
];

/** All lines, whatever their order, each once. */
function linesIn(stream: readonly PaperObject[]): string {
  return [...new Set(stream.flatMap(({ body }) => body.toString('latin1').split(/(?<=\n)/)))]
    .toSorted()
    .join('');
}

/** Changes the lines of a block, and its name with them. */
function edit(stream: PaperObject[], at: number, change: (all: string[]) => void): void {
  const one = stream[at];
  if (one === undefined) return;
  const all = one.body.toString().split(/(?<=\n)/);
  change(all);
  one.body = Buffer.from(all.join(''));
  const readable = all.filter((line) => line.startsWith('{'));
  if (readable.length > 0) one.name = block(readable).name;
}

const change = fc.tuple(fc.nat(changes.length - 1), fc.nat(1000), fc.nat(5000));

function tamper(stream: PaperObject[], steps: readonly (readonly [number, number, number])[]): PaperObject[] {
  for (const [which, at, other] of steps) {
    if (stream.length === 0) break;
    changes[which]?.(stream, at % stream.length, which < 3 ? other % stream.length : other);
  }
  return stream;
}

void test('whatever is cut or changed is never judged clean, and what is swapped or repeated only when all of it is there', () => {
  const tampering = fc.array(change, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(places, tampering, (cuts, steps) => {
      const clean = split(lines, cuts);
      const stream = tamper(split(lines, cuts), steps);
      const bytes = (all: readonly PaperObject[]) => all.map(({ body }) => body.toString('hex')).join('');
      const start = lines.slice(0, linesIn(stream).split('\n').length - 1);
      const isStart = linesIn(stream) === start.toSorted().join('');
      const fleet = fleetWith(stream);
      if (bytes(stream) === bytes(clean)) return;
      // Blocks that come late fill the holes that they left.
      if (linesIn(stream) === linesIn(clean)) return;
      // What is cut off at the end is not known to the chain: that is for heads that were seen before.
      const { hash } = gate.ledger;
      if (isStart) fleet.rewind([{ host: 'gate1', journal, seq: lines.length, hash, storedMs: started }]);
      if (isStart) takeAll(fleet, stream);
      assert.notDeepEqual(fleet.judge(nowMs), []);
    }),
    { numRuns: 300 * rounds },
  );
});

void test('in the middle of anything a restart changes nothing', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 6 }), fc.nat(30), (steps, stop) => {
      const stream = tamper(blocks(lines, 3), steps);
      const [whole, begun] = [fleetOf(), fleetOf()];
      const one = takeAll(whole, stream);
      const found = takeAll(begun, stream.slice(0, stop));
      const fleet = new Fleet(optionsOf(), savedOf(begun));
      found.push(...takeAll(fleet, stream.slice(stop)));
      assert.deepEqual(found, one);
      assert.equal(JSON.stringify(fleet.status(nowMs)), JSON.stringify(whole.status(nowMs)));
      assert.deepEqual(savedOf(fleet), savedOf(whole));
    }),
  );
});

void test('hostile objects never throw, and are never clean', () => {
  const hash = fc.constantFrom('0'.repeat(64), 'f'.repeat(64));
  const upTo = (max: number) => fc.integer({ min: 1, max });
  const number = fc.oneof(upTo(5), upTo(Number.MAX_SAFE_INTEGER));
  const of = { host: fc.constant('gate1'), journal: fc.constant(journal), hash };
  const [isBlock, isMark] = [fc.constant('block' as const), fc.constant('forked' as const)];
  const names = fc.oneof(
    fc.record({ ...of, kind: isBlock, first: number, last: number, isCopy: fc.boolean() }),
    fc.record({ ...of, kind: isMark, seq: number }),
  );
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string().map((text) => Buffer.from(text)),
    fc.constantFrom(
      Buffer.from(`{"seq":1,${'x'.repeat(200)}","prev":"${'0'.repeat(64)}","hash":"${'0'.repeat(64)}"}\n`),
      Buffer.from(lines[0] ?? '').subarray(0, -1),
      Buffer.from('\n'),
      Buffer.alloc(0),
    ),
  );
  fc.assert(
    fc.property(names, bodies, (name, body) => {
      const fleet = fleetOf();
      takeOne(fleet, { name, body: Buffer.from(body), storedMs: started });
      const found = fleet.judge(nowMs).filter(({ kind }) => kind !== 'never-seen');
      assert.ok(found.length > 0);
      assert.ok(new Fleet(optionsOf(), savedOf(fleet)));
    }),
  );
});
