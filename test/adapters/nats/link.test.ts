import assert from 'node:assert/strict';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openFolder } from '../../kit/folder.js';
import { runProgram } from '../../kit/program.js';

test('without the optional package the module loads, and the first link says what to install', async (t) => {
  const folder = openFolder(t);
  const built = fileURLToPath(new URL('../../../src/', import.meta.url));
  // Away from any node_modules: what the link needs and nothing else.
  for (const part of ['adapters/nats', 'adapters/host', 'bounds', 'domain', 'ports']) {
    cpSync(join(built, part), join(folder, part), { recursive: true });
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const link = pathToFileURL(join(folder, 'adapters/nats/link.js')).href;
  const script = `const { openNats } = await import(${JSON.stringify(link)});
    const settings = { servers: [{ host: '127.0.0.1', port: 4222 }], name: 'test' };
    console.log(await openNats(settings).catch(({ name, code, message }) => JSON.stringify({ name, code, message })));`;
  const { text, exit } = await runProgram(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal(exit, 0, text);
  const { name, code, message } = JSON.parse(text);
  assert.deepEqual([name, code], ['NatsFault', 'library-missing']);
  assert.match(message, /npm install @nats-io\/transport-node/);
});
