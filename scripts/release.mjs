// `npm run release -- 0.2.0`: makes a release of what is committed, and publishes nothing.
//
//   node scripts/release.mjs VERSION              everything, with all tests and no test skipped
//   node scripts/release.mjs VERSION --sign KEY   signed by gpg with this key, with a source for apt and dnf
//   node scripts/release.mjs VERSION --quick      lint, unit and architecture tests only
//   node scripts/release.mjs VERSION --dry-run    says what it would do, and changes nothing
//
// In order: it refuses what must not be released; runs the tests; sets the version in package.json, the lockfile and the pages that name
// it; moves the changelog's "Unreleased" and the files of changes/ below a heading with version and date; makes all packages and their
// checksums in dist-release/; commits, tags. The packages bear the time of the commit, so the tag makes the same ones again. The commit
// comes last: when a step fails, the changed files are put back, and there is nothing to undo.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, root, run } from './setup.mjs';

const usage = 'usage: npm run release -- X.Y.Z [--sign KEY] [--dry-run] [--quick]';

function end(code, message) {
  console.error(message);
  process.exit(code);
}

function git(...args) {
  const done = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  if (done.error || done.status !== 0)
    end(1, `git ${args.join(' ')}: ${done.error?.message ?? done.stderr.trim()}`);
  return done.stdout.trim();
}

function read(name) {
  return readFileSync(join(root, name), 'utf8');
}

function write(name, text) {
  writeFileSync(join(root, name), text);
}

function isGreater(version, than) {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number));
  const at = a.findIndex((number, i) => number !== b[i]);
  return at !== -1 && a[at] > b[at];
}

/** Security first, then what changed, then what is new. */
const kinds = ['security', 'changed', 'new'];

/** `changes/KIND-NAME.md`, one for each change that an operator notices. */
function fragments() {
  const names = existsSync(join(root, 'changes')) ? readdirSync(join(root, 'changes')).toSorted() : [];
  const kindOf = (name) => kinds.findIndex((kind) => name.startsWith(`${kind}-`) && name.endsWith('.md'));
  const odd = names.filter((each) => kindOf(each) === -1);
  if (odd.length > 0) end(1, `refused: changes/${odd[0]} is not named ${kinds.join('-, ')}-...md`);
  return names.toSorted((one, other) => kindOf(one) - kindOf(other)).map((each) => `changes/${each}`);
}

/** The text below `## Unreleased`, up to the next version. */
function unreleased(changelog) {
  return /^## Unreleased\n([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(changelog)?.[1].trim() ?? '';
}

function withVersion(name, version) {
  const content = JSON.parse(read(name));
  content.version = version;
  if (content.packages) content.packages[''].version = version;
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

/** Where a page names the version of this tree: `dovegate 0.1.0`, `dovegate_0.1.0-1_amd64.deb`, an answer to `--version`. */
function mentions(version) {
  const digits = version.replaceAll('.', String.raw`\.`);
  return new RegExp(String.raw`(?<=dovegate[ _:-]+)${digits}(?!\.?\w)|^${digits}$`, 'gm');
}

function readArgs() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        sign: { type: 'string' },
        'dry-run': { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
      },
    });
    const isOne = positionals.length === 1 && /^(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}$/.test(positionals[0]);
    return isOne ? { version: positionals[0], ...values } : end(64, usage);
  } catch (error) {
    return end(64, `${usage}\n${error.message}`);
  }
}

const { version, sign: key, quick, 'dry-run': isDry } = readArgs();
const { name, version: current } = JSON.parse(read('package.json'));
const tag = `v${version}`;
const changelog = read('CHANGELOG.md');
const pieces = fragments();
const notes = [unreleased(changelog), ...pieces.map((path) => read(path).trim())].filter(Boolean).join('\n');
const named = git('ls-files', 'README.md', 'Dockerfile', 'docs/*.md', 'config').split('\n').filter(Boolean);
const naming = version === current ? [] : named.filter((path) => mentions(current).test(read(path)));
const changedFiles = ['package.json', 'package-lock.json', 'CHANGELOG.md', ...naming, ...pieces];
const date = new Date().toISOString().slice(0, 10);
const heading = `## ${version} (${date})`;
const stages = [quick ? 'check' : 'full'];
const signing = key === undefined ? [] : ['--sign', key];
const packing = ['scripts/package.mjs', '--version', version, '--arch', 'all', ...signing];

const refusals = [];
if (git('status', '--porcelain') !== '') refusals.push('the tree has changes that are not committed');
// The version that package.json names can be released once: the first one is.
if (version !== current && !isGreater(version, current))
  refusals.push(`${version} is not greater than ${current}`);
if (git('tag', '--list', tag) !== '') refusals.push(`there is a tag ${tag} already`);
if (notes === '')
  refusals.push('there is no change: CHANGELOG.md has nothing below "## Unreleased", and changes/ no file');
for (const tool of ['dpkg-deb', 'rpmbuild', ...(key === undefined ? [] : ['gpg', 'createrepo_c'])])
  if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).error)
    refusals.push(`there is no ${tool}, which the packages need`);
if (refusals.length > 0) end(1, refusals.map((text) => `refused: ${text}`).join('\n'));

if (isDry) {
  console.log(`would release ${name} ${version} (now ${current}) from ${git('rev-parse', '--short', 'HEAD')}:
  run      node scripts/test.mjs ${stages.join(' ')}, with skipping forbidden
  change   ${changedFiles.join(', ')}
  pack     node ${packing.join(' ')}, into dist-release/
  commit   release: ${version}
  tag      ${tag}, annotated with this text:

${heading}

${notes}`);
  process.exit(0);
}

run(process.execPath, ['scripts/test.mjs', ...stages], { env: { ...process.env, DOVEGATE_NO_SKIP: '1' } });
if (git('status', '--porcelain') !== '') end(1, 'refused: the tests left changes in the tree');

// run() ends this process when a program fails; until the commit stands, that leaves no change behind.
const putBack = () => spawnSync('git', ['restore', '--staged', '--worktree', ...changedFiles], { cwd: root });
process.on('exit', putBack);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

for (const file of ['package.json', 'package-lock.json']) write(file, withVersion(file, version));
write(
  'CHANGELOG.md',
  changelog
    .replace(
      /^## Unreleased\n[\s\S]*?(?=^## |(?![\s\S]))/m,
      () => `## Unreleased\n\n${heading}\n\n${notes}\n\n`,
    )
    .trimEnd() + '\n',
);
for (const path of pieces) rmSync(join(root, path));
for (const path of naming) write(path, read(path).replaceAll(mentions(current), version));
build();
rmSync(join(root, 'dist-release'), { recursive: true, force: true });
const seconds = process.env.SOURCE_DATE_EPOCH ?? String(Math.floor(Date.now() / 1000));
run(process.execPath, packing, { env: { ...process.env, SOURCE_DATE_EPOCH: seconds } });
run('git', ['commit', '--quiet', '--message', `release: ${version}`, '--', ...changedFiles], {
  env: { ...process.env, GIT_COMMITTER_DATE: `@${seconds} +0000` },
});
process.off('exit', putBack);
run('git', ['tag', '--annotate', '--cleanup=whitespace', '--message', `${name} ${version}\n\n${notes}`, tag]);

console.log(`
released ${name} ${version}, here only: ${git('rev-parse', '--short', 'HEAD')}, tag ${tag}

${read('dist-release/SHA256SUMS')}
Next, by hand:
  git push origin HEAD ${tag}
  npm publish ./dist-release/${name}-${version}.tgz      (and the client, mcp and doveadm-vectors, with --access public)
  attach the files of dist-release/ to the release of ${tag}; its text is the changelog's section`);
if (key !== undefined) console.log('  put dist-release/repository/ behind a web server: docs/install.md');
