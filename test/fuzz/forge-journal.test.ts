// Journals whose truth is known, made by the real writer, are changed as someone does who can write to the audit directory but has neither
// the key nor `state`; then a real start goes on with them. While a verifier passes, every signed record is there as it was, and nothing
// that was added counts, but for records after a crash that no signature covers (docs/security.md). DOVEGATE_ROUNDS multiplies the
// rounds; DOVEGATE_SEED repeats a run.
import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { carryOutSlowly } from '../../src/adapters/journal/keeper.js';
import { runEndName } from '../../src/adapters/journal/kept-end.js';
import { searchTrail } from '../../src/adapters/journal/search-trail.js';
import { findTrail } from '../../src/adapters/journal/trail.js';
import { encodeBody, encodeRecord } from '../../src/domain/audit/encode.js';
import { Ledger, makeSignKey, sealLine } from '../../src/domain/audit/ledger.js';
import type { JournalRecord } from '../../src/domain/audit/record.js';
import { createFleet } from '../../src/domain/fleet/fleet.js';
import { judgeCompleteness } from '../../src/domain/report/completeness.js';
import { createProofWriter, createSeqSet } from '../../src/domain/report/proof.js';
import {
  checkpoint,
  kill,
  type Place,
  placeIn,
  plantRing,
  type Run,
  signKey,
  startRun,
  stop,
  verdictOf,
} from '../adapters/journal/forged-run.js';
import { segmentFiles } from '../adapters/journal/reading.js';
import { blocks, message, optionsOf } from '../domain/fleet/paper-stream.js';
import { pick, type Random, randomInteger, seededRandom } from '../kit/chunkings.js';

const rounds = Math.ceil(80 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1));
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);
const segmentBytes = 16_384;
const journal = 'ab'.repeat(16);
const strange = makeSignKey();
const dayMs = 86_400_000;

interface Line {
  readonly seq: number;
  readonly hash: string;
  readonly prev: string;
  readonly event: string;
  readonly text: string;
}

/** What is known of a journal before anything is changed. */
interface Truth {
  readonly lines: readonly Line[];
  readonly signedSeq: number;
  readonly oldestSeq: number;
  readonly isOrderly: boolean;
  /** Copies of the directory as it was after each run. */
  readonly copies: readonly string[];
}

function textOf(directory: string, file: string): string {
  const bytes = readFileSync(join(directory, file));
  if (!file.endsWith('.gz')) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes).toString('utf8');
  } catch {
    return '';
  }
}

function parse(text: string): Line | undefined {
  try {
    const { seq, hash, prev, event }: Line = JSON.parse(text);
    return { seq, hash, prev, event, text };
  } catch {
    return undefined;
  }
}

function linesIn(directory: string): Line[] {
  const texts = segmentFiles(directory).flatMap((file) => textOf(directory, file).trimEnd().split('\n'));
  return texts.flatMap((text) => parse(text) ?? []);
}

function lastOf(directory: string): Line {
  return linesIn(directory).at(-1) ?? { seq: 0, hash: '0'.repeat(64), prev: '', event: '', text: '' };
}

/** One exchange; some have more arguments than an admission holds. */
function exchange(random: Random, id: string, timeMs: number): string[] {
  const named = { session: 'S', id, listener: 'support', principal: 'bob@support' };
  const isLong = random() < 0.1;
  const args = isLong ? Array.from({ length: 40 }, (_, at) => `${at}`.padEnd(300, 'x')) : ['-m', 'INBOX'];
  const asked = {
    command: 'expunge',
    user: `user${id}@example.com`,
    effect: 'write',
    decision: 'allow',
  } as const;
  const admitted = encodeRecord({ time: timeMs, event: 'admission', ...named, ...asked, args });
  const ended = encodeBody({ time: timeMs, event: 'completion', ...named, outcome: 'ok', sent: true });
  return [...(typeof admitted === 'string' ? [admitted] : admitted), ended];
}

function put(run: Run, bodies: readonly string[]): void {
  for (const body of bodies) assert.ok(run.ring.writer.publish(body, run.ring.writer.dataBytes));
  run.writer.flush(run.ring.writer.head, 0);
  const { tail } = run.ring.reader();
  assert.ok(tail !== undefined);
  run.ring.writer.tail = tail;
}

/** The oldest segments go, as the daemon retires them. */
function retire({ directory }: Place, run: Run, wallMs: number): void {
  const segment = Number.parseInt(segmentFiles(directory).at(-1) ?? '', 10);
  const { hash } = lastOf(directory);
  const head: { readonly journal: string } = JSON.parse(linesIn(directory)[0]?.text ?? '');
  const mark = { segment, hash };
  const report = carryOutSlowly(directory, {
    do: 'look',
    above: -1,
    mark,
    journal: head.journal,
    key: signKey.key,
  });
  assert.ok(report.kind === 'looked');
  const [first] = report.shelf.closed;
  if (first === undefined) return;
  const segments = [{ ...first, why: 'age' as const }];
  const policies = { versions: [], startSeq: 0 };
  run.writer.carryOut({ do: 'retire', behind: run.ring.writer.head, segments, policies, wallMs });
  carryOutSlowly(directory, { do: 'remove', files: [`${first.name}${first.isCompressed ? '.gz' : ''}`] });
}

/** One to four runs, the last one ended in order or not. */
function makeJournal(random: Random, place: Place, copiesAt: string): Truth {
  let timeMs = Date.UTC(2026, 10, 1);
  let isOrderly = true;
  const copies: string[] = [];
  const runs = randomInteger(random, 1, 4);
  for (let count = 0; count < runs; count += 1) {
    const hasRing = random() < 0.5;
    const run = startRun(place, { segmentBytes, wallMs: timeMs, hasRing });
    const exchanges = randomInteger(random, 2, 60);
    for (let each = 0; each < exchanges; each += 1) {
      timeMs += randomInteger(random, 1, 10_000);
      put(run, exchange(random, `R${count}E${each}`, timeMs));
      if (random() < 0.08) checkpoint(run, timeMs);
      if (random() < 0.03) put(run, [encodeBody({ time: timeMs, event: 'clock', step_ms: 2000 })]);
      if (random() < 0.03) retire(place, run, timeMs);
    }
    for (const file of segmentFiles(place.directory).slice(0, -1)) {
      if (!file.endsWith('.gz') && random() < 0.4)
        carryOutSlowly(place.directory, { do: 'compress', name: file });
    }
    isOrderly = random() < 0.6;
    if (isOrderly) stop(run, timeMs);
    else {
      if (hasRing && random() < 0.5)
        run.publish({ time: timeMs, event: 'log', id: `R${count}`, text: 'in memory' });
      kill(run);
    }
    const copy = join(copiesAt, String(count));
    cpSync(place.directory, copy, { recursive: true });
    copies.push(copy);
  }
  const lines = linesIn(place.directory);
  const signed = lines.findLast(({ text }) => text.includes('"signature":'));
  const oldestSeq = lines[0]?.seq ?? 1;
  return { lines, signedSeq: signed?.seq ?? 0, oldestSeq, isOrderly, copies };
}

/** Everything that an edit may use. */
interface Scene {
  readonly random: Random;
  readonly place: Place;
  readonly truth: Truth;
  /** Of the directory, with whole paths. */
  readonly segments: () => string[];
}

function rewrite(path: string, change: (lines: string[]) => string[]): void {
  const isCompressed = path.endsWith('.gz');
  const directory = join(path, '..');
  const text = textOf(directory, path.slice(directory.length + 1));
  const after = change(text.split('\n').slice(0, -1))
    .map((line) => `${line}\n`)
    .join('');
  writeFileSync(path, isCompressed ? gzipSync(after) : after);
}

function somewhere({ random, segments }: Scene, change: (lines: string[], at: number) => string[]): void {
  const path = pick(random, segments());
  rewrite(path, (lines) => change(lines, randomInteger(random, 0, Math.max(0, lines.length - 1))));
}

/** With right hashes from there on, as far as the file goes. */
function chainAgain(lines: readonly string[], from: number): string[] {
  let before = parse(lines[from - 1] ?? '');
  return lines.map((text, at) => {
    const line = parse(text);
    const body = /^\{"seq":\d+,(.*),"prev":"\w{64}","hash":"\w{64}"\}$/.exec(text)?.[1];
    if (at < from || before === undefined || line === undefined || body === undefined) return text;
    const sealed = sealLine(before.seq + 1, body, before.hash).line.trimEnd();
    before = parse(sealed);
    return sealed;
  });
}

const forgedNames = { session: 'FORGED', id: 'FORGED', listener: 'support', principal: 'eve@support' };

function forgedRecord({ random, place }: Scene): JournalRecord {
  const { seq, hash } = lastOf(place.directory);
  const time = Date.UTC(2026, 10, 2);
  const own = { time, journal, format: 1, program: 'FORGED', text: 'FORGED' };
  const gone = {
    segment: '00000001.jsonl',
    segment_hash: hash,
    oldest_seq: randomInteger(random, 1, seq + 1),
  };
  const records: readonly JournalRecord[] = [
    { time, event: 'admission', ...forgedNames, command: 'quota get', decision: 'allow', effect: 'read' },
    { time, event: 'completion', ...forgedNames, outcome: 'ok' },
    { time, event: 'completion', ...forgedNames, outcome: 'unknown', error: 'stopped' },
    { time, event: 'clock', step_ms: -400 * dayMs, text: 'FORGED' },
    { time, event: 'log', id: 'FORGED', text: 'FORGED' },
    { event: 'start', ...own, last_seq: seq, last_hash: hash, recovered: 3 },
    { time, event: 'stop', text: 'FORGED' },
    { event: 'checkpoint', ...own, head: hash, action: 'stop', oldest_seq: gone.oldest_seq },
    { event: 'checkpoint', ...own, head: hash, ...gone, open_seq: 1, steps_ms: -400 * dayMs },
    { time, event: 'retire', ...gone, action: 'age', until: '2026-10-01T00:00:00.000Z', text: 'FORGED' },
  ];
  return pick(random, records);
}

/** Chained lines, each signed with a key of the attacker's where that is asked for. */
function forgedLines(scene: Scene, isSigned: boolean, count = randomInteger(scene.random, 1, 4)): string[] {
  const { seq, hash } = lastOf(scene.place.directory);
  const ledger = new Ledger('FORGED', strange.secretPem, journal);
  ledger.resume({ journal, seq, hash, stepsMs: 0, open: new Map(), oldestSeq: 1, timeMs: 0 });
  return Array.from({ length: count }, () => {
    const record = forgedRecord(scene);
    if (!isSigned) return ledger.seal(encodeBody(record));
    return ledger.sealSigned({ ...record, event: pick(scene.random, ['checkpoint', 'retire']) });
  });
}

function copyBack({ random, place, truth }: Scene, isChosen: (name: string) => boolean): void {
  const copy = pick(random, truth.copies);
  const names = readdirSync(copy).filter(isChosen);
  if (names.length > 0) {
    const name = pick(random, names);
    rmSync(join(place.directory, name.replace(/\.gz$/, '')), { force: true, recursive: true });
    cpSync(join(copy, name), join(place.directory, name), { recursive: true });
  }
}

function freeSegment({ segments }: Scene, step = 1): string {
  const last = Number.parseInt(segments().at(-1)?.split('/').at(-1) ?? '0', 10);
  return `${String(last + step).padStart(8, '0')}.jsonl`;
}

const isSegment = (name: string): boolean => /^\d+\.jsonl/.test(name);

const edits: Readonly<Record<string, (scene: Scene) => void>> = {
  'line removed': (scene) => somewhere(scene, (lines, at) => lines.toSpliced(at, 1)),
  'line removed, chained again': (scene) =>
    somewhere(scene, (lines, at) => chainAgain(lines.toSpliced(at, 1), at)),
  'lines swapped': (scene) =>
    somewhere(scene, (lines, at) => lines.toSpliced(at, 2, ...lines.slice(at, at + 2).toReversed())),
  'line twice': (scene) => somewhere(scene, (lines, at) => lines.toSpliced(at, 0, lines[at] ?? '')),
  'byte changed': (scene) =>
    somewhere(scene, (lines, at) => lines.with(at, (lines[at] ?? '').replace(/[0-9]{2}/, '07'))),
  'record changed, chained again': (scene) =>
    somewhere(scene, (lines, at) =>
      chainAgain(lines.with(at, (lines[at] ?? '').replace('bob@support', 'FORGED')), Math.max(1, at)),
    ),
  'unsigned end changed, chained again': ({ segments }) =>
    rewrite(segments().at(-1) ?? '', (lines) => {
      const at = Math.min(lines.length - 1, lines.findLastIndex((line) => line.includes('"signature"')) + 1);
      return chainAgain(lines.with(at, (lines[at] ?? '').replace('bob@support', 'FORGED')), Math.max(1, at));
    }),
  'end cut': ({ random, segments }) =>
    rewrite(segments().at(-1) ?? '', (lines) => lines.slice(0, randomInteger(random, 0, lines.length))),
  'end cut to a checkpoint, which is put beside': ({ random, place, segments }) =>
    rewrite(segments().at(-1) ?? '', (lines) => {
      const ends = lines.flatMap((line, at) => (line.includes('"event":"checkpoint"') ? [at] : []));
      const at = ends.length === 0 ? lines.length - 1 : pick(random, ends);
      writeFileSync(join(place.directory, 'checkpoint.json'), `${lines[at] ?? ''}\n`);
      return lines.slice(0, at + 1);
    }),
  'bytes set to zero': ({ random, segments }) => {
    const path = pick(random, segments());
    const bytes = readFileSync(path);
    const from = randomInteger(random, 0, bytes.length);
    writeFileSync(path, bytes.fill(0, from, from + 40));
  },
  'lines appended': (scene) =>
    writeFileSync(scene.segments().at(-1) ?? '', forgedLines(scene, false).join(''), { flag: 'a' }),
  'lines appended, signed by another key': (scene) =>
    writeFileSync(scene.segments().at(-1) ?? '', forgedLines(scene, true).join(''), { flag: 'a' }),
  'lines appended, the last one as checkpoint.json': (scene) => {
    const lines = forgedLines(scene, scene.random() < 0.5);
    writeFileSync(scene.segments().at(-1) ?? '', lines.join(''), { flag: 'a' });
    writeFileSync(join(scene.place.directory, 'checkpoint.json'), lines.at(-1) ?? '');
  },
  'segment added': (scene) =>
    writeFileSync(
      join(scene.place.directory, freeSegment(scene, randomInteger(scene.random, 1, 3))),
      forgedLines(scene, scene.random() < 0.5).join(''),
      { mode: 0o600 },
    ),
  'compressed segment added': (scene) =>
    writeFileSync(
      join(scene.place.directory, `${freeSegment(scene)}.gz`),
      gzipSync(forgedLines(scene, scene.random() < 0.5).join('')),
      { mode: 0o600 },
    ),
  'beginning removed, and a retire record': (scene) => {
    const [first = ''] = scene.segments();
    if (scene.segments().length < 2) return;
    rmSync(first);
    const head = linesIn(scene.place.directory)[0];
    const { seq, hash } = lastOf(scene.place.directory);
    const gone = {
      segment: '00000001.jsonl',
      segment_hash: head?.prev,
      oldest_seq: head?.seq,
      action: 'age',
    };
    const body = encodeBody({
      time: Date.UTC(2026, 10, 2),
      event: 'retire',
      ...gone,
      text: 'FORGED',
    });
    writeFileSync(scene.segments().at(-1) ?? '', sealLine(seq + 1, body, hash).line, { flag: 'a' });
  },
  'segment removed': ({ random, segments }) => rmSync(pick(random, segments())),
  'segment moved': (scene) => {
    const path = pick(scene.random, scene.segments());
    const gz = path.endsWith('.gz') ? '.gz' : '';
    renameSync(path, join(scene.place.directory, `${freeSegment(scene)}${gz}`));
  },
  'segment copied': (scene) => {
    const path = pick(scene.random, scene.segments());
    const gz = path.endsWith('.gz') ? '.gz' : '';
    cpSync(path, join(scene.place.directory, `${freeSegment(scene)}${gz}`));
  },
  'segment compressed': ({ random, segments }) => {
    const path = pick(random, segments());
    if (path.endsWith('.gz')) return;
    writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)), { mode: 0o600 });
    rmSync(path);
  },
  'gzip file cut': ({ random, segments }) => {
    const compressed = segments().filter((path) => path.endsWith('.gz'));
    if (compressed.length === 0) return;
    const path = pick(random, compressed);
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.subarray(0, randomInteger(random, 0, bytes.length)));
  },
  'last checkpoint copied to a segment of its own': (scene) => {
    const line = readFileSync(join(scene.place.directory, 'checkpoint.json'), 'utf8');
    writeFileSync(join(scene.place.directory, freeSegment(scene)), line, { mode: 0o600 });
  },
  'argument record removed or changed': ({ random, segments }) => {
    for (const path of segments())
      rewrite(path, (lines) => {
        const at = lines.findIndex((line) => line.includes('"event":"arguments"'));
        if (at < 1) return lines;
        const changed = lines.with(at, (lines[at] ?? '').replace('xxx', 'FORGED'));
        return chainAgain(random() < 0.5 ? lines.toSpliced(at, 1) : changed, at);
      });
  },
  'segment put back': (scene) => copyBack(scene, isSegment),
  'checkpoint.json put back': (scene) => copyBack(scene, (name) => name === 'checkpoint.json'),
  'checkpoint.json removed': ({ place }) => rmSync(join(place.directory, 'checkpoint.json'), { force: true }),
  'checkpoint.json of another journal': ({ place }) => {
    const ledger = new Ledger('FORGED', strange.secretPem, 'cd'.repeat(16));
    writeFileSync(join(place.directory, 'checkpoint.json'), ledger.sealSigned(ledger.checkpoint(0)));
  },
  'ring.json put back': (scene) => copyBack(scene, (name) => name === 'ring.json'),
  'ring.json removed': ({ place }) => rmSync(join(place.directory, 'ring.json'), { force: true }),
  'ring planted': (scene) =>
    plantRing(scene.place, join(scene.place.elsewhere, 'ring'), [forgedRecord(scene), forgedRecord(scene)]),
  'shares.json and key.pub changed': ({ place }) => {
    writeFileSync(join(place.directory, 'shares.json'), '{"FORGED":1e99}');
    writeFileSync(join(place.directory, 'key.pub'), strange.publicPem);
  },
  'directory put back': ({ random, place, truth }) => {
    rmSync(place.directory, { recursive: true });
    cpSync(pick(random, truth.copies), place.directory, { recursive: true });
  },
};

/** What the records of a journal that passes must be. Returns what is wrong. */
function wrongIn({ lines, signedSeq, oldestSeq, isOrderly }: Truth, directory: string): string | undefined {
  const found = linesIn(directory);
  const bySeq = new Map(found.map((line) => [line.seq, line]));
  for (const line of lines) {
    if (line.seq < oldestSeq || line.seq > signedSeq) continue;
    if (bySeq.get(line.seq)?.text !== line.text) return `signed record ${line.seq} is gone or another one`;
  }
  for (const { seq, event, text } of found) {
    if (!text.includes('FORGED')) continue;
    if (isOrderly || seq <= signedSeq) return `forged ${event} ${seq} after an orderly end`;
    // After a crash the records count that no signature covers; none of those that a daemon signs.
    if (event === 'checkpoint' || event === 'retire') return `forged ${event} ${seq}`;
  }
  return undefined;
}

/** What a fresh verifier of many gates says of the lines as they would be shipped. */
function fleetFindings(directory: string): number {
  const fleet = createFleet(
    optionsOf(['gate1'], { hosts: new Map([['gate1', { key: signKey.key, silentMs: 1e15 }]]) }),
  );
  const lines = linesIn(directory).map(({ text }) => `${text}\n`);
  for (const [at, one] of blocks(lines, 50).entries()) fleet.take(message(one, at + 1));
  const now = new Set(['clock-apart', 'open', 'silent']);
  return fleet.judge(Date.UTC(2026, 10, 1)).filter(({ kind }) => !now.has(kind)).length;
}

async function pass(place: Place, truth: Truth, what: string): Promise<'passed' | 'found'> {
  const verdict = await verdictOf(place, place.state);
  const asked = { fromMs: undefined, toMs: undefined, nowMs: Date.UTC(2026, 10, 3) };
  const vouching = { isChecked: true, whose: '', pathOf: (file: string) => file };
  const { isComplete } = judgeCompleteness(verdict, asked, vouching);
  let rows = 0;
  for await (const row of searchTrail(findTrail([place.directory]), {})) rows += row === undefined ? 0 : 1;
  assert.ok(rows >= 0);
  const wrong = wrongIn(truth, place.directory);
  if (verdict.faultCount > 0) {
    assert.ok(!isComplete, what);
    return 'found';
  }
  assert.equal(wrong, undefined, `${what}: verify passes`);
  const { signedSeq = 0 } = verdict;
  const chosen = createSeqSet();
  for (let seq = verdict.firstSeq ?? 1; seq <= signedSeq; seq += 1) chosen.add(seq);
  const proof = createProofWriter({ chosen, keys: [signKey.key], signedSeq });
  for (const { text } of linesIn(place.directory)) proof.take(Buffer.from(text));
  assert.ok(proof.finish() !== undefined, `${what}: passes, and cannot be proved`);
  return 'passed';
}

/** Counts for the report: by kind of edit, what became of it. */
const counts = new Map<string, Record<string, number>>();

function note(names: readonly string[], what: string): void {
  for (const name of names) {
    const of = counts.get(name) ?? {};
    of[what] = (of[what] ?? 0) + 1;
    counts.set(name, of);
  }
}

async function attack(round: number, parent: string): Promise<void> {
  const random = seededRandom(seed + round);
  const place = placeIn(parent);
  const truth = makeJournal(random, place, join(parent, 'copies'));
  const first = await verdictOf(place, place.state);
  assert.deepEqual(first.faults, [], `round ${round}: a journal that nobody changed`);
  const scene: Scene = {
    random,
    place,
    truth,
    segments: () => segmentFiles(place.directory).map((file) => join(place.directory, file)),
  };
  const many = random() < 0.6 ? 1 : randomInteger(random, 2, 3);
  const names = Array.from({ length: many }, () => pick(random, Object.keys(edits)));
  for (const name of names) if (scene.segments().length > 0) edits[name]?.(scene);
  const what = `round ${round}, seed ${seed}, ${truth.isOrderly ? 'stopped' : 'killed'}: ${names.join('; ')}`;
  if (scene.segments().length === 0) return note(names, 'emptied');
  const state = readFileSync(join(place.state, runEndName), 'utf8');
  const before = await pass(place, truth, `${what}, before the start`);
  const wallMs = Date.UTC(2026, 10, 2);
  let run: Run;
  try {
    run = startRun(place, { segmentBytes, wallMs, hasRing: random() < 0.5 });
  } catch {
    assert.equal(
      readFileSync(join(place.state, runEndName), 'utf8'),
      state,
      `${what}: no start, and another state`,
    );
    return note(names, 'no start');
  }
  const looked = run.writer.carryOut({ do: 'look', behind: 0 });
  const stepsMs = looked.kind === 'written' ? looked.mark.stepsMs : assert.fail(looked.kind);
  put(run, exchange(random, 'LATER', wallMs));
  stop(run, wallMs);
  const after = await pass(place, truth, `${what}, after the start`);
  // Steps of these journals are ahead: one back would have retention remove what is signed.
  assert.ok(after === 'found' || stepsMs >= 0, `${what}: a forged step of the clock counts`);
  const isSeen = fleetFindings(place.directory) > 0;
  const wrong = wrongIn(truth, place.directory);
  assert.ok(isSeen || wrong === undefined, `${what}: the fleet passes: ${wrong}`);
  note(names, after === 'found' ? (before === 'found' ? 'found' : 'found by the start') : 'passed, rightly');
}

void test('no forgery without the key passes a verifier, before or after the next start', async (t: TestContext) => {
  for (let round = 0; round < rounds; round += 1) {
    const parent = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'dovegate-forge-'));
    try {
      await attack(round, parent);
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
  }
  t.diagnostic(`${rounds} rounds, seed ${seed}`);
  for (const [name, of] of [...counts].toSorted(([one], [other]) => (one < other ? -1 : 1)))
    t.diagnostic(`${name}: ${JSON.stringify(of)}`);
});
