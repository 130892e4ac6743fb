// Writes docs/messages.md and the table of log lines in docs/operations.md from the built program (`npm run build:test` first).
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatMessages, formatWarnings } from '../build/src/cli/messages.js';
import { root } from './setup.mjs';

const operations = join(root, 'docs', 'operations.md');
const page = join(root, 'docs', 'messages.md');
mkdirSync(join(root, 'docs'), { recursive: true });
writeFileSync(page, formatMessages());
writeFileSync(
  operations,
  readFileSync(operations, 'utf8').replace(
    /(<!-- codes -->\n\n).*?(\n*<!-- \/codes -->)/s,
    (_, before, after) => `${before}${formatWarnings()}\n\n${after.trimStart()}`,
  ),
);
// The columns of tables are the formatter's.
const done = spawnSync('npx', ['biome', 'format', '--write', operations, page], {
  cwd: root,
  stdio: 'inherit',
});
process.exit(done.status ?? 1);
