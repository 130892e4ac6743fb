// Writes docs/limits.md from the table of bounds, as the built program has it (`npm run build` first).
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatLimitsPage } from './limits-page.mjs';
import { root } from './setup.mjs';

const page = join(root, 'docs', 'limits.md');
writeFileSync(page, formatLimitsPage());
// The columns of tables are the formatter's.
const done = spawnSync('npx', ['biome', 'format', '--write', page], { cwd: root, stdio: 'inherit' });
process.exit(done.status ?? 1);
