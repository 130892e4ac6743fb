// Goal: a reply of any size goes through the library in constant memory, row by row and piece by piece, and so does a text on its way up,
// in long lines and short ones. The client is a process of its own.
// What must not happen: memory that grows with the reply or the text.
//
// 128 MiB of reply and of text; DOVEGATE_ROUNDS=8 makes them 1 GiB.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ScriptedConnection } from '../../kit/gate/script.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import { type ProgramResult, runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';

const library = fileURLToPath(new URL('dist/client/connect.js', projectRoot));
const replyBytes = 128 * 1024 * 1024 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
/** Above what a client that has read a little needs. */
const growthMaxMiB = 64;

const row = `${'m'.repeat(60)}\t${'1'.repeat(7)}\t${'x'.repeat(59)}\t`;
const block = Buffer.from(row.repeat(512));

const begin = `
import { connect } from ${JSON.stringify(library)};
const session = await connect({ socket: process.argv[2] });
const command = { user: 'alice@example.org', name: 'fetch', columns: 3 };
let startMiB = 0;
let mostMiB = 0;
const look = () => {
  mostMiB = Math.max(mostMiB, process.memoryUsage.rss() / 1048576);
};
const settled = () => {
  startMiB = process.memoryUsage.rss() / 1048576;
};
const tell = (value) => console.log(JSON.stringify({ ...value, growthMiB: mostMiB - startMiB }));
`;

/** Programs, each with what is left to say. */
const programs = {
  rows: `
let rows = 0;
for await (const row of session.stream(command)) {
  rows += 1;
  if (rows === 100_000) settled();
  if (rows % 10_000 === 0) look();
}
await session.close();
tell({ rows });`,
  pieces: `
let bytes = 0;
let pieces = 0;
for await (const piece of session.cells(command)) {
  bytes += piece.bytes.length;
  pieces += 1;
  if (pieces === 100_000) settled();
  if (pieces % 10_000 === 0) look();
}
await session.close();
tell({ bytes });`,
  upload: `
const bytes = ${replyBytes};
const parts = ['${'words '.repeat(11)}\\n'.repeat(977), 'y'.repeat(65_536)].map((part) => Buffer.from(part));
const input = async function* () {
  for (let sent = 0, at = 0; sent < bytes; at += 1) {
    const part = parts[(at >> 6) & 1];
    sent += part.length;
    yield part;
    if (at === 300) settled();
    if (at % 100 === 0) look();
  }
};
const startedMs = performance.now();
await session.run({ ...command, name: 'save', input: input() });
look();
await session.close();
tell({ seconds: (performance.now() - startedMs) / 1000 });`,
} as const;

const textEnd = Buffer.from('\r\n.\r\n');

type Run = (program: keyof typeof programs) => Promise<ProgramResult>;

/** A server, and a way to run one of the programs as its client. */
async function openSetting(owner: Owner): Promise<Run> {
  const folder = openFolder(owner);
  const socket = join(folder, 's');
  const server = await openScriptedDovecot({
    unix: socket,
    minor: 3,
    async script({ fields }, connection) {
      if (fields[0] === 'save') return takeText(connection);
      for (let sent = 0; sent < replyBytes; sent += block.length) await connection.body(block);
      await connection.status('+');
    },
  });
  owner.after(() => server.close());
  return (name) => {
    const file = join(folder, `${name}.mjs`);
    writeFileSync(file, begin + programs[name]);
    return runProgram(process.execPath, [file, socket], { timeoutMs: 600_000 });
  };
}

/** Of a size that nobody keeps. */
async function takeText(connection: ScriptedConnection): Promise<void> {
  let end = Buffer.alloc(0);
  while (!end.equals(textEnd)) {
    const some = await connection.readSome();
    if (some === null) return;
    end = Buffer.concat([end, some]).subarray(-textEnd.length);
  }
  await connection.status('+');
}

function told({ stdout, stderr }: ProgramResult): Readonly<Record<string, unknown>> {
  assert.equal(stderr, '');
  const found: unknown = JSON.parse(stdout.toString());
  assert.ok(typeof found === 'object' && found !== null);
  return { ...found };
}

const blocks = Math.ceil(replyBytes / block.length);

for (const [name, key, wanted] of [
  ['rows', 'rows', blocks * 512],
  ['pieces', 'bytes', blocks * (block.length - 512 * 3)],
] as const) {
  test(`${name} of ${replyBytes / 1024 ** 2} MiB, in constant memory`, async (t) => {
    const run = await openSetting(t);
    const found = told(await run(name));
    t.diagnostic(JSON.stringify(found));
    assert.equal(found[key], wanted);
    assert.ok(Number(found['growthMiB']) < growthMaxMiB, JSON.stringify(found));
  });
}

test(`a text of ${replyBytes / 1024 ** 2} MiB, in constant memory`, async (t) => {
  const run = await openSetting(t);
  const found = told(await run('upload'));
  t.diagnostic(JSON.stringify(found));
  assert.ok(Number(found['growthMiB']) < growthMaxMiB, JSON.stringify(found));
});
