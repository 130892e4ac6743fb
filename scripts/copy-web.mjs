// Copies what the page has beside its scripts (HTML, style sheet, pictures) to where the compiler put those:
//   node scripts/copy-web.mjs FOLDER...
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const from = join(root, 'src/web');

for (const folder of process.argv.slice(2)) {
  mkdirSync(resolve(root, folder), { recursive: true });
  for (const name of readdirSync(from))
    if (/\.(html|css|svg)$/.test(name)) copyFileSync(join(from, name), resolve(root, folder, name));
}
