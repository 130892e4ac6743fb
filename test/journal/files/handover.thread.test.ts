// The writer's thread: found wherever the program lies, and one answer for every order also when it dies.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { systemClock } from '../../../src/host/machine/clock.js';
import { WriterThread } from '../../../src/journal/files/handover.js';
import { projectRoot } from '../../kit/plain/root.js';
import { eventsIn, temporaryDirectory } from './reading.js';

const sources = fileURLToPath(new URL('build/src', projectRoot));

function optionsIn(directory: string) {
  const files = {
    directory,
    segmentBytes: 65_536,
    reserveBytes: 0,
    memory: { path: undefined, bytes: 65_536 },
  };
  return { ...files, program: 'p', catalog: '', signKey: undefined };
}

void test('the thread is found beside the journal, under any path', (t) => {
  const parent = temporaryDirectory(t);
  const place = join(parent, 'a path #1 with %41 and é?');
  mkdirSync(place);
  cpSync(sources, join(place, 'dist'), { recursive: true });
  cpSync(join(sources, '..', '..', 'package.json'), join(place, 'package.json'));
  const url = (file: string) => JSON.stringify(pathToFileURL(join(place, 'dist', file)).href);
  const program = `
    const { openJournal } = await import(${url('journal/files/journal.js')});
    const { systemClock } = await import(${url('host/machine/clock.js')});
    const journal = await openJournal({
      directory: ${JSON.stringify(join(parent, 'audit'))}, segmentBytes: 65536, program: 'p', catalog: '',
      clock: systemClock, lock: () => true, deadlineMs: 60_000, memory: { bytes: 65536 }, map() {}, observe() {},
      checkpointIntervalMs: 1e6, openDeadlineMs: 1e6, lookIntervalMs: 1e6, tendIntervalMs: 1e6, reserveBytes: 0,
      limits: () => ({ keepMs: Infinity, sizeMax: { bytes: Infinity }, unshippedBytesMax: 0 }),
    });
    await journal.appendDurable({ time: 0, event: 'reload' });
    await journal.close();
  `;
  const done = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  assert.equal(done.stderr, '');
  assert.equal(done.status, 0, 'and the process ends by itself once the journal is closed');
  assert.deepEqual(eventsIn(join(parent, 'audit')), ['start', 'reload', 'stop']);
});

void test('an order to a thread that ends is answered', async (t) => {
  const directory = temporaryDirectory(t);
  const thread = new WriterThread(optionsIn(directory), systemClock);
  const report = thread.ask({ do: 'open', lock: undefined, wallMs: 0 });
  void thread.end();
  // It may have answered before the end reached it.
  assert.ok(['failed', 'lock'].includes((await report).kind));
  await thread.end();
  assert.equal(thread.isAlive, false);
  const late = await thread.ask({ do: 'stop', behind: 0, wallMs: 0 });
  assert.equal(late.kind === 'failed' && late.code, 'writer-died');
});

void test('a thread that cannot even begin is a failed one', async () => {
  // No path at all: the first thing that it does throws.
  const directory: string = JSON.parse('{"a":1}');
  const thread = new WriterThread(optionsIn(directory), systemClock);
  const report = await thread.ask({ do: 'open', lock: undefined, wallMs: 0 });
  assert.equal(report.kind, 'failed');
  await thread.end();
});
