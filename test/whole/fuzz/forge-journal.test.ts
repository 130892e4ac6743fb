// Journals whose truth is known, made by the real writer, are changed as someone does who can write to the audit directory but has neither
// the key nor `state`; then a real start goes on with them. While a verifier passes, every signed record is there as it was, and nothing
// that was added counts, but for records after a crash that no signature covers (docs/security.md).
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import { searchTrail } from '../../../src/evidence/reading/search-trail.js';
import { judgeCompleteness } from '../../../src/evidence/report/completeness.js';
import { createProofWriter, createSeqSet } from '../../../src/evidence/report/proof.js';
import { runEndName } from '../../../src/journal/files/kept-end.js';
import { findTrail } from '../../../src/journal/files/trail.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import { blocks, optionsOf, takeAll } from '../../evidence/fleet/paper-store.js';
import {
  type Place,
  plantRing,
  type Run,
  signKey,
  startRun,
  stop,
  verdictOf,
} from '../../journal/files/forged-run.js';
import { segmentFiles } from '../../journal/files/reading.js';
import { pick, type Random, randomInteger } from '../../kit/plain/chunkings.js';
import {
  chainAgain,
  editLines,
  forgedLines,
  forgedRecord,
  type Gone,
  pickEdits,
  play,
  type Round,
  strange,
} from './forge-kit.js';
import {
  exchange,
  freshPlace,
  lastOf,
  linesIn,
  parse,
  put,
  segmentBytes,
  type Truth,
  textOf,
  textsIn,
  truthFor,
} from './forge-truth.js';

/** Everything that an edit may use. */
interface Scene {
  readonly random: Random;
  readonly place: Place;
  readonly truth: Truth;
  readonly note: (edit: string) => void;
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

/** Of the files as they are now: somebody who changed them can say of each what fits what is left. */
function claimsOf({ random, place, segments }: Scene): Gone | undefined {
  const paths = segments();
  if (paths.length === 0 || random() < 0.3) return undefined;
  const path = random() < 0.5 ? paths[0] : pick(random, paths);
  const name = path?.slice(place.directory.length + 1) ?? '';
  const head = parse(textOf(place.directory, name).split('\n', 1)[0] ?? '');
  const segment = `${String(Number.parseInt(name, 10) - 1).padStart(8, '0')}.jsonl`;
  return head && { segment, segment_hash: head.prev, oldest_seq: head.seq };
}

function forgedBehind(scene: Scene): string[] {
  const { random, place } = scene;
  return forgedLines(random, lastOf(place.directory), random() < 0.5, claimsOf(scene));
}

const forgedAfter = (scene: Scene) =>
  forgedRecord(scene.random, lastOf(scene.place.directory), claimsOf(scene));

const edits: Readonly<Record<string, (scene: Scene) => void>> = {
  lines: (scene) => {
    const path = pick(scene.random, scene.segments());
    rewrite(path, (lines) => editLines(scene.random, lines, scene.note));
  },
  'unsigned end changed, chained again': ({ segments }) =>
    rewrite(segments().at(-1) ?? '', (lines) => {
      // A file that an earlier edit made unreadable, as lines appended to a gzip file do, has none.
      if (lines.length === 0) return lines;
      const at = Math.min(lines.length - 1, lines.findLastIndex((line) => line.includes('"signature"')) + 1);
      return chainAgain(lines.with(at, (lines[at] ?? '').replace('bob@support', 'FORGED')), Math.max(1, at));
    }),
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
    writeFileSync(path, bytes.fill(0, from, Math.min(bytes.length, from + 40)));
  },
  'lines appended': (scene) => {
    const lines = forgedBehind(scene);
    writeFileSync(scene.segments().at(-1) ?? '', lines.join(''), { flag: 'a' });
    if (scene.random() < 0.5)
      writeFileSync(join(scene.place.directory, 'checkpoint.json'), lines.at(-1) ?? '');
  },
  'segment added': (scene) =>
    writeFileSync(
      join(scene.place.directory, freeSegment(scene, randomInteger(scene.random, 1, 3))),
      forgedBehind(scene).join(''),
      { mode: 0o600 },
    ),
  'compressed segment added': (scene) =>
    writeFileSync(
      join(scene.place.directory, `${freeSegment(scene)}.gz`),
      gzipSync(forgedBehind(scene).join('')),
      { mode: 0o600 },
    ),
  'segment removed': ({ random, segments }) => rmSync(pick(random, segments())),
  'oldest segments removed': ({ random, segments }) => {
    const paths = segments();
    for (const path of paths.slice(0, random() < 0.7 ? 1 : randomInteger(random, 1, paths.length - 1)))
      rmSync(path);
  },
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
    const path = join(scene.place.directory, 'checkpoint.json');
    if (!existsSync(path)) return;
    const line = readFileSync(path, 'utf8');
    writeFileSync(join(scene.place.directory, freeSegment(scene)), line, { mode: 0o600 });
  },
  'segment put back': (scene) => copyBack(scene, isSegment),
  'checkpoint.json put back': (scene) => copyBack(scene, (name) => name === 'checkpoint.json'),
  'checkpoint.json made of the last signed line': ({ place }) => {
    const line = linesIn(place.directory).findLast(({ text }) => text.includes('"signature":"'));
    if (line !== undefined) writeFileSync(join(place.directory, 'checkpoint.json'), `${line.text}\n`);
  },
  'end chained and signed by another key': ({ random, place, segments }) => {
    const paths = segments();
    const of = paths.map((path) => {
      const text = textOf(place.directory, path.slice(place.directory.length + 1));
      return text.split('\n').slice(0, -1);
    });
    const all = of.flat();
    const made = chainAgain(all, randomInteger(random, 0, all.length), true);
    let at = 0;
    for (const [index, path] of paths.entries()) {
      const count = of[index]?.length ?? 0;
      const from = at;
      rewrite(path, () => made.slice(from, from + count));
      at += count;
    }
    writeFileSync(join(place.directory, 'key.pub'), strange.publicPem);
  },
  'checkpoint.json removed': ({ place }) => rmSync(join(place.directory, 'checkpoint.json'), { force: true }),
  'checkpoint.json of another journal': ({ place }) => {
    const ledger = new Ledger('FORGED', strange.secretPem, 'cd'.repeat(16));
    writeFileSync(join(place.directory, 'checkpoint.json'), ledger.sealSigned(ledger.checkpoint(0)));
  },
  'ring.json put back': (scene) => copyBack(scene, (name) => name === 'ring.json'),
  'ring.json removed': ({ place }) => rmSync(join(place.directory, 'ring.json'), { force: true }),
  'ring planted': (scene) =>
    plantRing(scene.place, join(scene.place.elsewhere, 'ring'), [forgedAfter(scene), forgedAfter(scene)]),
  'shares.json and key.pub changed': ({ place }) => {
    writeFileSync(join(place.directory, 'shares.json'), '{"FORGED":1e99}');
    writeFileSync(join(place.directory, 'key.pub'), strange.publicPem);
  },
  'directory put back': ({ random, place, truth }) => {
    rmSync(place.directory, { recursive: true });
    cpSync(pick(random, truth.copies), place.directory, { recursive: true });
  },
};

/** What a start writes before its own checkpoint, which nobody can tell from a start that is writing just now. */
const ofStart: ReadonlySet<string> = new Set(['start', 'clock', 'completion']);

/** What the records of a journal that passes must be. Returns what is wrong. */
function wrongIn(
  { lines, signedSeq, oldestSeq, isOrderly }: Truth,
  directory: string,
  isStarted: boolean,
): string | undefined {
  const found = linesIn(directory);
  const bySeq = new Map(found.map((line) => [line.seq, line]));
  for (const line of lines) {
    if (line.seq < oldestSeq || line.seq > signedSeq) continue;
    if (bySeq.get(line.seq)?.text !== line.text) return `signed record ${line.seq} is gone or another one`;
  }
  const [last] = found.slice(-1);
  const isLikeStart =
    !isStarted &&
    last !== undefined &&
    ofStart.has(last.event) &&
    found.some(({ seq, event }) => seq > signedSeq && event === 'start');
  for (const { seq, event, text } of found) {
    if (!text.includes('FORGED') || (isLikeStart && seq > signedSeq && ofStart.has(event))) continue;
    if (isOrderly || seq <= signedSeq) return `forged ${event} ${seq} after an orderly end`;
    // After a crash the records count that no signature covers; none of those that a daemon signs.
    if (event === 'checkpoint' || event === 'retire') return `forged ${event} ${seq}`;
  }
  return undefined;
}

/**
 * The same for somebody who has the directory and the public key alone. An older end of the journal is none of their business, but what
 * is called signed was signed.
 */
async function wrongAlone(place: Place, { lines, signedSeq }: Truth): Promise<string | undefined> {
  const verdict = await verdictOf(place);
  const { faultCount, signedSeq: until = 0, firstSeq = 1 } = verdict;
  if (faultCount > 0) return undefined;
  if (until > signedSeq) return `record ${until} counts as signed`;
  const found = new Map(linesIn(place.directory).map((line) => [line.seq, line.text]));
  const wrong = lines.find(({ seq, text }) => seq >= firstSeq && seq <= until && found.get(seq) !== text);
  return wrong === undefined ? undefined : `signed record ${wrong.seq} is gone or another one`;
}

/** What a fresh verifier of many gates says of the lines as they would be shipped. */
function fleetFindings(directory: string): number {
  const fleet = new Fleet(
    optionsOf(['gate1'], { hosts: new Map([['gate1', { key: signKey.key, silentMs: 1e15 }]]) }),
  );
  const lines = linesIn(directory).map(({ text }) => `${text}\n`);
  takeAll(fleet, blocks(lines, 50));
  const now = new Set(['clock-apart', 'open', 'silent']);
  return fleet.judge(Date.UTC(2026, 10, 1)).filter(({ kind }) => !now.has(kind)).length;
}

async function pass(
  place: Place,
  truth: Truth,
  what: string,
  isStarted: boolean,
): Promise<'passed' | 'found'> {
  const verdict = await verdictOf(place, place.state);
  const asked = { fromMs: undefined, toMs: undefined, nowMs: Date.UTC(2026, 10, 3) };
  const vouching = { isChecked: true, whose: '', pathOf: (file: string) => file };
  const { isComplete } = judgeCompleteness(verdict, asked, vouching);
  let rows = 0;
  for await (const row of searchTrail(findTrail([place.directory]), {})) rows += row === undefined ? 0 : 1;
  assert.ok(rows >= 0);
  const wrong = wrongIn(truth, place.directory, isStarted);
  if (verdict.faultCount > 0) {
    assert.ok(!isComplete, what);
    return 'found';
  }
  assert.equal(wrong, undefined, `${what}: verify passes`);
  const { signedSeq = 0 } = verdict;
  const chosen = createSeqSet();
  for (let seq = verdict.firstSeq ?? 1; seq <= signedSeq; seq += 1) chosen.add(seq);
  const proof = createProofWriter({ chosen, keys: [signKey.key], signedSeq });
  for (const text of textsIn(place.directory)) proof.take(Buffer.from(text));
  assert.ok(proof.finish() !== undefined, `${what}: passes, and cannot be proved`);
  return 'passed';
}

/** A third of the edits are of lines, and many take something away: that is what such an attack is for. */
const names = Object.keys(edits).flatMap((name) => [
  name,
  'lines',
  /removed|put back|cut/.test(name) ? name : 'lines appended',
]);

let unchanged: Truth | undefined;

async function attack(round: Round): Promise<string> {
  const { random, edits: done } = round;
  const truth = truthFor(round);
  const place = freshPlace(round);
  if (unchanged !== truth) {
    const { faults } = await verdictOf(place, place.state);
    assert.deepEqual(faults, [], 'a journal that nobody changed');
    unchanged = truth;
  }
  const segments = () => segmentFiles(place.directory).map((file) => join(place.directory, file));
  const scene: Scene = { random, place, truth, segments, note: (edit) => void done.push(edit) };
  const chosen = pickEdits(random, names);
  // Records may explain what was done before.
  if (random() < 0.5) chosen.push('lines appended');
  for (const name of chosen) {
    if (segments().length === 0) continue;
    if (name !== 'lines') done.push(name);
    edits[name]?.(scene);
  }
  const what = truth.isOrderly ? 'stopped' : 'killed';
  if (segments().length === 0) return 'emptied';
  assert.equal(await wrongAlone(place, truth), undefined, `${what}: verify without state passes`);
  const state = readFileSync(join(place.state, runEndName), 'utf8');
  const before = await pass(place, truth, `${what}, before the start`, false);
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
    return 'no start';
  }
  const looked = run.writer.carryOut({ do: 'look', behind: 0 });
  const stepsMs = looked.kind === 'written' ? looked.mark.stepsMs : assert.fail(looked.kind);
  put(run, exchange(random, 'LATER', wallMs));
  stop(run, wallMs);
  const after = await pass(place, truth, `${what}, after the start`, true);
  // Steps of these journals are ahead: one back would have retention remove what is signed.
  assert.ok(after === 'found' || stepsMs >= 0, `${what}: a forged step of the clock counts`);
  const isSeen = fleetFindings(place.directory) > 0;
  const wrong = wrongIn(truth, place.directory, true);
  assert.ok(isSeen || wrong === undefined, `${what}: the fleet passes: ${wrong}`);
  if (after === 'found') return before === 'found' ? 'found' : 'found by the start';
  return 'passed, rightly';
}

void test('no forgery without the key passes a verifier, before or after the next start', (t) =>
  play(t, 'journal', 25, attack));
