// Whatever is done to a stream is never judged clean, and a clean one always is; nothing that anybody publishes throws.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { checkpointSubject } from '../../../src/evidence/fleet/block.js';
import { createFleet } from '../../../src/evidence/fleet/fleet.js';
import {
  block,
  blocks,
  fleetOf,
  journal,
  message,
  optionsOf,
  PaperGate,
  type PaperMessage,
  started,
  takeAll,
  takeOne,
} from './paper-stream.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

const gate = new PaperGate();
gate.exchanges(8);
gate.checkpoint();
gate.exchanges(8);
gate.checkpoint();
const { lines } = gate;
const nowMs = started + 60_000;

/** Cut at these places. */
function split(all: readonly string[], places: readonly number[]): PaperMessage[] {
  const ends = [...new Set([0, ...places.map((place) => place % all.length), all.length])];
  const sorted = ends.toSorted((one, other) => one - other);
  return sorted.slice(1).map((end, at) => block(all.slice(sorted[at], end)));
}

/** As it comes out of a file. */
function plain(saved: unknown): unknown {
  return JSON.parse(JSON.stringify(saved));
}

const places = fc.array(fc.nat(lines.length), { maxLength: 20 });

void test('a clean stream is clean however it is cut, and wherever the verifier starts again', () => {
  fc.assert(
    fc.property(places, fc.nat(lines.length), (cuts, stop) => {
      const stream = split(lines, cuts);
      const whole = fleetOf();
      takeAll(whole, stream);
      const begun = fleetOf();
      takeAll(begun, stream.slice(0, stop));
      const fleet = createFleet(optionsOf(), JSON.parse(JSON.stringify(begun.save())));
      takeAll(fleet, stream.slice(begun.streamSeq));
      assert.deepEqual(fleet.judge(nowMs), []);
      assert.deepEqual(plain(fleet.save()), plain(whole.save()));
    }),
  );
});

type Change = (stream: PaperMessage[], at: number, other: number) => void;
const changes: readonly Change[] = [
  (stream, at) => void stream.splice(at, 1),
  (stream, at, other) => void stream.splice(other, 0, ...stream.slice(at, at + 1)),
  (stream, at) => void stream.splice(at, 2, ...stream.slice(at, at + 2).toReversed()),
  (stream, at, other) => edit(stream, at, (all) => void all.splice(other % all.length, 1)),
  (stream, at, other) =>
    edit(
      stream,
      at,
      (all) =>
        void all.splice(other % all.length, 0, ...all.slice(other % all.length, 1 + (other % all.length))),
    ),
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

/** All lines, whatever their order. */
function linesIn(stream: readonly PaperMessage[]): string {
  return stream
    .flatMap(({ body }) => body.toString('latin1').split(/(?<=\n)/))
    .toSorted()
    .join('');
}

/** Changes the lines of a block, and its headers with them or not. */
function edit(stream: PaperMessage[], at: number, change: (all: string[]) => void): void {
  const one = stream[at];
  if (one === undefined) return;
  const all = one.body.toString().split(/(?<=\n)/);
  change(all);
  one.body = Buffer.from(all.join(''));
  const readable = all.filter((line) => line.startsWith('{'));
  if (readable.length > 0) one.headers = block(readable).headers;
}

void test('whatever is cut, repeated or changed is never judged clean, and what is swapped only when all of it is there', () => {
  const tampering = fc.array(fc.tuple(fc.nat(changes.length - 1), fc.nat(1000), fc.nat(5000)), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(places, tampering, (cuts, steps) => {
      const clean = split(lines, cuts);
      const stream = split(lines, cuts);
      for (const [which, at, other] of steps) {
        if (stream.length === 0) break;
        changes[which]?.(stream, at % stream.length, which < 3 ? other % stream.length : other);
      }
      const bytes = (all: readonly PaperMessage[]) => all.map(({ body }) => body.toString('hex')).join('');
      const expected = bytes(clean);
      const made = bytes(stream);
      const start = lines.slice(0, Buffer.from(made, 'hex').toString('latin1').split('\n').length - 1);
      const isStart = linesIn(stream) === start.toSorted().join('');
      const fleet = fleetOf();
      takeAll(fleet, stream);
      if (made === expected) return;
      // Blocks that come late fill the holes that they left.
      if (linesIn(stream) === linesIn(clean)) return;
      // What is cut off at the end is not known to the chain: that is for heads that were seen before.
      if (isStart)
        fleet.rewind([
          { host: 'gate1', journal, seq: lines.length, hash: gate.ledger.hash, storedMs: started },
        ]);
      if (isStart) takeAll(fleet, stream);
      assert.notDeepEqual(fleet.judge(nowMs), []);
    }),
    { numRuns: 300 * rounds },
  );
});

void test('in the middle of anything a restart changes nothing', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(7), fc.nat(1000), fc.nat(5000)), { maxLength: 6 }),
      fc.nat(30),
      (steps, stop) => {
        const stream = blocks(lines, 3);
        for (const [which, at, other] of steps) {
          if (stream.length === 0) break;
          changes[which]?.(stream, at % stream.length, which < 3 ? other % stream.length : other);
        }
        const whole = fleetOf();
        const one = takeAll(whole, stream);
        const begun = fleetOf();
        const found = takeAll(begun, stream.slice(0, stop));
        const fleet = createFleet(optionsOf(), JSON.parse(JSON.stringify(begun.save())));
        found.push(...takeAll(fleet, stream.slice(begun.streamSeq)));
        assert.deepEqual(found, one);
        assert.equal(JSON.stringify(fleet.status(nowMs)), JSON.stringify(whole.status(nowMs)));
        assert.deepEqual(plain(fleet.save()), plain(whole.save()));
      },
    ),
  );
});

void test('hostile messages never throw, and are never clean', () => {
  const subjects = fc.constantFrom(
    `dovegate.audit.gate1.${journal}`,
    checkpointSubject,
    'dovegate.audit',
    'dovegate.audit.gate1.*',
    '',
  );
  const values = fc.oneof(
    fc.string(),
    fc.constantFrom('1-9007199254740991', '1-1', '-', '9'.repeat(16), 'f'.repeat(64), '1'),
  );
  const names = fc.constantFrom('Dovegate-Seq', 'Dovegate-Head', 'Dovegate-Forked', 'Dovegate-Text');
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
    fc.property(subjects, fc.array(fc.tuple(names, values)), bodies, (subject, headers, body) => {
      const fleet = fleetOf();
      takeOne(
        fleet,
        message({ subject, headers: [...headers], body: Buffer.from(body), storedMs: started }, 1),
      );
      const found = fleet.judge(nowMs).filter(({ kind }) => kind !== 'never-seen');
      assert.ok(found.length > 0);
      createFleet(optionsOf(), JSON.parse(JSON.stringify(fleet.save())));
    }),
  );
});
