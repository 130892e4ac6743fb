// Goal: the state of a bulk run tells the truth after a crash at any instant: every cut of it is read, a user that may have been sent is
// never free again, and a file that is something else is refused and left alone.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openRunState, type RunHeader, readState } from '../../../src/client/bulk/run-state.js';
import { CommandFault } from '../../../src/host/output/output.js';
import { openFolder } from '../../kit/plain/folder.js';
import { withSmallDisk } from '../../kit/plain/small-disk.js';

const header: RunHeader = { id: `bulk-${'0a'.repeat(8)}`, hash: 'ab'.repeat(32), realm: 'example.org' };
const first = `dovegate-bulk 1 ${header.id} ${header.hash} ${header.realm}`;
const lines = [
  first,
  '> 1 alice@example.org',
  '> 2 bob@example.org',
  '+ 1',
  '> 3 carol@example.org',
  '- 2 NOUSER',
  '= 3',
  '> 4 carol@example.org',
  '> 5 é ünï@example.org',
  '? 5',
];
const text = `${lines.join('\n')}\n`;
const code = (exitCode: number) => (fault: unknown) =>
  fault instanceof CommandFault && fault.exitCode === exitCode;

void test('what a state says', () => {
  const { ended, open, count, bytes, header: read } = readState(text, 'x');
  assert.deepEqual(read, header);
  const known = { 'alice@example.org': 'ok', 'bob@example.org': 'failed', 'é ünï@example.org': 'unknown' };
  assert.deepEqual([...ended], Object.entries(known));
  assert.deepEqual([...open], [[4, 'carol@example.org']]);
  assert.deepEqual([count, bytes], [5, Buffer.byteLength(text)]);
});

void test('every cut is read, and frees nobody whose begin is whole and whose end is not', () => {
  const bytes = Buffer.from(text);
  for (let end = 0; end <= bytes.length; end += 1) {
    const whole = bytes.subarray(0, end).toString('latin1').split('\n').length - 1;
    const tails = ['', '\0\0\0', '\0\0\n\0\n'].map((tail) => Buffer.from(tail));
    for (const tail of tails) {
      // Behind the header only: a file of garbage is nobody's state.
      if (tail.length > 0 && whole === 0) continue;
      const cut = Buffer.concat([bytes.subarray(0, end), tail]).toString();
      const { ended, open, header: read } = readState(cut, 'x');
      assert.equal(read !== undefined, whole > 0 || cut.startsWith(`${first}\n`), cut);
      const taken = new Map<string, string>();
      for (const line of lines.slice(1, whole)) {
        const [mark = '', number = '', ...name] = line.split(' ');
        if (mark === '>') taken.set(number, name.join(' '));
        else if (mark === '=') taken.delete(number);
      }
      const known = [...ended.keys(), ...open.values()];
      for (const user of taken.values())
        assert.ok(known.includes(user), `${user} is free after ${JSON.stringify(cut)}`);
    }
  }
});

void test('a file that was changed is refused, and so is one that is something else', () => {
  const changed = [
    text.replace('+ 1', '+ 9'),
    text.replace('> 3', '> 7'),
    text.replace('= 3', '+ 3'),
    text.replace('> 2 bob', '> 2 alice'),
    text.replace('- 2 NOUSER\n', ''),
    text.replace('> 1 alice@example.org\n', ''),
    text.replace('+ 1', 'x'),
    text.replace('+ 1', '\0'),
    // A byte that is no UTF-8: another name than the one that was sent, which would be free.
    text.replace('1 alice', '1 al\ufffdce'),
    'notes\n',
    'notes',
    '\n',
    `${first.replace(' 1 ', ' 2 ')}\n`,
    `${first.slice(0, -14)}\n`,
  ];
  // The one without a failure of bob lets only him be open.
  for (const one of changed) {
    if (one === changed[4])
      assert.deepEqual([...readState(one, 'x').open.values()], ['bob@example.org', 'carol@example.org']);
    else assert.throws(() => readState(one, 'x'), code(65), one);
  }
});

void test('a file is made for its owner, goes on where it was, and is locked', async (t) => {
  const path = join(openFolder(t), 'run');
  const state = await openRunState(path, true);
  await state.adopt(header);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await assert.rejects(openRunState(path, true), code(75));
  const numbers = await Promise.all(['a', 'b', 'c'].map((name) => state.begin(name)));
  assert.deepEqual(numbers, [1, 2, 3]);
  // On disk when begin resolves.
  assert.equal(readFileSync(path, 'utf8'), `${first}\n> 1 a\n> 2 b\n> 3 c\n`);
  state.end(1, 'ok');
  state.end(2, 'failed', '+BAD\n> 9 x');
  await state.close();
  writeFileSync(path, `${readFileSync(path, 'utf8')}+ 3`);
  const next = await openRunState(path, false);
  await next.adopt(header);
  assert.deepEqual([...next.read.open], [[3, 'c']]);
  assert.equal(await next.begin('d'), 4);
  next.end(4, 'released');
  await next.close();
  assert.equal(readFileSync(path, 'utf8'), `${first}\n> 1 a\n> 2 b\n> 3 c\n+ 1\n- 2 UNKNOWN\n> 4 d\n= 4\n`);
  const other = await openRunState(path, true);
  const before = readFileSync(path, 'utf8');
  for (const wrong of [
    { ...header, hash: 'cd'.repeat(32) },
    { ...header, realm: '' },
    { ...header, id: 'x' },
  ])
    await assert.rejects(other.adopt(wrong), code(65));
  await other.close();
  assert.equal(readFileSync(path, 'utf8'), before);
});

void test('begins and ends of many workers at once are all written', { timeout: 60_000 }, async (t) => {
  const path = join(openFolder(t), 'run');
  for (const isSynced of [true, false]) {
    const state = await openRunState(`${path}${isSynced}`, isSynced);
    await state.adopt(header);
    await Promise.all(
      Array.from({ length: 16 }, async (_, worker) => {
        for (let turn = 0; turn < 40; turn += 1) {
          const number = await state.begin(`u${worker}.${turn}`);
          // Different numbers of turns of the queue of promises, so that some come just when a write is over.
          for (let wait = 0; wait < (worker + turn) % 5; wait += 1) await Promise.resolve();
          state.end(number, 'ok');
        }
      }),
    );
    await state.close();
    const { ended, open, count } = readState(readFileSync(`${path}${isSynced}`, 'utf8'), path);
    assert.deepEqual([ended.size, open.size, count], [640, 0, 640]);
  }
});

void test('a link, a file that others may change or that has two names, and a folder are refused', async (t) => {
  const folder = openFolder(t);
  const target = join(folder, 'target');
  writeFileSync(target, '');
  symlinkSync(target, join(folder, 'link'));
  linkSync(target, join(folder, 'twin'));
  const open = join(folder, 'open');
  writeFileSync(open, '');
  chmodSync(open, 0o620);
  const foreign = join(folder, 'foreign');
  writeFileSync(foreign, '');
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) chownSync(foreign, 1, 1);
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  const names = ['link', 'twin', 'open', '.', 'none/x', 'pipe', ...(isRoot ? ['foreign'] : [])];
  for (const path of names.map((name) => join(folder, name)))
    await assert.rejects(openRunState(path, true), code(73), path);
});

void test('a device is no state', async () => {
  await assert.rejects(openRunState('/dev/full', true), code(73));
});

void test('where the disk is full, no begin is promised any more, and what was written stays', async (t) => {
  const isMounted = await withSmallDisk('tmpfs', async (place) => {
    const path = join(place, 'run');
    const state = await openRunState(path, true);
    await state.adopt(header);
    assert.equal(await state.begin('first'), 1);
    writeFileSync(join(place, 'rest'), Buffer.alloc(4096));
    assert.throws(() => appendFileSync(join(place, 'rest'), Buffer.alloc(4 << 20)), { code: 'ENOSPC' });
    // The last page of the file has some room.
    const names = Array.from({ length: 400 }, (_, at) => `${'x'.repeat(100)}${at}`);
    const begun = await Promise.allSettled(names.map((name) => state.begin(name)));
    assert.ok(begun.some(({ status }) => status === 'rejected'));
    state.end(1, 'ok');
    await assert.rejects(state.begin('late'), code(74));
    await assert.rejects(state.close(), code(74));
    const { open } = readState(readFileSync(path, 'utf8'), path);
    assert.equal(open.get(1), 'first');
    for (const [at, { status }] of begun.entries())
      if (status === 'fulfilled') assert.ok([...open.values()].includes(names[at] ?? ''));
  });
  if (!isMounted) t.skip('no file system can be mounted here');
});

void test('a disk that is full in the middle: whoever may be sent stands in the file, and nobody else may', async () => {
  await withSmallDisk('tmpfs', async (place) => {
    const path = join(place, 'run');
    const state = await openRunState(path, true);
    await state.adopt(header);
    const sent: string[] = [];
    const names = Array.from({ length: 20_000 }, (_none, at) => `${'x'.repeat(250)}${at}@example.org`);
    for (let at = 0; at < names.length; at += 100) {
      const some = names.slice(at, at + 100);
      const begun = await Promise.allSettled(some.map((name) => state.begin(name)));
      sent.push(...some.filter((_name, which) => begun[which]?.status === 'fulfilled'));
    }
    assert.ok(sent.length > 0 && sent.length < names.length);
    await assert.rejects(state.begin('late@example.org'), code(74));
    await assert.rejects(state.close(), code(74));
    const known = new Set(readState(readFileSync(path, 'utf8'), path).open.values());
    assert.ok(sent.every((name) => known.has(name)));
  });
});

void test('a state that is far too long is not read', async (t) => {
  const path = join(openFolder(t), 'state');
  writeFileSync(path, '', { mode: 0o600 });
  truncateSync(path, 512 * 1024 ** 2 + 1);
  await assert.rejects(openRunState(path, false), code(65));
});
