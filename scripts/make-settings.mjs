// Writes docs/settings.md from the shape of a configuration, as the built program has it (`npm run build:test` first).
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatSettingsPage } from './settings-page.mjs';
import { root } from './setup.mjs';

const page = join(root, 'docs', 'settings.md');
writeFileSync(page, formatSettingsPage());
// The columns of tables are the formatter's.
const done = spawnSync('npx', ['biome', 'format', '--write', page], { cwd: root, stdio: 'inherit' });
process.exit(done.status ?? 1);
