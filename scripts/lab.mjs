// `npm run lab -- NAME [ARGUMENT...]`: the long runs and rare tools, each of which says more at its beginning: scripts/NAME.mjs.
import { join } from 'node:path';
import { ownRun, root } from './setup.mjs';

const labs = {
  fuzz: 'hostile bytes for every decoder',
  forge: 'what nobody should be able to forge: journals, proofs, extracts, memories, fleets',
  model: 'all orders of the steps of ring, journal, pool and access, and the real code beside them',
  conformance: 'every client at every Dovecot of Debian; writes docs/conformance.md (root)',
  chaos: 'everything at once on real servers, while it is broken; an oracle judges (root)',
  soak: 'the same without faults: how memory grows; writes docs/soak.svg (root)',
  mutate: 'changes the code in one place at a time, and runs the tests of the module',
  matrix: 'unit and scenario tests under each supported Node',
  world: 'a gate with a history, people and live traffic, for somebody who tries the page (root)',
  screenshots: 'pictures of every screen of the page, into docs/screens',
  picture: 'the terminal picture of README, from a run of the demo, into docs/terminal.svg',
  advisories: 'known vulnerabilities that concern the bill of materials',
  lockfile: 'makes the lockfile complete after dependencies changed',
};

const name = process.argv[2] ?? '';
if (!Object.hasOwn(labs, name)) {
  console.error('usage: npm run lab -- NAME [ARGUMENT...]\n');
  for (const [each, meaning] of Object.entries(labs)) console.error(`  ${each.padEnd(12)} ${meaning}`);
  process.exit(64);
}
await ownRun();
const script = join(root, 'scripts', `${name}.mjs`);
process.argv.splice(1, 2, script);
await import(script);
