// `npm run bench`: installs, builds, and compares dovegate with what one would use without it. `npm run bench -- NAME [ARG...]` runs
// one of the measurements in test/whole/bench/; a name that is none of them lists them.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, install, ownRun, root, run } from './setup.mjs';

const names = readdirSync(join(root, 'test', 'whole', 'bench'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replace(/\.ts$/, ''))
  .toSorted();
const comparisons = ['compare', 'dovecot', 'http', 'large'];
const [name, ...args] = process.argv.slice(2);
if (name !== undefined && !names.includes(name)) {
  console.error(`npm run bench -- NAME [ARG...]; NAME is one of: ${names.join(' ')}`);
  process.exit(64);
}
await ownRun();
install();
build();
for (const each of name === undefined ? comparisons : [name]) {
  run(process.execPath, [join('build', 'test', 'whole', 'bench', `${each}.js`), ...args]);
}
