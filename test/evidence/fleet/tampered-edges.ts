// Stores at the limits of what is right, and with less usual faults. answers/findings.txt has what is said of them.

import assert from 'node:assert/strict';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import {
  block,
  blocks,
  journal,
  key,
  mark,
  PaperGate,
  type PaperObject,
  renamed,
  started,
} from './paper-store.js';
import { at, forkOf, goesOn, makeGate, other, type Tampering } from './tampering.js';

const minuteMs = 60_000;
const time = '2026-11-20T08:00:00.000Z';

/** A short journal, something in it, and a checkpoint. */
function within(
  act: (gate: PaperGate) => void,
  size = 100,
  more?: Partial<PaperObject>,
): () => PaperObject[] {
  return () => {
    const gate = new PaperGate();
    act(gate);
    gate.checkpoint();
    return blocks(gate.lines, size).map((one) => ({ ...one, ...more }));
  };
}

const sealed = (body: string) => within((gate) => gate.lines.push(gate.ledger.seal(body)));

/** A record of the journal itself with these names. */
function reload(gate: PaperGate, names: Readonly<Record<string, unknown>>): void {
  const all = JSON.stringify({ time, event: 'reload', ...names });
  gate.lines.push(gate.ledger.seal(all.slice(1, -1)));
}

/** The start of a run, with its error. */
const startWith = (error: unknown, event: 'start' | 'reload' = 'start') =>
  sealed(`"time":"${time}","event":"${event}","journal":"${journal}","error":${JSON.stringify(error)}`);

/** So many records of one event after a stop. */
function afterStop(put: (gate: PaperGate) => void): () => PaperObject[] {
  return within((gate) => {
    gate.put({ time: gate.nowMs, event: 'stop' });
    put(gate);
    gate.exchanges(1);
  });
}

const endsWith = (outcome: 'unknown' | 'ok') => (gate: PaperGate) =>
  gate.put({ time: gate.nowMs, event: 'completion', id: 'X', outcome });

/** The whole stream, stored later than its records were written. */
const storedAt =
  (...afterMs: readonly number[]) =>
  (): PaperObject[] => {
    const gate = new PaperGate();
    gate.exchanges(2 * afterMs.length);
    const all = blocks(gate.lines, 2);
    return afterMs.map((ms, index) => ({ ...at(all, index), storedMs: started + ms }));
  };

interface HostWith {
  readonly program?: string;
  readonly catalog?: string;
  readonly policies?: Readonly<Record<string, string>>;
}

/** Three hosts with these policies, programs and catalogs. */
const hostsWith = (...all: readonly HostWith[]) => ({
  hosts: three,
  tamper: () =>
    all.flatMap(({ policies = {}, program = 'p1', catalog = 'c1' }, index) => {
      const id = String(index).repeat(32);
      const gate = new PaperGate(undefined, id, { program, catalog });
      for (const [policy, version] of Object.entries(policies)) {
        gate.admit(policy, { policy, version });
        gate.end(policy);
      }
      gate.checkpoint({ program });
      return blocks(gate.lines, 100, `gate${index + 1}`, id);
    }),
});

const three = ['gate1', 'gate2', 'gate3'];
const six = (version: string) => Object.fromEntries(Array.from('abcdef', (name) => [name, version]));

/** A journal that goes on, of a host that is not listed, from a record on. */
const ofStranger = (from: number, act: (gate: PaperGate) => void, secretPem?: false) => ({
  hosts: [],
  tamper() {
    const gate = makeGate(secretPem);
    act(gate);
    return blocks(gate.lines.slice(from), 100, 'stranger');
  },
});

export const edges: Readonly<Record<string, Tampering>> = {
  'a clean stream': () => blocks(makeGate().lines),
  'a clean stream, in one block': () => blocks(makeGate().lines, 100),
  'a line that is just as long as may be': within((gate) => {
    const open = `"time":"${time}","event":"log","text":"`;
    const short = gate.ledger.seal(`${open}"`);
    const around = short.trimEnd().length;
    gate.lines.push(short);
    gate.lines.push(gate.ledger.seal(`${open}${'x'.repeat(bounds.fleetLineBytes - around)}"`));
  }),
  'lines with seq 0 and a seq that is too large': () => {
    const gate = new PaperGate();
    const [first = '', second = ''] = gate.lines;
    const zero = new PaperGate();
    const none = { stepsMs: 0, open: new Map(), oldestSeq: 1, timeMs: started };
    zero.ledger.resume({ journal, seq: -1, hash: '0'.repeat(64), ...none });
    const lineOfZero = zero.ledger.seal(`"time":"${time}","event":"log"`);
    zero.ledger.seq = Number.MAX_SAFE_INTEGER;
    const large = zero.ledger.seal(`"time":"${time}","event":"log"`);
    return [{ ...block(gate.lines), body: Buffer.from([first, lineOfZero, large, second].join('')) }];
  },
  'a record without time and event': sealed('"x":1'),
  'an own record that is no JSON': sealed(`"time":"${time}","event":"reload",x`),
  'a record whose time is none': sealed(
    `"time":"2026-11-31${time.slice(10)}","event":"start","error":"journal-cut"`,
  ),
  'a start that found nothing': startWith('nothing-known'),
  'a start that found all of it': startWith(
    'journal-cut journal-rewritten journal-unvouched journal-removed journal-appended',
  ),
  'a reload that found something': startWith('journal-cut', 'reload'),
  'a start whose error is no text': startWith(['journal-cut']),
  'a run of records of another journal, and of the own one again': within((gate) => {
    for (const id of [other, other, journal, other]) reload(gate, { journal: id });
    gate.lines.push(
      gate.ledger.seal(`"time":"${time}","event":"reload","journal":5,"program":5,"catalog":["x"]`),
    );
  }),
  'programs and catalogs with signs that nobody sees': () => {
    const gate = new PaperGate();
    reload(gate, { journal, program: 'new\u202e\n', catalog: `c${'x'.repeat(300)}` });
    return blocks(gate.lines);
  },
  'the first thing is a mark': () => [mark(3, 'e'.repeat(64))],
  'two blocks are gone, and come late, twice': () => {
    const [one, two, three_, four] = blocks(makeGate().lines);
    return [one, four, two, three_, two].filter((each) => each !== undefined);
  },
  'one record is gone': () => {
    const all = blocks(makeGate().lines, 1);
    all.splice(6, 1);
    return all;
  },
  'two records are gone, and two others later': () => {
    const all = blocks(makeGate().lines, 1);
    all.splice(6, 2);
    all.splice(9, 2);
    return [...all, ...blocks(makeGate().lines, 1).slice(6, 8)];
  },
  'garbage in the place of a record, and of one of two': () => {
    const all = blocks(makeGate().lines, 1);
    at(all, 5).body = Buffer.from('x\n');
    at(all, 9).body = Buffer.from('x\n');
    all.splice(10, 1);
    return all;
  },
  'garbage before a record that another one precedes': () => {
    const gate = makeGate();
    const fork = forkOf(gate, 4);
    fork.exchanges(1);
    const [first, second] = [block(gate.lines.slice(0, 5)), block(fork.lines.slice(1))];
    return [first, { ...second, body: Buffer.concat([Buffer.from('x\n'), second.body]) }];
  },
  'garbage at the end of a block, and then records that another one precedes': () => {
    const gate = makeGate();
    const fork = forkOf(gate, 4);
    fork.exchanges(1);
    const first = block(gate.lines.slice(0, 5));
    return [{ ...first, body: Buffer.concat([first.body, Buffer.from('x\n')]) }, block(fork.lines.slice(1))];
  },
  'the host was put back, and goes on with a record that was not sent yet': () => {
    const gate = makeGate();
    const fork = forkOf(gate, 7);
    fork.exchanges(1);
    return [block(gate.lines.slice(0, 8)), block(fork.lines.slice(1))];
  },
  'another first record': () => {
    const gate = new PaperGate();
    const line = gate.lines[0]?.replace(`"prev":"${'0'.repeat(64)}"`, `"prev":"${'1'.repeat(64)}"`) ?? '';
    return [{ ...block(gate.lines), body: Buffer.from(line) }];
  },
  'old records again: other ones, the same ones, others that are too old to be compared': () => {
    const gate = new PaperGate();
    const fork = new PaperGate();
    gate.exchanges(bounds.fleetRecent / 2 + 2);
    fork.nowMs += 1;
    fork.exchanges(5);
    const last = gate.ledger.seq;
    const oldest = last - bounds.fleetRecent;
    return [
      ...blocks(gate.lines, 100),
      block(gate.lines.slice(oldest - 1, oldest)),
      block(gate.lines.slice(oldest, oldest + 3)),
      block(gate.lines.slice(last - 1)),
      block(fork.lines.slice(2, 6)),
      block(fork.lines.slice(7, 9)),
    ];
  },
  'after a stop: another stop': afterStop((gate) => gate.put({ time: gate.nowMs, event: 'stop' })),
  'after a stop: a clock and a checkpoint': afterStop((gate) => {
    gate.put({ time: gate.nowMs, event: 'clock', step_ms: 5 });
    gate.checkpoint();
  }),
  'after a stop: the end of an exchange, unknown': afterStop(endsWith('unknown')),
  'after a stop: the end of an exchange': afterStop(endsWith('ok')),
  'after a stop: a start': afterStop((gate) => gate.put({ time: gate.nowMs, event: 'start', journal })),
  'open exchanges: with a long id, without one, twice, ended': {
    tamper: within((gate) => {
      gate.admit('x'.repeat(200));
      gate.admit('y'.repeat(201));
      gate.put({ time: gate.nowMs, event: 'admission', session: 'S' });
      gate.admit('A');
      gate.admit('B');
      gate.admit('A');
      gate.end('B');
      gate.end('unknown');
      gate.put({ time: gate.nowMs, event: 'completion', session: 'S' });
    }),
    more: { openMs: minuteMs - 1 },
  },
  'an exchange that is just not open for too long': {
    tamper: within((gate) => gate.admit('A')),
    more: { openMs: minuteMs },
  },
  'exchanges that are open for too long, and one that is not': {
    tamper: () => {
      const gate = new PaperGate();
      gate.admit('A');
      gate.admit('B');
      gate.checkpoint();
      const seq = gate.lines.length;
      gate.admit('C');
      gate.checkpoint();
      const late = { ...block(gate.lines.slice(seq)), storedMs: started + 30_000 };
      return [block(gate.lines.slice(0, seq)), late];
    },
    more: { openMs: 40_000 },
  },
  'policies: others, new versions, long names, signs that nobody sees': within((gate) => {
    for (const [at_, policy, version] of [
      [1, 'one', 'v1'],
      [2, 'two', 'v1'],
      [3, 'one', 'v2'],
      [4, 'gr\u00f6\u00dfe\u202e', 'v\u202e'],
      [5, 'x'.repeat(200), 'y'.repeat(200)],
      [6, 'z'.repeat(201), 'v1'],
      [7, 'seven', 'w'.repeat(201)],
    ] as const)
      gate.admit(`${at_}`, { policy, version });
    gate.put({ time: gate.nowMs, event: 'admission', session: 'S', id: '8', policy: 'eight' });
    gate.put({ time: gate.nowMs, event: 'admission', session: 'S', id: '9' });
  }),
  'policies before a reload are forgotten': within((gate) => {
    gate.admit('1', { policy: 'one', version: 'v1' });
    gate.admit('2', { policy: 'two', version: 'v1' });
    reload(gate, { journal });
    gate.admit('3', { policy: 'two', version: 'v1' });
  }),
  'records without a beginning, and nothing says why': () => blocks(makeGate().lines.slice(6)),
  'a checkpoint says that retention left other records than these': goesOn((gate) => {
    gate.checkpoint({ oldest_seq: 16 });
  }, 16),
  'without a listed key: an unsigned checkpoint says where the journal begins': ofStranger(
    16,
    (gate) => gate.checkpoint({ oldest_seq: 17 }),
    false,
  ),
  'without a listed key: a retire record whose number is a text': ofStranger(
    16,
    (gate) => gate.lines.push(gate.ledger.seal(`"time":"${time}","event":"retire","oldest_seq":"17"`)),
    false,
  ),
  'without a listed key: a retire record without a signature after one with it': ofStranger(8, (gate) =>
    gate.put({ time: gate.nowMs, event: 'retire', segment: '1', oldest_seq: 17 }),
  ),
  'several checkpoints of another key, and a right one': () => {
    const stranger = new PaperGate(makeSignKey().secretPem);
    stranger.checkpoint();
    const gate = new PaperGate();
    gate.ledger.resume(stranger.ledger);
    gate.checkpoint();
    return blocks([...stranger.lines, ...gate.lines.slice(-1)]);
  },
  'clocks: just apart as far as may be': { tamper: storedAt(-4990), more: { driftMs: 4990 } },
  'clocks: ahead': storedAt(-5001),
  'clocks: behind, or a late block': { tamper: storedAt(3_600_000), more: { driftMs: 4990 } },
  'clocks: ahead, where the store has none of its own': {
    tamper: storedAt(-5001),
    more: { driftMs: undefined },
  },
  'clocks: the best of the last blocks counts': storedAt(30_000, 20, 40_000),
  'clocks: not longer than ten minutes': storedAt(20, 599_999, 700_000),
  'clocks: and for ten minutes more': storedAt(20, 600_020, 700_000),
  'clocks: and no longer': storedAt(20, 600_020, 1_200_019, 1_200_020),
  'records that came five minutes ago': within(() => undefined, 100, { storedMs: started - 4 * minuteMs }),
  'records that came longer ago': {
    tamper: within((gate) => gate.put({ time: gate.nowMs, event: 'log' }), 100, {
      storedMs: started - 4 * minuteMs - 1,
    }),
    more: { driftMs: 1e9 },
  },
  'records without a signature that came five minutes ago, and longer ago': {
    tamper: () => {
      const gate = new PaperGate();
      gate.exchanges(1);
      const [first, second] = [block(gate.lines.slice(0, 2)), block(gate.lines.slice(2))];
      return [first, { ...second, storedMs: started - 4 * minuteMs }];
    },
    more: { driftMs: 1e9 },
  },
  'records without a signature that came longer ago': {
    tamper: () => {
      const gate = new PaperGate();
      gate.exchanges(2);
      const second = { ...block(gate.lines.slice(2, 4)), storedMs: started - 4 * minuteMs - 1 };
      return [block(gate.lines.slice(0, 2)), second, block(gate.lines.slice(4))];
    },
    more: { driftMs: 1e9 },
  },
};

const ofA = { policies: { a: '1' } };
const ofSix = { policies: six('1') };
const fourOthers = { program: 'x', policies: { a: '2', b: '2', c: '2', d: '2' } };

export const edgesOfHosts: Readonly<Record<string, Tampering>> = {
  'three hosts: all the same': hostsWith({}, {}, {}),
  'three hosts: three programs': hostsWith({ program: 'p3' }, { program: 'p1' }, { program: 'p2' }),
  'three hosts: two catalogs, one of a host that is not listed': {
    ...hostsWith({ catalog: 'c2' }, {}, {}),
    hosts: ['gate1', 'gate2'],
  },
  'three hosts: a policy that one does not have': hostsWith(ofA, ofA, {}),
  'three hosts: five differences': hostsWith(fourOthers, ofSix, ofSix),
  'three hosts: eight differences': hostsWith(
    { program: 'x', catalog: 'y', policies: six('2') },
    ofSix,
    ofSix,
  ),
  'a new journal, and the old one once more': () => {
    const gate = makeGate();
    const later = blocks(makeGate(undefined, other).lines, 100, 'gate1', other);
    const before = blocks(gate.lines.slice(0, 12), 100);
    const after = blocks(gate.lines.slice(12), 100);
    return [...before, ...later.map((one) => ({ ...one, storedMs: started + 5 })), ...after];
  },
  'a new journal, and the old one goes on after it': () => {
    const gate = makeGate();
    const between = blocks(makeGate(undefined, other).lines, 100, 'gate1', other);
    const after = blocks(gate.lines.slice(12), 100).map((one) => ({ ...one, storedMs: started + 5 }));
    return [...blocks(gate.lines.slice(0, 12), 100), ...between, ...after];
  },
  'the journals of two hosts under each other, and under a third one': {
    tamper: () => {
      const { lines } = makeGate();
      return three.flatMap((host) => blocks(lines, 100, host));
    },
    hosts: three,
  },
  'two journals of hosts that are not listed': {
    tamper: () =>
      [journal, other].flatMap((id, index) => blocks(makeGate(false, id).lines, 100, `stranger${index}`, id)),
    hosts: ['gate1'],
  },
  'names with another first record, another last one, another hash': () => {
    const gate = makeGate();
    const [first, second, third, ...rest] = blocks(gate.lines);
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const { hash } = gate.ledger;
    return [renamed(first, { first: 2 }), renamed(second, { last: 9 }), renamed(third, { hash }), ...rest];
  },
  'a host without a key, whose records nobody signs': {
    tamper: () => blocks(makeGate(false).lines),
    more: { hosts: new Map([['gate1', { key: undefined, silentMs: minuteMs }]]) },
  },
  'a host whose key does not exist yet': {
    tamper: () => blocks(makeGate().lines),
    more: { hosts: new Map([['gate1', { key: 'none yet', silentMs: minuteMs - 1 }]]) },
  },
  'a host that names a key, which signs from then on': () => {
    const next = makeSignKey();
    const gate = new PaperGate();
    gate.checkpoint({ next_key: next.key });
    const later = new PaperGate(next.secretPem);
    later.ledger.resume(gate.ledger);
    const from = later.lines.length;
    later.exchanges(1);
    later.checkpoint({ next_key: key.key });
    return [block(gate.lines), block(later.lines.slice(from))];
  },
};
