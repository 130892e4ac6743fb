// Writes docs/messages.md from the built program (`npm run build:test` first).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatMessages } from './messages-page.mjs';
import { root } from './setup.mjs';
import { wrappedPage } from './wrap.mjs';

writeFileSync(join(root, 'docs', 'messages.md'), wrappedPage(formatMessages()));
