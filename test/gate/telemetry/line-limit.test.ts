// Goal: no line of the log can be caused without a bound. The table of codes is walked. What must not happen: a line that is neither
// written nor counted, a table that grows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LineLimit, type SuppressedLines } from '../../../src/gate/telemetry/line-limit.js';
import { type LogCode, logCodes } from '../../../src/gate/telemetry/log-codes.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { column } from '../../kit/plain/columns.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';

const linesMax = bounds.codeLines;
const codes = Object.keys(logCodes).filter((code): code is LogCode => Object.hasOwn(logCodes, code));

function open() {
  const clock = createFakeClock();
  const told: SuppressedLines[] = [];
  const limit = new LineLimit(clock, (lines) => void told.push(lines));
  const written = (code: LogCode, count: number, listener = 'support'): number => {
    let lines = 0;
    for (let n = 0; n < count; n += 1) if (limit.admit(code, 'warn', { listener })) lines += 1;
    return lines;
  };
  return { clock, told, limit, written };
}

// bounds.codeLines
void test('each code of the table: limited, with the number of the others', async () => {
  for (const code of codes) {
    const { clock, told, limit, written } = open();
    const lines = written(code, 1_000);
    await clock.advance(1_000);
    assert.equal(lines, linesMax, code);
    const source = { listener: 'support' };
    assert.deepEqual(told, [{ code, source, level: 'warn', count: 1_000 - linesMax }]);
    assert.deepEqual([...limit.suppressed], [[code, 1_000 - linesMax]]);
  }
});

void test('each second anew, each listener and each code by itself; a line belongs to one of them', async () => {
  const { clock, told, limit, written } = open();
  assert.equal(written('session-closed', 100), linesMax);
  assert.equal(written('session-closed', 100, 'jobs'), linesMax);
  assert.equal(written('denied', 100), linesMax);
  assert.ok(limit.admit('denied', 'warn', { backend: 'mail1' }));
  assert.ok(!limit.admit('denied', 'warn', { listener: 'support', backend: 'mail2' }));
  await clock.advance(1_000);
  assert.deepEqual(column(told, 'count'), [80, 80, 81]);
  assert.equal(written('session-closed', 100), linesMax);
  await clock.advance(1_000);
  assert.equal(told.length, 4);
  // No timer is left once there is nothing to be told.
  await clock.advance(2_000);
  assert.equal(clock.timers, 0);
});

void test('lines of level debug have a limit of their own', () => {
  const { limit } = open();
  let lines = 0;
  for (let n = 0; n < 3_000; n += 1)
    if (limit.admit('session-closed', 'debug', { listener: 'support' })) lines += 1;
  assert.equal(lines, 1_000);
});

void test('the log writes the bound and one line with the number, also where it ends within the second', async () => {
  const of = (path: string): string => fileURLToPath(new URL(`build/src/${path}.js`, projectRoot));
  const writer = `
const { createLog } = await import(${JSON.stringify(of('gate/telemetry/log'))});
const { systemClock } = await import(${JSON.stringify(of('host/machine/clock'))});
const log = createLog('info', 'program', systemClock);
const ended = { kind: 'session-closed', level: 'warn', listener: 'support', session: 's', reason: 'wire-fault', exchanges: 0 };
for (let n = 0; n < 3800; n += 1) log.observe(ended);
await log.flush();
`;
  const { text, exit } = await runProgram(process.execPath, ['--input-type=module', '-e', writer]);
  assert.equal(exit, 0, text);
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const closed = lines.filter(({ event }) => event === 'session-closed').length;
  const suppressed = lines.filter(({ event, type }) => event === 'suppressed' && type === 'session-closed');
  // A slow machine may take more than a second for them.
  assert.equal(closed, linesMax * suppressed.length);
  assert.ok(suppressed.every(({ level, listener }) => level === 'warn' && listener === 'support'));
  const sum = suppressed.reduce((all, { count }) => all + count, closed);
  assert.equal(sum, 3_800);
});
