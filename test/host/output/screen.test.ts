import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { CommandFault, formatFault } from '../../../src/host/output/output.js';
import { type Output, openScreen } from '../../../src/host/output/screen.js';

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

void test('a fault is told with what the system said, line by line, and commands no terminal', () => {
  const cause = Object.assign(new Error('no such file'), { code: 'ENOENT' });
  const shown = 'a\\x1b[2J cannot be read: there is no such file or directory';
  assert.equal(formatFault(new CommandFault(78, 'a\u001b[2J cannot be read', cause)), shown);
  assert.equal(formatFault(new CommandFault(64, 'one\ntwo')), 'one\ntwo');
});
