// Starts on a restored or damaged journal: an older copy beside a later ring of records, a lost newest segment, a `state` directory whose
// group does not include the daemon. The start overwrites nothing and reports what is missing.
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runEndName } from '../../../src/journal/files/kept-end.js';
import { kill, type Place, placeFor, restart, startRun, stop, write } from './forged-run.js';
import { admission, completion } from './opening.js';
import { readWhole, segmentFiles } from './reading.js';

function lastStart({ directory }: Place): Readonly<Record<string, unknown>> {
  return readWhole(directory).findLast(({ event }) => event === 'start') ?? {};
}

/** Directory and state as they are now; called, it puts them back. */
function backup(place: Place): () => void {
  const places = [place.directory, place.state];
  for (const path of places) cpSync(path, `${path}-copy`, { recursive: true });
  return () => {
    for (const path of places) {
      rmSync(path, { recursive: true });
      renameSync(`${path}-copy`, path);
    }
  };
}

void test('the copy of the last checkpoint in state is ours alone, whatever group state has', (t) => {
  const place = placeFor(t);
  chmodSync(place.state, 0o755);
  // Only root may give it away; another user has the mode to show for it.
  if (process.geteuid?.() === 0) chownSync(place.state, 0, 54_321);
  const run = startRun(place);
  write(run, admission('A'), completion('A'));
  stop(run);
  const { mode, gid } = statSync(join(place.state, runEndName));
  assert.equal(mode & 0o7777, 0o600);
  assert.equal(gid, process.getegid?.());
});

void test('a completion in the ring whose admission is not in an older copy: records are lost, and the start says so', (t) => {
  const place = placeFor(t);
  const run = startRun(place, { hasRing: true });
  write(run, admission('A'), completion('A'));
  const restore = backup(place);
  write(run, admission('B'));
  run.publish(completion('B'));
  kill(run);
  restore();
  assert.match(restart(place, { hasRing: true }).ring ?? '', /the admission of B is missing/);
  const { ring, lost } = lastStart(place);
  assert.deepEqual([ring, lost], ['damaged', 'unknown']);
});

void test('a ring that follows its journal lacks nothing, though a completion in it has its admission there', (t) => {
  const place = placeFor(t);
  const run = startRun(place, { hasRing: true });
  write(run, admission('A'));
  run.publish(completion('A'), admission('B'), completion('B'));
  kill(run);
  const found = restart(place, { hasRing: true });
  assert.deepEqual([found.recovered, found.ring], [3, undefined]);
  const { ring, lost } = lastStart(place);
  assert.deepEqual([ring, lost], [undefined, undefined]);
});

void test('the name of a newest segment that is lost is not used again: it can be put back', (t) => {
  for (const isFull of [true, false]) {
    const place = placeFor(t);
    const run = startRun(place, { segmentBytes: 4096 });
    for (let count = 0; segmentFiles(place.directory).length < 3; count += 1)
      write(run, admission(`E${count}`), completion(`E${count}`));
    stop(run);
    const [newest = ''] = segmentFiles(place.directory).slice(-1);
    const away = `${place.directory}-${newest}`;
    renameSync(join(place.directory, newest), away);
    // The one before is full, or has room for more.
    const next = startRun(place, { segmentBytes: isFull ? 4096 : 1 << 20 });
    assert.equal(next.found.damage, 'cut');
    write(next, admission('NEW'), completion('NEW'));
    stop(next);
    assert.equal(existsSync(join(place.directory, newest)), false);
    assert.deepEqual(segmentFiles(place.directory).slice(-1), ['00000004.jsonl']);
    assert.match(readFileSync(join(place.directory, '00000004.jsonl'), 'utf8'), /"id":"NEW"/);
  }
});
