// `npm run lab -- matrix`: unit, package and scenario tests under every Node release line that is supported, and under the newest; one line
// each.
//
//   npm run lab -- matrix                       all versions
//   npm run lab -- matrix 22.23.3               this version only
//   npm run lab -- matrix --whole [VERSION...]    all of `npm test`, as CI runs it: nothing may be skipped
//
// Each Node comes as an npm package that holds one program; it is installed to .matrix/, apart from the project's own
// packages, and stays there. What the tests print goes to .matrix/VERSION.log.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { oldestNode, root } from './setup.mjs';

// The oldest that is supported, one of each line that is maintained, and the newest that there is. Raised by hand: what is
// downloaded here is run.
const versions = [oldestNode, '22.23.3', '24.21.0', '26.10.0'];
const isWhole = process.argv.includes('--whole');
const stages = isWhole ? [] : ['unit', 'package', 'scenario'];
const cache = join(root, '.matrix');

/** The path of the program, installed if it is not there yet; undefined, after telling why, if it cannot be had. */
function nodeOf(version) {
  if (process.versions.node === version) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(cache, version);
  const program = join(folder, 'node_modules', name, 'bin', 'node');
  if (existsSync(program)) return program;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const args = ['install', '--prefix', folder, '--save-exact', '--ignore-scripts', '--no-audit', '--no-fund'];
  const done = spawnSync('npm', [...args, '--loglevel=error', `${name}@${version}`], {
    cwd: folder,
    encoding: 'utf8',
  });
  const told = existsSync(program) ? spawnSync(program, ['--version'], { encoding: 'utf8' }) : undefined;
  if (done.status === 0 && told?.stdout?.trim() === `v${version}`) return program;
  console.log(
    `node ${version}: not installed: ${told?.error?.message ?? done.error?.message ?? done.stderr.trim()}`,
  );
  rmSync(folder, { recursive: true, force: true });
  return undefined;
}

/** Whether everything passed. */
function testUnder(version) {
  const program = nodeOf(version);
  if (program === undefined) return false;
  const started = Date.now();
  // First in PATH, so that what the tests start runs under the same Node.
  const env = {
    ...process.env,
    PATH: `${dirname(program)}${delimiter}${process.env.PATH}`,
    ...(isWhole && { DOVEGATE_NO_SKIP: '1' }),
  };
  const done = spawnSync(program, ['scripts/test.mjs', ...stages], {
    cwd: root,
    env,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  });
  const output = `${done.stdout}${done.stderr}`;
  writeFileSync(join(cache, `${version}.log`), output);
  const counts = /^\d+ passed, \d+ failed, \d+ skipped$/m.exec(done.stdout ?? '')?.[0];
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`node ${version}: ${counts ?? 'the tests did not run'}, ${seconds} s (.matrix/${version}.log)`);
  if (done.status !== 0) console.log(output.trimEnd().split('\n').slice(-40).join('\n'));
  return done.status === 0;
}

const asked = process.argv.slice(2).filter((word) => word !== '--whole');
for (const version of asked)
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    console.error('usage: npm run lab -- matrix [--whole] [VERSION...]');
    process.exit(64);
  }
mkdirSync(cache, { recursive: true });
const failed = (asked.length > 0 ? asked : versions).filter((version) => !testUnder(version));
process.exit(failed.length > 0 ? 1 : 0);
