// Goal: answers of a terminal, also when they are pasted before their questions; the end of the input gives up. What must not happen: a
// wait without an end, a hidden answer that is shown.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { openInterview } from '../../../src/gate/begin/interview.js';
import { CommandFault } from '../../../src/host/output/output.js';

function open() {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const interview = openInterview(input, output);
  // All of it: from Node 26 on, `read` gives one piece.
  const shown = (): string => {
    const pieces: unknown[] = [];
    for (let piece: unknown = output.read(); piece !== null; piece = output.read()) pieces.push(piece);
    return pieces.join('');
  };
  return { input, interview, shown };
}

void test('lines one by one, and lines that come before their question', async () => {
  const { input, interview } = open();
  const first = interview.ask('one? ');
  input.write('  a b \rsecond\rthird\r');
  assert.equal(await first, 'a b');
  assert.equal(await interview.ask('two? '), 'second');
  assert.equal(await interview.ask('three? '), 'third');
  interview.close();
});

void test('a hidden answer is not shown', async () => {
  const { input, interview, shown } = open();
  const asked = interview.askHidden('password? ');
  input.write('Quail7+Tundra\r');
  assert.equal(await asked, 'Quail7+Tundra');
  const next = interview.ask('next? ');
  input.write('seen\r');
  assert.equal(await next, 'seen');
  interview.close();
  const all = shown();
  assert.ok(all.includes('password? ') && all.includes('seen'), all);
  assert.ok(!all.includes('Quail'), all);
});

void test('the end of the input, and Ctrl-C, give up', async () => {
  const givenUp = (fault: unknown): boolean =>
    fault instanceof CommandFault && /given up/.test(fault.message);
  const ended = open();
  const waiting = assert.rejects(ended.interview.ask('one? '), givenUp);
  ended.input.end();
  await waiting;
  await assert.rejects(ended.interview.ask('two? '), givenUp);
  const stopped = open();
  const interrupted = assert.rejects(stopped.interview.ask('one? '), givenUp);
  stopped.input.write('half\u0003');
  await interrupted;
});
