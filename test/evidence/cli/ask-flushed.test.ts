// The journal is read whatever the admin socket does; only a daemon that runs and does not confirm is reported.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { openStandIn } from '../../whole/cli/stand-in.js';

async function search(t: TestContext, answer: RequestListener | 'nothing' | 'closed'): Promise<string> {
  const folder = openFolder(t);
  const socket = join(folder, 'admin.sock');
  const directory = join(folder, 'audit');
  mkdirSync(directory);
  writeFileSync(join(directory, '00000001.jsonl'), '');
  const config = join(folder, 'dovegate.yaml');
  writeFileSync(config, `version: 1\nadmin: { unix: ${socket} }\naudit: { directory: ${directory} }\n`);
  if (answer === 'closed') writeFileSync(socket, '');
  if (typeof answer === 'function') await openStandIn(t, answer, folder);
  const { stderr } = await runWarm(['audit', 'search', '--config', config]);
  assert.match(stderr, /the journal holds no records/);
  return stderr;
}

const missing = /those of the last moment may be missing/;

test('without a daemon nothing is said', async (t) => {
  assert.doesNotMatch(await search(t, 'nothing'), missing);
  assert.doesNotMatch(await search(t, 'closed'), missing);
});

test('a daemon that confirms is asked once, by GET', async (t) => {
  const asked: string[] = [];
  const stderr = await search(t, ({ method, url }, response) => {
    asked.push(`${method} ${url}`);
    response.end('all records are on disk\n');
  });
  assert.doesNotMatch(stderr, missing);
  assert.deepEqual(asked, ['GET /flushed']);
});

test('one that cannot is reported with its reason', async (t) => {
  const refused = await search(t, (_, response) => response.writeHead(503).end('the disk is slow\n'));
  assert.match(refused, /\(the disk is slow\); those of the last moment may be missing/);
  const long = await search(t, (_, response) => response.writeHead(503).end('x'.repeat(100_000)));
  assert.ok(long.length < 1000 && missing.test(long), `${long.length} characters`);
});

test('one that does not answer is waited for a short time only', async (t) => {
  const stderr = await search(t, () => undefined);
  assert.match(stderr, new RegExp(`no whole answer within ${5000 / 1000} s`));
  assert.match(stderr, missing);
});
