// Writes docs/settings.md from the shape of a configuration, as the built program has it (`npm run build:test` first).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatSettingsPage } from './settings-page.mjs';
import { root } from './setup.mjs';

writeFileSync(join(root, 'docs', 'settings.md'), formatSettingsPage());
