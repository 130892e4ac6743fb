// `npm run lab -- lost-blocks [--rounds N] [--seed S] [--releases "native trixie"]`: a cluster of three nats-servers of each release, whose
// leader is killed and then frozen, in rounds; then every replica alone must hold every record (test/whole/fleet/lost-blocks.test.ts).
// After five rounds there is a new cluster, with the next seed. Needs root where a release is not installed yet.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { install, installPackages, root, run } from './setup.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string' },
    releases: { type: 'string', default: 'native trixie' },
  },
});
const rounds = Number(values.rounds);
const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
if (!Number.isSafeInteger(rounds) || rounds < 1 || !Number.isSafeInteger(seed)) {
  console.error('usage: npm run lab -- lost-blocks [--rounds N] [--seed S] [--releases "native trixie"]');
  process.exit(64);
}
const inCluster = 5;

installPackages(['fleet']);
install();
run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json']);
let isFound = false;
for (const release of values.releases.split(' ')) {
  for (let done = 0; done < rounds; done += inCluster) {
    const own = Math.min(inCluster, rounds - done);
    const ownSeed = seed + done / inCluster;
    console.log(`${release}: rounds ${done + 1} to ${done + own} of ${rounds}, seed ${ownSeed}`);
    const env = { ...process.env, DOVEGATE_NATS: release, DOVEGATE_SEED: String(ownSeed) };
    Object.assign(env, { DOVEGATE_ROUNDS: String(own), DOVEGATE_NO_SKIP: '1' });
    const path = join('build', 'test', 'whole', 'fleet', 'lost-blocks.test.js');
    const args = ['--enable-source-maps', '--test', '--test-reporter=spec', path];
    isFound = spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' }).status !== 0 || isFound;
  }
}
process.exit(isFound ? 1 : 0);
