// `npm run bench -- NAME [ARG...]`: installs, builds, and runs one of the measurements in test/bench/. Without a name it lists them.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, install, root, run } from './setup.mjs';

const names = readdirSync(join(root, 'test', 'bench'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replace(/\.ts$/, ''))
  .toSorted();
const [name, ...args] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  console.error(`npm run bench -- NAME [ARG...]; NAME is one of: ${names.join(' ')}`);
  process.exit(64);
}
install();
build();
run(process.execPath, [join('build', 'test', 'bench', `${name}.js`), ...args]);
