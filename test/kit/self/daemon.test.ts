// The daemon starter against a small stand-in program: a secret is found in every form.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startDaemon } from '../gate/daemon.js';
import { openFolder } from '../plain/folder.js';

const greeting = `console.log(JSON.stringify({ level: 'info', event: 'started', argv: process.argv.slice(2) }));`;

void test('finds a secret in every form, but not in the files that were given', async (t) => {
  const secret = 'hunter/2 "ü"';
  const folder = openFolder(t);
  const code = `console.log('x' + ${JSON.stringify(JSON.stringify(secret))}); ${greeting} setInterval(() => {}, 1000);`;
  const daemon = await startDaemon(t, {
    config: 'version: 1\n',
    folder,
    program: join(folder, 'stand-in.mjs'),
    files: { password: secret, 'stand-in.mjs': code },
  });
  for (const offset of [0, 1, 2]) {
    const text = `${'.'.repeat(offset)}${secret} and more`;
    writeFileSync(daemon.path(`base64-${offset}`), Buffer.from(text).toString('base64'));
  }
  writeFileSync(daemon.path('hex'), Buffer.from(secret).toString('hex'));
  writeFileSync(daemon.path('squeezed.gz'), gzipSync(`... ${secret}`));
  writeFileSync(daemon.path('clean'), 'nothing here');
  await daemon.stop();
  const found = daemon.grepSecrets([secret, 'absent']).toSorted();
  const places = ['base64-0', 'base64-1', 'base64-2', 'hex', 'output', 'squeezed.gz'];
  assert.deepEqual(
    found,
    places.map((place) => `${place}: ${secret}`),
  );
});
