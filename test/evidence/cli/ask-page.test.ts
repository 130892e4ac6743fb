// The answers of a daemon at its socket, as `audit --socket` reads them: rows are what they were, and what is no answer is refused.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { askPage } from '../../../src/evidence/cli/ask-page.js';
import { CommandFault } from '../../../src/host/output/output.js';

/** Answers each request with these lines. */
async function openDaemon(t: TestContext, ...lines: readonly unknown[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'dovegate-ask-page-'));
  const server = createServer((_, response) =>
    response.end(lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('')),
  );
  t.after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  const socket = join(folder, 'page.sock');
  await new Promise<void>((done) => server.listen(socket, done));
  return socket;
}

async function all<T>(rows: AsyncGenerator<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

const end = { end: { rows: 1 } };

void test('a row comes as it was sent: with what the client was told, and where its arguments are', async (t) => {
  const row = {
    fields: { id: 'A', outcome: 'failed', error: 'backend' },
    admittedSeq: 7,
    completedSeq: 9,
    completedTime: '2026-11-20T08:22:34.123Z',
    said: 'Mailbox is full',
    argumentSeqs: [8],
  };
  const socket = await openDaemon(t, { row, content: 'no' }, end);
  assert.deepEqual(await all(askPage(socket).rows('report', {})), [row]);
});

void test('a line of another form is no answer of dovegate', async (t) => {
  const lines = [
    'zuluq7',
    [],
    { row: 1 },
    { row: { fields: [] } },
    { row: { fields: {}, admittedSeq: -1 } },
    { found: { record: {}, file: 'x', line: '1' } },
    { end: 1 },
  ];
  for (const line of lines) {
    const socket = await openDaemon(t, line, end);
    const asked = all(askPage(socket).rows('search', {}));
    await assert.rejects(
      asked,
      (fault) => fault instanceof CommandFault && fault.exitCode === 69,
      JSON.stringify(line),
    );
  }
});

void test('who one is: a name, and roles that are texts', async (t) => {
  const me = { name: 'carol', roles: ['audit'], users: ['*@example.com'] };
  assert.deepEqual(await askPage(await openDaemon(t, me)).me(), me);
  assert.deepEqual(await askPage(await openDaemon(t, { name: 'bob', roles: [] })).me(), {
    name: 'bob',
    roles: [],
  });
  await assert.rejects(askPage(await openDaemon(t, { name: 'bob', roles: [1] })).me());
  await assert.rejects(askPage(await openDaemon(t, { roles: [] })).me());
});
