// What an intruder, a disk or an operator can do to a stream of journals, and what is said about it: kind, host and seq.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { encodeRecord } from '../../../src/domain/audit/encode.js';
import { Ledger, makeSignKey } from '../../../src/domain/audit/ledger.js';
import { type Awaited, awaitRecord } from '../../../src/domain/fleet/chain.js';
import { readCheckpoint, signCheckpoint } from '../../../src/domain/fleet/checkpoint.js';
import type { FleetOptions } from '../../../src/domain/fleet/fleet.js';
import { findingKinds } from '../../../src/domain/fleet/shapes.js';
import { judgeSignature } from '../../../src/domain/fleet/signatures.js';
import {
  block,
  blocks,
  fleetOf,
  hashOf,
  journal,
  judged,
  key,
  mark,
  message,
  PaperGate,
  type PaperMessage,
  started,
  takeAll,
  told,
} from './paper-stream.js';

const minuteMs = 60_000;
const other = 'cd'.repeat(16);

/** Records 1 to 16: start, checkpoint, six exchanges, checkpoint; and one more behind a checkpoint. */
function makeGate(secretPem?: string | false, id?: string): PaperGate {
  const gate = new PaperGate(secretPem, id);
  gate.exchanges(6);
  gate.checkpoint();
  gate.checkpoint();
  return gate;
}

/** The same journal up to a record, and then something else. */
function forkOf(gate: PaperGate, seq: number): PaperGate {
  const fork = new PaperGate(undefined, gate.id);
  const line = gate.lines[seq - 1];
  const open = new Map();
  const more = { stepsMs: 0, open, oldestSeq: 1, timeMs: started };
  fork.lines.splice(0);
  fork.ledger.resume({ journal: gate.id, seq, hash: hashOf(line), ...more });
  fork.nowMs = started + 1000;
  return fork;
}

void test('a stream as gates write it is clean, in blocks of any size', () => {
  const gate = makeGate();
  for (const size of [1, 3, 100]) {
    const fleet = fleetOf();
    assert.deepEqual(takeAll(fleet, blocks(gate.lines, size)), []);
    assert.deepEqual(told(fleet.judge(started + minuteMs)), []);
    assert.equal(fleet.records, 16);
    assert.deepEqual(
      fleet.heads().map(({ host, seq, hash }) => [host, seq, hash]),
      [['gate1', 16, gate.ledger.hash]],
    );
  }
});

type Expected = readonly (readonly [string, string, number | undefined])[];

interface Tampering {
  readonly name: string;
  readonly tamper: () => PaperMessage[];
  readonly expected: Expected;
  readonly hosts?: readonly string[];
  readonly more?: Partial<FleetOptions>;
}

/** Blocks of four lines of a whole journal, and what is done with them. */
function changed(change: (stream: PaperMessage[], gate: PaperGate) => void): () => PaperMessage[] {
  return () => {
    const gate = makeGate();
    const stream = blocks(gate.lines);
    change(stream, gate);
    return stream;
  };
}

function at(stream: readonly PaperMessage[], index: number): PaperMessage {
  const found = stream[index];
  assert.ok(found !== undefined);
  return found;
}

const table: readonly Tampering[] = [
  {
    name: 'a byte of a line',
    tamper: changed((stream) => {
      const { body } = at(stream, 1);
      body[body.indexOf('alice')] = 0x41;
    }),
    expected: [['changed', 'gate1', 5]],
  },
  {
    name: 'a line that is none',
    tamper: changed((stream, { lines }) => {
      at(stream, 1).body = Buffer.from([lines[4], 'hello\n', ...lines.slice(5, 8)].join(''));
    }),
    expected: [['malformed', 'gate1', 6]],
  },
  {
    name: 'a block is gone',
    tamper: changed((stream) => stream.splice(1, 1)),
    expected: [['missing', 'gate1', 5]],
  },
  {
    name: 'a line is gone from a block',
    tamper: changed((stream, { lines }) => {
      at(stream, 1).body = Buffer.from([lines[4], lines[6], lines[7]].join(''));
    }),
    expected: [
      ['missing', 'gate1', 6],
      ['open', 'gate1', 5],
    ],
    more: { openMs: 1000 },
  },
  {
    name: 'a line is gone from the end of a block',
    tamper: changed((stream, { lines }) => {
      at(stream, 3).body = Buffer.from(lines.slice(12, 15).join(''));
    }),
    expected: [['malformed', 'gate1', 13]],
  },
  {
    name: 'the last line has no end',
    tamper: changed((stream) => {
      const last = at(stream, 3);
      last.body = last.body.subarray(0, -1);
    }),
    expected: [['malformed', 'gate1', 16]],
  },
  {
    name: 'a block without lines',
    tamper: changed((stream) => {
      at(stream, 3).body = Buffer.alloc(0);
    }),
    expected: [['malformed', 'gate1', 13]],
  },
  {
    name: 'headers that are not ours',
    tamper: changed((stream) => {
      at(stream, 1).headers = [];
    }),
    expected: [['malformed', 'gate1', 5]],
  },
  {
    name: 'headers of other records',
    tamper: changed((stream) => {
      at(stream, 1).headers = at(stream, 2).headers;
    }),
    expected: [['malformed', 'gate1', 5]],
  },
  {
    name: 'a subject of no gate',
    tamper: changed((stream) => {
      at(stream, 3).subject = 'dovegate.audit.x';
    }),
    expected: [['malformed', '-', undefined]],
  },
  {
    name: 'records of another journal',
    tamper: () => blocks(makeGate(undefined, other).lines),
    expected: [['malformed', 'gate1', 1]],
  },
  {
    name: 'a block comes again',
    tamper: changed((stream) => stream.push(at(stream, 3))),
    expected: [['repeated', 'gate1', 13]],
  },
  {
    name: 'two blocks change places',
    tamper: changed((stream) => {
      stream.splice(1, 2, at(stream, 2), at(stream, 1));
    }),
    expected: [
      ['missing', 'gate1', 5],
      ['repeated', 'gate1', 5],
    ],
  },
  {
    name: 'a line inside of a block that goes on behind another one',
    tamper: () => {
      const gate = makeGate();
      const fork = forkOf(gate, 5);
      fork.exchanges(1);
      const lines = [...gate.lines.slice(0, 6), ...fork.lines.slice(1)];
      return [block(lines)];
    },
    expected: [['unlinked', 'gate1', 7]],
  },
  {
    name: 'the host was put back, and goes on',
    tamper: () => {
      const gate = makeGate();
      const fork = forkOf(gate, 13);
      fork.exchanges(1);
      fork.exchanges(1);
      fork.checkpoint();
      return [...blocks(gate.lines.slice(0, 15), 100), block(fork.lines.slice(2))];
    },
    expected: [['cut-at-host', 'gate1', 16]],
  },
  {
    name: 'a start that found its end cut off',
    tamper: () => {
      const gate = makeGate();
      gate.put({ time: gate.nowMs, event: 'start', journal, format: 1, error: 'journal-cut' });
      gate.checkpoint();
      return blocks(gate.lines);
    },
    expected: [['cut-at-host', 'gate1', 17]],
  },
  {
    name: 'another record with a seq that was there',
    tamper: () => {
      const gate = makeGate();
      const fork = forkOf(gate, 13);
      fork.exchanges(1);
      return [...blocks(gate.lines), block(fork.lines)];
    },
    expected: [['forked', 'gate1', 14]],
  },
  {
    name: 'a mark: the gate has another record',
    tamper: changed((stream) => stream.push(mark(16, 'e'.repeat(64)))),
    expected: [['forked', 'gate1', 16]],
  },
  {
    name: 'a mark: the journal of the gate ends before',
    tamper: changed((stream) => stream.push(mark(16, undefined))),
    expected: [['cut-at-host', 'gate1', 16]],
  },
  {
    name: 'one journal under two hosts',
    tamper: () => {
      const { lines } = makeGate();
      return [...blocks(lines), ...blocks(lines, 4, 'gate2')];
    },
    expected: [['forked', 'gate2', undefined]],
    hosts: ['gate1', 'gate2'],
  },
  {
    name: 'a host that never sent anything',
    tamper: () => [],
    expected: [['never-seen', 'gate1', undefined]],
  },
  {
    name: 'a host that is not listed',
    tamper: () => blocks(makeGate(false).lines, 4, 'stranger'),
    expected: [['unknown-host', 'stranger', undefined]],
    hosts: [],
  },
  {
    name: 'a new journal of a host',
    tamper: () => [
      ...blocks(makeGate().lines),
      ...blocks(makeGate(undefined, other).lines, 4, 'gate1', other),
    ],
    expected: [['new-journal', 'gate1', undefined]],
  },
  {
    name: 'a chain begins above 1',
    tamper: changed((stream) => stream.splice(0, 1)),
    expected: [['missing', 'gate1', 1]],
  },
  {
    name: 'a signature that is not right',
    tamper: () => {
      const gate = makeGate();
      // A checkpoint with the signature of another one, sealed again.
      const [line = ''] = gate.lines.slice(1, 2);
      const { seq: _s, prev: _p, hash: _h, ...body } = JSON.parse(line);
      gate.put({ ...body, head: gate.ledger.hash, time: gate.nowMs });
      gate.checkpoint();
      return blocks(gate.lines);
    },
    expected: [['bad-signature', 'gate1', 17]],
  },
  {
    name: 'a checkpoint whose head is another record',
    tamper: () => {
      const gate = makeGate();
      gate.checkpoint({ head: 'f'.repeat(64) });
      return blocks(gate.lines);
    },
    expected: [['unlinked', 'gate1', 17]],
  },
  {
    name: 'checkpoints without signature',
    tamper: () => blocks(makeGate(false).lines),
    expected: [['untrusted', 'gate1', 2]],
  },
  {
    name: 'checkpoints by another key',
    tamper: () => blocks(makeGate(makeSignKey().secretPem).lines),
    expected: [['untrusted', 'gate1', 2]],
  },
  {
    name: 'the start of a segment that the host retired',
    tamper: () => {
      const gate = makeGate();
      const hash = gate.ledger.hash;
      gate.checkpoint({ segment: '00000001.jsonl', segment_hash: hash });
      const end = { segment: '00000001.jsonl', segment_hash: hash, oldest_seq: 17, action: 'age' };
      gate.lines.push(gate.ledger.sealSigned({ time: gate.nowMs, event: 'retire', ...end }));
      return blocks(gate.lines.slice(16));
    },
    expected: [],
  },
  {
    name: 'a retire record that nobody signed, under a later signature',
    tamper: () => {
      const gate = makeGate();
      const hash = gate.ledger.hash;
      gate.checkpoint({ segment: '00000001.jsonl', segment_hash: hash });
      const end = { segment: '00000001.jsonl', segment_hash: hash, oldest_seq: 17, action: 'age' };
      gate.put({ time: gate.nowMs, event: 'retire', ...end });
      gate.checkpoint();
      return blocks(gate.lines.slice(16));
    },
    expected: [
      ['untrusted', 'gate1', 18],
      ['missing', 'gate1', 1],
    ],
  },
  {
    name: 'the same, signed by another key',
    tamper: () => {
      const gate = makeGate();
      const stranger = new PaperGate(makeSignKey().secretPem);
      const hash = gate.ledger.hash;
      gate.checkpoint({ segment: '00000001.jsonl', segment_hash: hash });
      stranger.ledger.resume(gate.ledger);
      const end = { segment: '00000001.jsonl', segment_hash: hash, oldest_seq: 17, action: 'age' };
      gate.lines.push(stranger.ledger.sealSigned({ time: gate.nowMs, event: 'retire', ...end }));
      gate.ledger.resume(stranger.ledger);
      gate.checkpoint();
      return blocks(gate.lines.slice(16));
    },
    expected: [
      ['untrusted', 'gate1', 18],
      ['missing', 'gate1', 1],
    ],
  },
  {
    name: 'the beginning is gone, and the last signed checkpoint says that retention left it so',
    tamper: () => {
      const gate = makeGate();
      gate.checkpoint({ oldest_seq: 17 });
      return blocks(gate.lines.slice(16));
    },
    expected: [],
  },
  {
    name: 'a command after an orderly stop',
    tamper: () => {
      const gate = makeGate();
      gate.put({ time: gate.nowMs, event: 'stop' });
      gate.checkpoint({ action: 'stop' });
      gate.exchanges(1);
      gate.put({ time: gate.nowMs, event: 'start', journal, format: 1 });
      gate.checkpoint();
      return blocks(gate.lines);
    },
    expected: [['journal-appended', 'gate1', 19]],
  },
  {
    name: 'a start that moved appended lines away, and found its beginning removed',
    tamper: () => {
      const gate = makeGate();
      const error = 'journal-removed journal-appended';
      gate.put({ time: gate.nowMs, event: 'start', journal, format: 1, error });
      gate.checkpoint();
      return blocks(gate.lines);
    },
    expected: [
      ['cut-at-host', 'gate1', 17],
      ['journal-appended', 'gate1', 17],
    ],
  },
  {
    name: 'an orderly stop, what a start writes first, and a start',
    tamper: () => {
      const gate = makeGate();
      gate.put({ time: gate.nowMs, event: 'stop' });
      gate.checkpoint({ action: 'stop' });
      gate.put({ time: gate.nowMs, event: 'clock', step_ms: -5000 });
      gate.put({ time: gate.nowMs, event: 'completion', session: 'S', id: 'X', outcome: 'unknown' });
      gate.put({ time: gate.nowMs, event: 'start', journal, format: 1 });
      gate.checkpoint();
      return blocks(gate.lines);
    },
    expected: [],
  },
  {
    name: 'an exchange without end',
    tamper: () => {
      const gate = makeGate();
      gate.admit('OPEN');
      gate.checkpoint();
      return blocks(gate.lines);
    },
    expected: [['open', 'gate1', 17]],
    more: { openMs: 1000 },
  },
  {
    name: 'a policy, a catalog and a release that others do not have',
    tamper: () => {
      const gates = ['gate1', 'gate2', 'gate3'].map((host, index) => {
        const id = String(index).repeat(32);
        const gate = new PaperGate(undefined, id, index === 1 ? { program: 'old', catalog: 'beef' } : {});
        gate.admit('A', index === 1 ? { version: 'v0' } : {});
        gate.end('A');
        // A checkpoint names the program, too.
        gate.checkpoint({ program: index === 1 ? 'old' : 'dovegate 1.0' });
        return blocks(gate.lines, 10, host, id);
      });
      return gates.flat();
    },
    expected: [['differs', 'gate2', undefined]],
    hosts: ['gate1', 'gate2', 'gate3'],
  },
  {
    name: 'argument records that the admission did not announce',
    tamper: () => {
      const gate = new PaperGate();
      const args = ['--', ...Array.from({ length: 90 }, () => 'x'.repeat(100))];
      const bodies = encodeRecord({
        time: gate.nowMs,
        event: 'admission',
        session: 'S',
        id: 'A',
        decision: 'allow',
        effect: 'destroy',
        args,
      });
      assert.ok(typeof bodies !== 'string' && bodies.length > 2);
      // One is left out, and all is sealed again.
      for (const body of bodies.slice(0, -1)) gate.lines.push(gate.ledger.seal(body));
      gate.end('A');
      gate.exchanges(2);
      gate.checkpoint();
      return blocks(gate.lines);
    },
    expected: [['arguments', 'gate1', 3]],
  },
  {
    name: 'a clock that is ahead',
    tamper: changed((stream) => {
      for (const one of stream) one.storedMs = started - 6000;
    }),
    expected: [['clock-apart', 'gate1', 16]],
  },
];

for (const { name, tamper, expected, hosts, more } of table) {
  void test(`found: ${name}`, () => {
    assert.deepEqual(judged(tamper(), hosts, more), expected);
  });
}

void test('each kind of finding is in a test', () => {
  const inOthers = ['silent', 'cut-in-stream', 'stream-replaced', 'misplaced', 'key-replaced', 'weakened'];
  const kinds = new Set([...table.flatMap(({ expected }) => expected.map(([kind]) => kind)), ...inOthers]);
  assert.deepEqual(
    findingKinds.filter((kind) => !kinds.has(kind)),
    [],
  );
});

void test('a host is silent after its time, and not before; a stop is named', () => {
  const gate = makeGate();
  gate.put({ time: gate.nowMs, event: 'stop' });
  const fleet = fleetOf();
  takeAll(fleet, blocks(gate.lines));
  assert.deepEqual(told(fleet.judge(started + 5 * minuteMs)), []);
  const found = fleet.judge(started + 5 * minuteMs + 1);
  assert.deepEqual(told(found), [
    ['untrusted', 'gate1', 17],
    ['silent', 'gate1', 17],
  ]);
  assert.match(found[1]?.text ?? '', /was stopped/);
  assert.equal(found[1]?.time, '2026-11-20T08:00:00.000Z');
});

void test('a key that the listed one named is trusted, in the next journal of the host, too', () => {
  const next = makeSignKey();
  const gate = makeGate();
  gate.checkpoint({ next_key: next.key });
  const later = makeGate(next.secretPem, other);
  const fleet = fleetOf();
  takeAll(fleet, [...blocks(gate.lines), ...blocks(later.lines, 4, 'gate1', other)]);
  assert.deepEqual(told(fleet.judge(started + minuteMs)), [['new-journal', 'gate1', undefined]]);
});

void test('a later trusted signature vouches for what an unsigned checkpoint left open', () => {
  const gate = makeGate();
  gate.put({ ...gate.ledger.checkpoint(gate.nowMs) });
  assert.deepEqual(judged(blocks(gate.lines)), [['untrusted', 'gate1', 17]]);
  gate.checkpoint();
  assert.deepEqual(judged(blocks(gate.lines)), []);
});

void test('the clock of a gate that catches up is judged by its newest records', () => {
  const gate = makeGate();
  const stream = blocks(gate.lines);
  for (const one of stream) one.storedMs = started + 3_600_000;
  at(stream, 0).storedMs = started;
  const fleet = fleetOf();
  takeAll(fleet, stream);
  assert.deepEqual(told(fleet.judge(started + 3_600_000)), []);
});

void test('findings stand until they are accepted, and states go by themselves', () => {
  const gate = makeGate();
  const stream = blocks(gate.lines);
  const fleet = fleetOf();
  takeAll(fleet, [...stream.slice(0, 1), ...stream.slice(2)]);
  assert.deepEqual(told(fleet.judge(started)), [['missing', 'gate1', 5]]);
  assert.equal(fleet.accept(started), 1);
  assert.deepEqual(fleet.judge(started), []);
  assert.equal(fleet.accept(started), 0);
  fleet.note({ kind: 'stream-replaced', host: '-', text: 'made anew' });
  assert.deepEqual(told(fleet.judge(started)), [['stream-replaced', '-', undefined]]);
});

// bounds.fleetFindings
void test('of each kind and host 20 findings are kept, and all are counted', () => {
  const fleet = fleetOf();
  const found = takeAll(fleet, [
    { ...at(blocks(makeGate().lines), 0), body: Buffer.from('\n'.repeat(50_000)) },
  ]);
  assert.equal(found.length, 20);
  const standing = fleet.judge(started).filter(({ kind }) => kind === 'malformed');
  assert.equal(standing.length, 20);
  assert.match(standing.at(-1)?.text ?? '', /and 49980 more/);
  assert.equal(fleet.accept(started), 50_000);
});

// bounds.fleetChains, bounds.fleetStrangers
void test('strangers and journals of one host are bounded', () => {
  const { lines } = makeGate(false);
  const first = block(lines.slice(0, 2));
  const fleet = fleetOf();
  for (let each = 0; each < 1000; each += 1) {
    const id = each.toString(16).padStart(32, '0');
    fleet.take(message({ ...first, subject: `dovegate.audit.stranger${each}.${id}` }, each * 2 + 1));
    fleet.take(message({ ...first, subject: `dovegate.audit.gate1.${id}` }, each * 2 + 2));
  }
  assert.equal(fleet.heads().filter(({ host }) => host === 'gate1').length, 32);
  assert.equal(fleet.heads().length, 132);
  assert.ok(JSON.stringify(fleet.save()).length < 300_000);
  assert.ok(told(fleet.judge(started)).some(([kind, host]) => kind === 'unknown-host' && host === '-'));
});

// bounds.fleetOpen
void test('open exchanges are bounded, and the finding says so', () => {
  const gate = new PaperGate();
  for (let each = 0; each < 10_003; each += 1) gate.admit(`A${each}`);
  gate.checkpoint();
  const fleet = fleetOf(undefined, { driftMs: 3_600_000 });
  takeAll(fleet, blocks(gate.lines, 500));
  const text = fleet.judge(started + minuteMs)[0]?.text ?? '';
  assert.match(text, /more than 10000 were open at once, and 3 of them could not be followed/);
  for (let each = 0; each < 10_003; each += 1) gate.end(`A${each}`);
  gate.checkpoint();
  takeAll(fleet, blocks(gate.lines.slice(10_006), 500));
  assert.deepEqual(told(fleet.judge(started + minuteMs)), []);
});

void test('the table of gates', () => {
  const gate = makeGate();
  const fleet = fleetOf(['gate1', 'gate2']);
  takeAll(fleet, blocks(gate.lines));
  const { gates, findings, records, streamSeq } = fleet.status(started + minuteMs);
  assert.deepEqual(told(findings), [['never-seen', 'gate2', undefined]]);
  assert.deepEqual([records, streamSeq], [16, 4]);
  const [one, two] = gates;
  assert.deepEqual(one, {
    host: 'gate1',
    journal,
    seq: 16,
    hash: gate.ledger.hash,
    signedSeq: 16,
    signedTime: '2026-11-20T08:00:00.060Z',
    lastSeen: '2026-11-20T08:00:00.000Z',
    lastTime: '2026-11-20T08:00:00.060Z',
    driftMs: 60,
    program: 'dovegate 1.0',
    catalog: 'cafe',
    policies: { support: 'v1' },
    open: 0,
    findings: 0,
    differs: [],
  });
  assert.deepEqual(two, { host: 'gate2', policies: {}, open: 0, findings: 1, differs: [] });
  assert.equal(key.key.length, 44);
});

void test('what goes on after it was accepted is told again', () => {
  const gate = makeGate();
  const fork = forkOf(gate, 5);
  fork.exchanges(3);
  const fleet = fleetOf();
  takeAll(fleet, blocks(gate.lines));
  takeAll(fleet, blocks(fork.lines.slice(0, 2)));
  assert.equal(fleet.accept(started), 1);
  takeAll(fleet, blocks(fork.lines.slice(2, 4)));
  assert.deepEqual(told(fleet.judge(started)), [['forked', 'gate1', 8]]);
});

void test('garbage that was accepted hides no record that is missing later', () => {
  const gate = makeGate();
  const fleet = fleetOf();
  const [first, ...rest] = blocks(gate.lines);
  assert.ok(first !== undefined);
  takeAll(fleet, [first, { ...first, body: Buffer.from('\n'.repeat(100)) }]);
  fleet.accept(started);
  takeAll(fleet, rest.slice(1));
  assert.deepEqual(told(fleet.judge(started)), [['missing', 'gate1', 5]]);
});

// bounds.fleetBlockBytes
void test('a message larger than any block is not read', () => {
  const fleet = fleetOf();
  const [first] = blocks(makeGate().lines);
  assert.ok(first !== undefined);
  const found = takeAll(fleet, [{ ...first, body: Buffer.alloc(2 << 20, first.body) }]);
  assert.deepEqual(told(found), [['malformed', 'gate1', 1]]);
  assert.equal(fleet.records, 0);
});

/** The chains of a fleet as they would be saved. */
function savedText(fleet: ReturnType<typeof fleetOf>): string {
  return JSON.stringify(fleet.save());
}

// bounds.fleetRecent
void test('so many hashes of the last records are kept', () => {
  const gate = new PaperGate();
  gate.exchanges(bounds.fleetRecent);
  const fleet = fleetOf();
  takeAll(fleet, blocks(gate.lines, 100));
  const hash = (back: number): string => hashOf(gate.lines.at(-back)).slice(0, 32);
  const text = savedText(fleet);
  assert.ok(text.includes(hash(bounds.fleetRecent)));
  assert.ok(!text.includes(hash(bounds.fleetRecent + 1)));
});

// bounds.fleetPolicies
void test('so many policies of a journal are remembered', () => {
  const gate = new PaperGate();
  for (let each = 0; each < bounds.fleetPolicies + 5; each += 1) {
    gate.admit(`A${each}`, { policy: `policy-${each}-` });
    gate.end(`A${each}`);
  }
  const fleet = fleetOf();
  takeAll(fleet, blocks(gate.lines, 100));
  assert.equal(savedText(fleet).match(/policy-\d+-/g)?.length, bounds.fleetPolicies);
});

// bounds.fleetLineBytes
void test('a line that is far too long is not read, though its hash is right', () => {
  const gate = new PaperGate();
  const long = `"time":"2026-11-20T08:00:00.000Z","event":"log","text":"${'x'.repeat(bounds.fleetLineBytes)}"`;
  gate.lines.push(gate.ledger.seal(long));
  assert.deepEqual(told(takeAll(fleetOf(), blocks(gate.lines, 100))), [['malformed', 'gate1', 3]]);
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
  const head = { host: 'gate1', journal, seq: 1, hash: 'ab'.repeat(32), storedMs: started };
  const lineOf = (hosts: number): string => {
    const heads = Array.from({ length: hosts }, () => head);
    return signCheckpoint({ heads, findings: 0 }, undefined, key.secretPem, started).line;
  };
  const bytesEach = (lineOf(1_001).length - lineOf(1).length) / 1_000;
  const hosts = Math.floor(bounds.fleetCheckpointBytes / bytesEach);
  assert.notEqual(readCheckpoint(lineOf(hosts - 10)), undefined);
  assert.equal(readCheckpoint(lineOf(hosts + 10)), undefined);
});

// bounds.fleetAwaitedChains
void test('so many journals that were not seen are waited for', () => {
  const fleet = fleetOf();
  const heads = Array.from({ length: bounds.fleetAwaitedChains + 100 }, (_, number) => ({
    host: 'gate1',
    journal: number.toString(16).padStart(32, '0'),
    seq: 1,
    hash: 'ab'.repeat(32),
    storedMs: started,
  }));
  fleet.rewind(heads);
  const { awaited } = JSON.parse(JSON.stringify(fleet.save()));
  assert.equal(awaited.length, bounds.fleetAwaitedChains);
});
