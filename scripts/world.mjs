// `npm run lab -- world [--folder FOLDER] [--history N] [--outage SECONDS] [--minutes N]`: a world for people who try the page
// (test/page/browser/world.ts): real Dovecots, three days of records, live traffic, and what happens to a mail system. FOLDER/world.json
// says how to get in, FOLDER/facts.json what happened. It goes on until it is ended, or for N minutes. Needs root.
import { join } from 'node:path';
import { build, install, installPackages, run } from './setup.mjs';

installPackages(['dovecot', 'debian']);
install();
build();
run(process.execPath, [
  '--enable-source-maps',
  join('build', 'test', 'page', 'browser', 'world.js'),
  ...process.argv.slice(2),
]);
