// What an intruder, a disk or an operator can do to journals in a store. answers/findings.txt has what is said about it.

import assert from 'node:assert/strict';
import type { FleetOptions } from '../../../src/evidence/fleet/fleet.js';
import { encodeRecord } from '../../../src/journal/records/encode.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { block, blocks, hashOf, journal, mark, PaperGate, type PaperObject, started } from './paper-store.js';

export const other = 'cd'.repeat(16);

/** Records 1 to 16: start, checkpoint, six exchanges, checkpoint; and one more behind a checkpoint. */
export function makeGate(secretPem?: string | false, id?: string): PaperGate {
  const gate = new PaperGate(secretPem, id);
  gate.exchanges(6);
  gate.checkpoint();
  gate.checkpoint();
  return gate;
}

/** The same journal up to a record, and then something else. */
export function forkOf(gate: PaperGate, seq: number): PaperGate {
  const fork = new PaperGate(undefined, gate.id);
  const line = gate.lines[seq - 1];
  const open = new Map();
  const more = { stepsMs: 0, open, oldestSeq: 1, timeMs: started };
  fork.lines.splice(0);
  fork.ledger.resume({ journal: gate.id, seq, hash: hashOf(line), ...more });
  fork.nowMs = started + 1000;
  return fork;
}

/** What comes of it, and to whom, if not to a fleet of `gate1`. */
export type Tampering =
  | (() => PaperObject[])
  | {
      readonly tamper: () => PaperObject[];
      readonly hosts?: readonly string[];
      readonly more?: Partial<FleetOptions>;
    };

/** Blocks of four lines of a whole journal, and what is done with them. */
function changed(change: (stream: PaperObject[], gate: PaperGate) => void): () => PaperObject[] {
  return () => {
    const gate = makeGate();
    const stream = blocks(gate.lines);
    change(stream, gate);
    return stream;
  };
}

/** The whole journal goes on, and is sent from a record on. */
export function goesOn(act: (gate: PaperGate) => void, from = 0): () => PaperObject[] {
  return () => {
    const gate = makeGate();
    act(gate);
    return blocks(gate.lines.slice(from));
  };
}

type Put = Parameters<PaperGate['put']>[0];
/** It goes on with these records, and a checkpoint. */
const wrote = (...records: readonly Omit<Put, 'time'>[]): (() => PaperObject[]) =>
  goesOn((gate) => {
    for (const record of records) gate.put({ time: gate.nowMs, ...record });
    gate.checkpoint();
  });
const start = { event: 'start', journal, format: 1 } as const;

/** Begins a segment; what a retire record says of the one before. */
function retired(gate: PaperGate) {
  const { hash } = gate.ledger;
  gate.checkpoint({ segment: '00000001.jsonl', segment_hash: hash });
  const end = { segment: '00000001.jsonl', segment_hash: hash, oldest_seq: 17, action: 'age' };
  return { time: gate.nowMs, event: 'retire', ...end } as const;
}

/** A reload that changes the policies, one that does not, and a start that does. */
const [p1, p2, p3] = ['1', '2', '3'].map((digit) => digit.repeat(64));
const peer = { listener: 'admin', uid: 1001 };
const otherPolicies = wrote(
  { event: 'reload', policies: p2, was: p1, by: 'anna\u202e', peer },
  { event: 'reload', policies: p2, was: p2, by: 'SIGHUP' },
  { ...start, policies: p3, was: p2 },
);

export const at = (stream: readonly PaperObject[], index: number): PaperObject =>
  stream[index] ?? assert.fail(`no object ${index}`);

export const tamperings: Readonly<Record<string, Tampering>> = {
  'a byte of a line': changed((stream) => {
    const { body } = at(stream, 1);
    body[body.indexOf('alice')] = 0x41;
  }),
  'a line that is none': changed((stream, { lines }) => {
    at(stream, 1).body = Buffer.from([lines[4], 'hello\n', ...lines.slice(5, 8)].join(''));
  }),
  'a block is gone': changed((stream) => stream.splice(1, 1)),
  'a line is gone from a block': {
    tamper: changed((stream, { lines }) => {
      at(stream, 1).body = Buffer.from([lines[4], lines[6], lines[7]].join(''));
    }),
    more: { openMs: 1000 },
  },
  'a line is gone from the end of a block': changed((stream, { lines }) => {
    at(stream, 3).body = Buffer.from(lines.slice(12, 15).join(''));
  }),
  'the last line has no end': changed((stream) => {
    const last = at(stream, 3);
    last.body = last.body.subarray(0, -1);
  }),
  'a block without lines': changed((stream) => {
    at(stream, 3).body = Buffer.alloc(0);
  }),
  'a name of other records': changed((stream) => {
    at(stream, 1).name = at(stream, 2).name;
  }),
  'records of another journal': () => blocks(makeGate(undefined, other).lines),
  'a block comes again': changed((stream) => stream.push(at(stream, 3))),
  'two blocks change places': changed((stream) => {
    stream.splice(1, 2, at(stream, 2), at(stream, 1));
  }),
  'a line inside of a block that goes on behind another one': () => {
    const gate = makeGate();
    const fork = forkOf(gate, 5);
    fork.exchanges(1);
    const lines = [...gate.lines.slice(0, 6), ...fork.lines.slice(1)];
    return [block(lines)];
  },
  'the host was put back, and goes on': () => {
    const gate = makeGate();
    const fork = forkOf(gate, 13);
    fork.exchanges(1);
    fork.exchanges(1);
    fork.checkpoint();
    return [...blocks(gate.lines.slice(0, 15), 100), block(fork.lines.slice(2))];
  },
  'other policies, by a reload and a start': { tamper: otherPolicies, more: { tellsPolicies: true } },
  'other policies, which nobody wants to be told': otherPolicies,
  'a start that found its end cut off': wrote({ ...start, error: 'journal-cut' }),
  'another record with a seq that was there': () => {
    const gate = makeGate();
    const fork = forkOf(gate, 13);
    fork.exchanges(1);
    return [...blocks(gate.lines), block(fork.lines)];
  },
  'a mark: the gate has another record': changed((stream) => stream.push(mark(16, 'e'.repeat(64)))),
  'a mark: the journal of the gate ends before': changed((stream, gate) =>
    stream.push(mark(12, hashOf(gate.lines[11]))),
  ),
  'one journal under two hosts': {
    tamper: () => {
      const { lines } = makeGate();
      return [...blocks(lines), ...blocks(lines, 4, 'gate2')];
    },
    hosts: ['gate1', 'gate2'],
  },
  'a host that never sent anything': () => [],
  'a host that is not listed': {
    tamper: () => blocks(makeGate(false).lines, 4, 'stranger'),
    hosts: [],
  },
  'a new journal of a host': () => [
    ...blocks(makeGate().lines),
    ...blocks(makeGate(undefined, other).lines, 4, 'gate1', other),
  ],
  'a chain begins above 1': changed((stream) => stream.splice(0, 1)),
  'a signature that is not right': goesOn((gate) => {
    // A checkpoint with the signature of another one, sealed again.
    const [line = ''] = gate.lines.slice(1, 2);
    const { seq: _s, prev: _p, hash: _h, ...body } = JSON.parse(line);
    gate.put({ ...body, head: gate.ledger.hash, time: gate.nowMs });
    gate.checkpoint();
  }),
  'a checkpoint whose head is another record': goesOn((gate) => {
    gate.checkpoint({ head: 'f'.repeat(64) });
  }),
  'checkpoints without signature': () => blocks(makeGate(false).lines),
  'checkpoints by another key': () => blocks(makeGate(makeSignKey().secretPem).lines),
  'the start of a segment that the host retired': goesOn((gate) => {
    const retire = retired(gate);
    gate.lines.push(gate.ledger.sealSigned(retire));
  }, 16),
  'a retire record that nobody signed, under a later signature': goesOn((gate) => {
    gate.put(retired(gate));
    gate.checkpoint();
  }, 16),
  'the same, signed by another key': goesOn((gate) => {
    const stranger = new PaperGate(makeSignKey().secretPem);
    const retire = retired(gate);
    stranger.ledger.resume(gate.ledger);
    gate.lines.push(stranger.ledger.sealSigned(retire));
    gate.ledger.resume(stranger.ledger);
    gate.checkpoint();
  }, 16),
  'the beginning is gone, and the last signed checkpoint says that retention left it so': goesOn((gate) => {
    gate.checkpoint({ oldest_seq: 17 });
  }, 16),
  'a command after an orderly stop': goesOn((gate) => {
    gate.put({ time: gate.nowMs, event: 'stop' });
    gate.checkpoint({ action: 'stop' });
    gate.exchanges(1);
    gate.put({ time: gate.nowMs, event: 'start', journal, format: 1 });
    gate.checkpoint();
  }),
  'a start that moved appended lines away, and found its beginning removed': wrote({
    ...start,
    error: 'journal-removed journal-appended',
  }),
  'an orderly stop, what a start writes first, and a start': goesOn((gate) => {
    gate.put({ time: gate.nowMs, event: 'stop' });
    gate.checkpoint({ action: 'stop' });
    gate.put({ time: gate.nowMs, event: 'clock', step_ms: -5000 });
    gate.put({ time: gate.nowMs, event: 'completion', session: 'S', id: 'X', outcome: 'unknown' });
    gate.put({ time: gate.nowMs, event: 'start', journal, format: 1 });
    gate.checkpoint();
  }),
  'an exchange without end': {
    tamper: goesOn((gate) => {
      gate.admit('OPEN');
      gate.checkpoint();
    }),
    more: { openMs: 1000 },
  },
  'a policy, a catalog and a release that others do not have': {
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
    hosts: ['gate1', 'gate2', 'gate3'],
  },
  'argument records that the admission did not announce': () => {
    const gate = new PaperGate();
    const args = ['--', ...Array.from({ length: 90 }, () => 'x'.repeat(100))];
    const asked = {
      event: 'admission',
      session: 'S',
      id: 'A',
      decision: 'allow',
      effect: 'destroy',
    } as const;
    const bodies = encodeRecord({ time: gate.nowMs, ...asked, args });
    assert.ok(bodies.length > 2);
    // One is left out, and all is sealed again.
    for (const body of bodies.slice(0, -1)) gate.lines.push(gate.ledger.seal(body));
    gate.end('A');
    gate.exchanges(2);
    gate.checkpoint();
    return blocks(gate.lines);
  },
  'a clock that is ahead': changed((stream) => {
    for (const one of stream) one.storedMs = started - 6000;
  }),
};
