// What somebody put into the directory under a name of the journal and what is no file of ours: a FIFO, a link, a directory, an endless
// file. A start neither waits for it nor fails, a reader neither; and what a start moved away is reported, however often starts are killed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { openRegular } from '../../../src/host/machine/regular-file.js';
import { carryOutSlowly } from '../../../src/journal/files/keeper.js';
import { readPolicyText } from '../../../src/journal/files/kept-policies.js';
import { OpenSegment } from '../../../src/journal/files/open-segment.js';
import { openSegmentReader, readIn } from '../../../src/journal/files/segments.js';
import { findTrail, firstSeqOf, readLines, readPieces } from '../../../src/journal/files/trail.js';
import { faultsOf, type Place, placeFor, restart, startRun, stop, write } from './forged-run.js';
import { admission, completion, openFor } from './opening.js';
import { readWhole, temporaryDirectory } from './reading.js';

const first = '00000001.jsonl';
const second = '00000002.jsonl';

function fifo(directory: string, name: string): void {
  execFileSync('mkfifo', ['-m', '0600', join(directory, name)]);
}

function stopped(place: Place): Place {
  const run = startRun(place);
  write(run, admission('A'), completion('A'));
  stop(run);
  return place;
}

const startsOf = ({ directory }: Place) => readWhole(directory).filter(({ event }) => event === 'start');

function folder(directory: string, name: string): void {
  mkdirSync(join(directory, name));
  writeFileSync(join(directory, name, 'file'), 'x');
}

const kinds: readonly (readonly [string, (directory: string, name: string) => void])[] = [
  ['a FIFO', fifo],
  ['a link to an endless file', (directory, name) => symlinkSync('/dev/zero', join(directory, name))],
  ['a directory', folder],
];

const beside =
  'checkpoint.json checkpoint.json.new checkpoint-7.json key.pub key.pub.new shares.json ring.json reserve';
const always = [second, `${second}.gz`, ...beside.split(' ')];

for (const [kind, make] of kinds) {
  void test(`a start puts aside ${kind} that has a name of ours, and says so`, async (t) => {
    const place = stopped(placeFor(t));
    const names = kind === 'a directory' ? always : [...always, 'policies'];
    for (const name of names) {
      rmSync(join(place.directory, name), { force: true, recursive: true });
      make(place.directory, name);
    }
    const run = startRun(place);
    assert.match(run.found.appended?.file ?? '', /\.appended$/);
    write(run, admission('B'), completion('B'));
    stop(run);
    const aside = readdirSync(place.directory).filter((name) => name.endsWith('.appended'));
    assert.deepEqual(aside.toSorted(), names.map((name) => `${name}.appended`).toSorted());
    const files = readdirSync(place.directory).filter((name) => !name.endsWith('.appended'));
    assert.ok(files.every((name) => name === 'policies' || lstatSync(join(place.directory, name)).isFile()));
    assert.match(String(startsOf(place).at(-1)?.['error']), /journal-appended/);
    assert.deepEqual(await faultsOf(place), ['journal-appended']);
  });
}

void test('what has the name of the next segment is put aside when the journal heals, and the next start reports it', async (t) => {
  const directory = temporaryDirectory(t);
  const more = { segmentBytes: 8192 };
  const { journal, seen } = await openFor(t, directory, more);
  fifo(directory, second);
  const isThere = () => existsSync(join(directory, `${second}.appended.new`));
  for (let count = 0; !isThere(); count += 1) {
    await journal.appendDurable(admission(`E${count}`)).catch(() => undefined);
    await journal.appendDurable(completion(`E${count}`)).catch(() => undefined);
  }
  await seen('writable');
  await journal.appendDurable(admission('Z'));
  await journal.close();
  const again = await openFor(t, directory, more);
  assert.deepEqual(again.journal.found.appended?.file, `${second}.appended`);
  await again.journal.close();
});

void test('a number with too many zeros is no segment', async (t) => {
  const place = stopped(placeFor(t));
  writeFileSync(join(place.directory, `0${second}`), 'x');
  writeFileSync(join(place.directory, `0${second}.gz`), 'x');
  assert.equal(restart(place).appended, undefined);
  assert.deepEqual(await faultsOf(place), []);
});

// bounds.plainSegmentBytes, bounds.besideFileBytes
void test('an endless file is cut, put aside, or not read', (t) => {
  const place = stopped(placeFor(t));
  const path = join(place.directory, first);
  const bytes = readFileSync(path);
  truncateSync(path, 2 ** 42);
  writeFileSync(join(place.directory, `${second}.gz`), 'x');
  truncateSync(join(place.directory, `${second}.gz`), 2 ** 42);
  for (const name of ['checkpoint.json', 'checkpoint-9.json', 'shares.json', 'key.pub', 'ring.json']) {
    writeFileSync(join(place.directory, name), 'x');
    truncateSync(join(place.directory, name), 2 ** 40);
  }
  const { appended, damage } = restart(place, { plainBytesMax: 1 << 20 });
  // Of the file: what was cut off, and what was moved.
  assert.deepEqual([appended?.bytes, damage], [2 ** 42 * 2 - bytes.length, undefined]);
  assert.ok(readFileSync(path).subarray(0, bytes.length).equals(bytes));
  assert.ok(statSync(path).size < 1 << 20);
  assert.ok(!existsSync(join(place.directory, `${second}.gz`)));
  assert.equal(statSync(join(place.directory, `${second}.gz.appended`)).size, 2 ** 42);
  assert.equal(readIn(place.directory, 'checkpoint-9.json'), undefined);
  assert.equal(bounds.besideFileBytes, 16 << 20);
});

void test('a reader reads no FIFO, no link, and no endless file', async (t) => {
  const directory = temporaryDirectory(t);
  fifo(directory, first);
  symlinkSync('/dev/zero', join(directory, second));
  writeFileSync(join(directory, '00000003.jsonl'), 'x');
  truncateSync(join(directory, '00000003.jsonl'), bounds.plainSegmentBytes + 1);
  fifo(directory, '00000004.jsonl.gz');
  const { files } = findTrail([directory]);
  assert.equal(files.length, 4);
  for (const file of files) {
    assert.equal(await firstSeqOf(file), undefined);
    await assert.rejects(readPieces(file).next(), { code: /^(EFTYPE|EFBIG)$/ }, file.name);
    const { name, isCompressed } = file;
    const opened = openSegmentReader(directory, { number: Number.parseInt(name, 10), name, isCompressed });
    await assert.rejects(opened, { code: /^(EFTYPE|EFBIG)$/ }, file.name);
  }
  mkdirSync(join(directory, 'policies'));
  fifo(join(directory, 'policies'), `${'a'.repeat(64)}.yaml`);
  assert.equal(readPolicyText(directory, 'a'.repeat(64)), undefined);
  fifo(directory, 'checkpoint.json');
  assert.throws(() => findTrail([directory]), { code: 'unreadable' });
});

void test('the lines of an endless file end where the longest segment does', (t) => {
  const path = join(temporaryDirectory(t), first);
  writeFileSync(path, 'a line\n');
  truncateSync(path, 2 ** 42);
  const descriptor = openRegular(path);
  const whole: boolean[] = [];
  const end = readLines(descriptor, 0, ({ isWhole }) => whole.push(isWhole) > 0);
  closeSync(descriptor);
  assert.deepEqual(whole, [true, false]);
  assert.ok(end <= bounds.plainSegmentBytes + (1 << 20), String(end));
});

void test('the reserve is never the file that a link leads to', (t) => {
  const directory = temporaryDirectory(t);
  const outside = join(temporaryDirectory(t), 'key');
  writeFileSync(outside, 'secret');
  symlinkSync(outside, join(directory, 'reserve'));
  const open = new OpenSegment(directory, 16);
  assert.equal(open.release(Object.assign(new Error('full'), { code: 'ENOSPC' })), false);
  assert.equal(carryOutSlowly(directory, { do: 'fill-reserve', bytes: 4096 }).kind, 'failed');
  assert.equal(readFileSync(outside, 'utf8'), 'secret');
});
