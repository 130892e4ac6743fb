// Goal: from copies of signed lines it is found which host of which cell is missing, late, changed, cut, or in two cells; nothing counts
// that no listed key signed, and what is wrong with a file of lines is found whoever wrote it. The forgers: somebody with write access to
// the copies, with the key that was replaced, with the key of another cell, and the verifier of a cell itself, who signs what it likes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../../src/bounds/bounds.js';
import { makeSignKey } from '../../../../src/domain/records/audit/ledger.js';
import {
  CellLog,
  type FindRecord,
  type Held,
  judgeCells,
} from '../../../../src/domain/records/fleet/cells.js';
import {
  type FindingCounts,
  readCheckpoint,
  type SignedHead,
  signCheckpoint,
} from '../../../../src/domain/records/fleet/checkpoint.js';

const hour = 3_600_000;
const startMs = Date.parse('2026-11-20T08:00:00Z');
const hashOf = (seq: number, tail = 'aa'): string => `${seq.toString(16).padStart(62, '0')}${tail}`;
const idOf = (host: string): string => Buffer.from(host).toString('hex').padEnd(32, '0').slice(0, 32);

/** A journal's head as a verifier has it an hour after another one. */
function head(host: string, seq: number, hours: number, more: Partial<SignedHead> = {}): SignedHead {
  return {
    host,
    journal: idOf(host),
    from: 1,
    seq,
    hash: hashOf(seq),
    storedMs: startMs + hours * hour,
    ...more,
  };
}

/** A verifier, who signs a line an hour. */
class Cell {
  readonly name: string;
  readonly lines: string[] = [];
  #key = makeSignKey();
  readonly keys = [this.#key.key];
  hours = 0;

  constructor(name: string) {
    this.name = name;
  }

  get pem(): string {
    return this.#key.secretPem;
  }

  root(
    heads: readonly SignedHead[],
    more: { findings?: FindingCounts; cell?: string; nextKey?: string } = {},
  ): this {
    const before = readCheckpoint(this.lines.at(-1) ?? '');
    const seen = { cell: this.name, heads, findings: {}, ...more };
    this.lines.push(signCheckpoint(seen, before, this.pem, startMs + this.hours * hour).line);
    this.hours += 1;
    return this;
  }

  /** `isListed`: a person copied the new public key. */
  replaceKey(heads: readonly SignedHead[], isListed = true): this {
    const next = makeSignKey();
    this.root(heads, { nextKey: next.key });
    this.#key = next;
    if (isListed) this.keys.push(next.key);
    return this;
  }
}

interface Looked {
  /** Default: the copies as they are. */
  readonly lines?: Readonly<Record<string, readonly string[]>>;
  readonly hosts?: Readonly<Record<string, readonly string[]>>;
  readonly fromRoot?: number;
  /** `CELL HOST SEQ`; others are as they were signed. Undefined: no cell has a mirror. */
  readonly mirror?: Readonly<Record<string, Held>> | undefined;
  readonly nowHours?: number;
  readonly kept?: string;
}

async function look(cells: readonly Cell[], more: Looked = {}): Promise<readonly string[]> {
  const logs = cells.map(({ name, keys }) => {
    const hosts = more.hosts?.[name];
    return new CellLog({
      name,
      keys,
      fromRoot: more.fromRoot ?? 1,
      hosts: hosts && new Map(hosts.map((host) => [host, undefined])),
    });
  });
  const kept = readCheckpoint(more.kept ?? '');
  if (kept !== undefined)
    assert.equal(logs.find(({ expected }) => expected.name === kept.cell)?.awaitKept(kept), undefined);
  for (const [at, log] of logs.entries()) {
    for (const line of more.lines?.[log.expected.name] ?? cells[at]?.lines ?? []) log.take(Buffer.from(line));
    log.finish();
  }
  const find: FindRecord = ({ cell, host }, seq) =>
    Promise.resolve(
      more.mirror && (more.mirror[`${cell} ${host} ${seq}`] ?? { hash: hashOf(seq), prev: hashOf(seq - 1) }),
    );
  const nowMs = startMs + (more.nowHours ?? Math.max(...cells.map(({ hours }) => hours)) - 1) * hour + 60_000;
  const { findings } = await judgeCells(logs, { nowMs, rootEveryMs: 2 * hour }, find);
  return findings.map(({ kind, cell, host, seq }) => [cell, host ?? '-', kind, seq ?? '-'].join(' '));
}

void test('two cells whose roots follow each other: nothing is found, with and without mirrors', async () => {
  const [north, south] = [new Cell('north'), new Cell('south')];
  for (let hours = 0; hours < 4; hours += 1) {
    north.root([head('a', 10 + hours, hours), head('b', 20, hours)]);
    south.root([head('c', 5 * (hours + 1), hours)]);
  }
  north.replaceKey([head('a', 14, 4), head('b', 20, 4)]).root([head('a', 15, 5), head('b', 21, 5)]);
  south.root([head('c', 30, 4)]).root([head('c', 31, 5)]);
  assert.deepEqual(await look([north, south]), []);
  assert.deepEqual(
    await look([north, south], { mirror: {}, hosts: { north: ['a', 'b'], south: ['c'] } }),
    [],
  );
});

void test('a cell without roots, a host that is in none, a root that is old, of the future, or tells of findings', async () => {
  const [north, south] = [new Cell('north'), new Cell('south')];
  assert.deepEqual(await look([south], { nowHours: 1 }), ['south - missing -']);
  north.root([head('a', 1, 0)]);
  assert.deepEqual(await look([north], { hosts: { north: ['a', 'b'] } }), ['north b missing -']);
  assert.deepEqual(await look([north], { nowHours: 3 }), ['north - late 1']);
  assert.deepEqual(await look([north], { nowHours: -1 }), ['north - clock-apart 1']);
  north.root([head('a', 2, 1)], { findings: { silent: 2 } });
  assert.deepEqual(await look([north]), ['north - reported 2']);
});

void test('a host whose head does not move is late; one that newer roots leave out is missing', async () => {
  const north = new Cell('north');
  for (let hours = 0; hours < 4; hours += 1) north.root([head('a', 10 + hours, hours), head('b', 20, 0)]);
  assert.deepEqual(await look([north]), ['north b late 20']);
  // A person took it out of the list: it was switched off.
  assert.deepEqual(await look([north], { hosts: { north: ['a'] } }), []);
  north.root([head('a', 14, 4)]);
  assert.deepEqual(await look([north]), ['north b missing 20']);
  assert.deepEqual(await look([north], { hosts: { north: ['a'] }, mirror: {} }), []);
  assert.deepEqual(
    await look([north], { hosts: { north: ['a'] } }),
    ['north b cut 20'],
    'nothing shows its records',
  );
});

void test('who can write the copies only: each change of a line is found', async () => {
  const north = new Cell('north');
  for (let hours = 0; hours < 5; hours += 1) north.root([head('a', 10 + hours, hours)]);
  const [one = '', two = '', three = '', four = '', five = ''] = north.lines;
  const of = (lines: readonly string[]) => look([north], { lines: { north: lines } });
  assert.deepEqual(await of([one, two, four, five]), ['north - missing 3']);
  assert.deepEqual(await of([two, three, four, five]), ['north - missing 1']);
  assert.deepEqual(await of([one, two, three.replace('"seq":12', '"seq":13'), four, five]), [
    'north - changed -',
  ]);
  assert.deepEqual(await of([one, two, 'x', four, five]), ['north - changed -']);
  assert.deepEqual(await of([one, two, 'x', three, four, five]), [], 'a line that a crash tore is no root');
  assert.deepEqual(await of([one, two, three, 'x', 'x', four, 'x', five]), []);
  assert.deepEqual(await of([one, two, 'x', five]), ['north - missing 3', 'north - changed -']);
  assert.deepEqual(await of([one, two, three, four, five, 'x']), ['north - changed -']);
  assert.deepEqual(await of([one, three, two, four, five]), ['north - missing 2', 'north - changed 2']);
  assert.deepEqual(await of([one, two, three, four, five, five]), ['north - changed 5']);
  // Its end cut off looks like a verifier that stands still; a line that was kept shows which.
  assert.deepEqual(await look([north], { lines: { north: [one, two] }, nowHours: 4 }), ['north - late 2']);
  assert.deepEqual(await look([north], { lines: { north: [one, two] }, nowHours: 1, kept: four }), [
    'north - cut 4',
  ]);
  assert.deepEqual(await look([north], { kept: four }), []);
});

void test('other keys: that of a stranger, of another cell, one that was replaced, and one that it names itself', async () => {
  const [north, south] = [new Cell('north'), new Cell('south')];
  north.root([head('a', 1, 0)]);
  south.root([head('c', 1, 0)]);
  const before = readCheckpoint(north.lines[0] ?? '');
  const stranger = makeSignKey();
  const forged = (pem: string, seq = 9, cell = 'north'): string =>
    signCheckpoint({ cell, heads: [head('a', seq, 1)], findings: {} }, before, pem, startMs + hour).line;
  const of = (...lines: readonly string[]) =>
    look([north], { lines: { north: [...north.lines, ...lines] }, nowHours: 1 });
  assert.deepEqual(await of(forged(stranger.secretPem)), ['north - untrusted 2']);
  assert.deepEqual(await of(forged(south.pem, 9, 'south')), ['north - untrusted 2']);
  // The file of one cell in the place of another: each has a key of its own.
  assert.deepEqual(await look([north], { lines: { north: south.lines } }), [
    'north - untrusted 1',
    'north - missing -',
  ]);
  // The same key in two cells, by mistake: the line says of which it is.
  assert.deepEqual(await of(forged(north.pem, 9, 'south')), ['north - untrusted 2']);
  const old = north.pem;
  north.replaceKey([head('a', 2, 1)]).root([head('a', 3, 2)]);
  const last = readCheckpoint(north.lines.at(-1) ?? '');
  const late = signCheckpoint(
    { cell: 'north', heads: [head('a', 4, 3)], findings: {} },
    last,
    old,
    startMs + 3 * hour,
  );
  assert.deepEqual(await look([north], { lines: { north: [...north.lines, late.line] } }), [
    'north - untrusted 4',
  ]);
  // A thief of the key names a key of its own: nobody listed it.
  north.replaceKey([head('a', 5, 3)], false).root([head('a', 6, 4)]);
  assert.deepEqual(await look([north], { nowHours: 3 }), ['north - untrusted 5']);
});

void test('a verifier that signs what it likes: a root that says something else, or less, than an earlier one', async () => {
  const north = new Cell('north');
  north
    .root([head('a', 10, 0)])
    .root([head('a', 20, 1)])
    .root([head('a', 20, 2, { hash: hashOf(20, 'bb') })]);
  assert.deepEqual(await look([north]), ['north a changed 20']);
  const south = new Cell('south');
  south
    .root([head('a', 10, 0)])
    .root([head('a', 20, 1)])
    .root([head('a', 15, 2)]);
  assert.deepEqual(await look([south]), ['south a cut 20'], 'signed over a journal that was cut');
  assert.deepEqual(await look([south], { mirror: { 'south a 20': 'absent' } }), ['south a cut 20']);
  // Grown again, with other records: only the mirror can tell, and it has to.
  south.root([head('a', 30, 3)]);
  assert.deepEqual(await look([south]), ['south a cut 20']);
  assert.deepEqual(await look([south], { mirror: {} }), []);
  const other: Held = { hash: hashOf(20, 'bb'), prev: hashOf(19) };
  assert.deepEqual(await look([south], { mirror: { 'south a 20': other } }), ['south a changed 20']);
  // A person looked at it.
  assert.deepEqual(await look([south], { lines: { south: south.lines.slice(3) }, fromRoot: 4 }), []);
});

void test('a mirror that does not hold what the newest root signs', async () => {
  const north = new Cell('north');
  north.root([head('a', 10, 0), head('b', 7, 0)]);
  assert.deepEqual(await look([north], { mirror: { 'north a 10': 'absent' } }), ['north a cut 10']);
  const other: Held = { hash: hashOf(10, 'bb'), prev: hashOf(9) };
  assert.deepEqual(await look([north], { mirror: { 'north a 10': other } }), ['north a changed 10']);
  // A mirror that begins behind it: retention does not do that.
  assert.deepEqual(await look([north], { mirror: { 'north a 10': 'gone' } }), ['north a cut 10']);
  north.root([head('a', 8, 1), head('b', 7, 0)]);
  assert.deepEqual(
    await look([north], { mirror: { 'north a 10': 'gone' } }),
    [],
    'it may be gone by retention',
  );
});

void test('a host moves: the new cell goes on where the old one ended, or before', async () => {
  const moved = (from: number, more: Looked = {}) => {
    const [north, south] = [new Cell('north'), new Cell('south')];
    north.root([head('a', 10, 0), head('b', 1, 0)]).root([head('a', 20, 1), head('b', 2, 1)]);
    south.root([head('c', 1, 0)]).root([head('c', 2, 1)]);
    for (let hours = 2; hours <= 5; hours += 1) {
      north.root([head('a', 20, 1), head('b', hours + 1, hours)]);
      south.root([head('a', 10 * (hours + 1), hours, { from }), head('c', hours + 1, hours)]);
    }
    return look([north, south], more);
  };
  assert.deepEqual(await moved(1), []);
  assert.deepEqual(await moved(21), []);
  assert.deepEqual(await moved(21, { mirror: {}, hosts: { north: ['b'], south: ['a', 'c'] } }), []);
  assert.deepEqual(await moved(25), ['south a gap 21']);
  // What the new cell has is another journal under the same id: a copy of the gate that was changed.
  const other: Held = { hash: hashOf(21), prev: hashOf(20, 'bb') };
  assert.deepEqual(await moved(21, { mirror: { 'south a 21': other } }), ['south a changed 20']);
  const same: Held = { hash: hashOf(20, 'bb'), prev: hashOf(19) };
  assert.deepEqual(await moved(11, { mirror: { 'south a 20': same } }), ['south a changed 20']);
});

void test('a host that sends to two cells for longer than a root takes is found, unless both list it', async () => {
  const [north, south] = [new Cell('north'), new Cell('south')];
  for (let hours = 0; hours < 5; hours += 1) {
    north.root([head('a', 10 + hours, hours)]);
    south.root([head('a', 10 + hours, hours), head('c', hours + 1, hours)]);
  }
  assert.deepEqual(await look([north, south]), ['south a twice 14']);
  assert.deepEqual(await look([north, south], { hosts: { north: ['a'], south: ['a', 'c'] } }), []);
  const [early, later] = [new Cell('north'), new Cell('south')];
  for (let hours = 0; hours < 2; hours += 1) {
    early.root([head('a', 10 + hours, hours)]);
    later.root([head('a', 10 + hours, hours)]);
  }
  assert.deepEqual(await look([early, later]), [], 'both for a while');
  // The disk of one gate in another one, which has a name of its own.
  const [one, two] = [new Cell('north'), new Cell('south')];
  one.root([head('a', 10, 0)]);
  two.root([head('d', 12, 0, { journal: idOf('a') })]);
  assert.deepEqual(await look([one, two]), ['south d twice 12']);
  const above = new CellLog({ name: 'south', keys: two.keys, fromRoot: 9, hosts: undefined });
  for (const line of two.lines) above.take(Buffer.from(line));
  above.finish();
  const { findings } = await judgeCells([above], { nowMs: startMs, rootEveryMs: hour }, () =>
    Promise.resolve(undefined),
  );
  assert.match(findings[0]?.text ?? '', /^from_root is 9, and its newest root is 1:/);
  // In one cell, its verifier finds that, and a person accepts it there.
  const same = new Cell('north');
  same.root([head('a', 10, 0), head('d', 12, 0, { journal: idOf('a') })]);
  assert.deepEqual(await look([same]), []);
});

// bounds.fleetCellJournals
void test('a cell cannot fill the memory with journals', async () => {
  const north = new Cell('north');
  const many = (from: number, count: number): SignedHead[] =>
    Array.from({ length: count }, (_, at) =>
      head('a', 1, 0, { journal: (from + at).toString(16).padStart(32, '0') }),
    );
  const each = 16_000;
  for (let from = 0; from < bounds.fleetCellJournals; from += each) north.root(many(from, each));
  north.root(many(1e9, 1));
  const log = new CellLog({ name: 'north', keys: north.keys, fromRoot: 1, hosts: undefined });
  for (const line of north.lines) log.take(Buffer.from(line));
  assert.equal(log.journals.size, bounds.fleetCellJournals);
  assert.match(
    log
      .findings()
      .map(({ text }) => text)
      .join(),
    /more than 32000 journals/,
  );
});
