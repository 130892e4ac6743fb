import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { CommandFault, formatFault } from '../../../src/host/output/output.js';
import { createProgress, type Output, openScreen } from '../../../src/host/output/screen.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

/** Keeps what is written; `code`: every write ends in that error of the system. */
function output(columns?: number, code?: string): Output & { readonly texts: string[] } {
  const texts: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write(text: string, _encoding, done) {
      if (code === undefined) texts.push(text);
      done(code === undefined ? null : Object.assign(new Error('refused'), { code }));
    },
  });
  stream.on('error', () => undefined);
  return Object.assign(stream, { texts }, columns === undefined ? {} : { isTTY: true, columns });
}

void test('colours are for a terminal, and not for one that wants none', () => {
  const cases: [number | undefined, NodeJS.ProcessEnv, boolean][] = [
    [80, {}, true],
    [80, { NO_COLOR: '' }, true],
    [80, { NO_COLOR: '1' }, false],
    [80, { TERM: 'dumb' }, false],
    [undefined, {}, false],
    [undefined, { FORCE_COLOR: '1' }, false],
  ];
  for (const [columns, environment, isPainted] of cases) {
    const screen = openScreen(output(columns), output(), environment);
    assert.equal(screen.paint('bad', 'x') !== 'x', isPainted, JSON.stringify([columns, environment]));
    assert.equal(screen.columns, columns);
  }
});

void test('much text leaves in large pieces, and all of it', async () => {
  const out = output();
  const screen = openScreen(out, output(), {});
  for (let count = 0; count < 50_000; count += 1) await screen.print(`line ${count}`);
  await screen.flush();
  assert.ok(out.texts.length > 5 && out.texts.length < 20, `${out.texts.length} writes`);
  assert.equal(out.texts.join('').split('\n').length, 50_001);
});

void test('a reader that went away, or a full disk, is known', async () => {
  for (const code of ['EPIPE', 'ENOSPC']) {
    const screen = openScreen(output(undefined, code), output(), {});
    await screen.print('x');
    assert.equal(screen.isGone, false);
    await screen.flush();
    assert.equal(screen.isGone, true);
    await screen.print('x'.repeat(100_000));
  }
});

void test('what takes long is shown, now and then, and taken away', async () => {
  const clock = createFakeClock();
  const texts: string[] = [];
  const progress = createProgress(clock, (text) => texts.push(text));
  progress.received(100);
  await clock.advance(1_900);
  progress.received(100);
  assert.deepEqual(texts, [], 'not at once');
  await clock.advance(200);
  progress.row();
  progress.sent(3 * 1024 * 1024);
  progress.received(1_848);
  await clock.advance(600);
  progress.received(1);
  progress.clear();
  progress.clear();
  assert.deepEqual(texts, [
    '\r\x1b[K3 MiB sent, 200 bytes, 1 rows, 2 s',
    '\r\x1b[K3 MiB sent, 2 KiB, 1 rows, 3 s',
    '\r\x1b[K',
  ]);
});

void test('a fault is told with what the system said, line by line, and commands no terminal', () => {
  const cause = Object.assign(new Error('no such file'), { code: 'ENOENT' });
  assert.equal(
    formatFault(new CommandFault(78, 'a\u001b[2J cannot be read', cause)),
    'a\\x1b[2J cannot be read: there is no such file or directory',
  );
  assert.equal(formatFault(new CommandFault(64, 'one\ntwo')), 'one\ntwo');
});
