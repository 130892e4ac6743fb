// `npm test`: installs, builds, lints, then runs the tests in stages; on a fresh clone of a Debian it needs only Node and npm, and root
// for the system's packages (scripts/packages.sh).
//
//   node scripts/test.mjs                 everything
//   node scripts/test.mjs check           lint, unit and architecture tests
//   node scripts/test.mjs STAGE...        the named stages: lint unit package scenario page fuzz dovecot audit fleet systemd container
//   node scripts/test.mjs file PATH...    single test files (test/protocol/command.test.ts)
//
// DOVEGATE_NO_SKIP=1    a skipped test is a failure (what .ci/run sets)
// DOVEGATE_SYSTEMD="bookworm trixie"    the releases whose systemd is booted: both when the stage is named, else the first
// DOVEGATE_NATS="native trixie"    the releases whose nats-server is tested (default native)
// DOVEGATE_ROUNDS=N     multiplies the rounds of the tests that repeat (default 1)
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, install, installPackages, ownMemory, root, run } from './setup.mjs';

const stageFolders = {
  package: ['package'],
  scenario: ['scenario', 'shells'],
  page: ['browser'],
  fuzz: ['fuzz'],
  dovecot: ['dovecot'],
  audit: ['rsyslog', 'prometheus'],
  fleet: ['fleet'],
  systemd: ['systemd'],
  container: ['container'],
};
/** Files at a time, where it is not two: more where they wait more than they work; systemd and container boot a machine. */
const concurrencyOf = { unit: 3, package: 3, scenario: 4, fleet: 6, dovecot: 3, systemd: 1, container: 1 };
/** The files of a stage that take longest, longest first: the runner begins with them, so that none is left for the end. */
const longestOf = {
  fleet: ['cluster', 'watch', 'ship', 'cut-stream', 'hostile-server', 'link', 'share', 'ship-daemon'],
};
const notUnit = new Set(['kit', 'vectors', 'bench', ...Object.values(stageFolders).flat()]);

/** The stage that runs a test file. */
function stageOf(path) {
  const folder = /(?:^|\/)test\/([^/]+)\//.exec(path)?.[1];
  return Object.keys(stageFolders).find((stage) => stageFolders[stage].includes(folder)) ?? 'unit';
}

function testFiles(folder) {
  const path = join(root, 'build', 'test', folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.isDirectory()) return testFiles(join(folder, entry.name));
      return entry.name.endsWith('.test.js') ? [join('build', 'test', folder, entry.name)] : [];
    });
}

function filesOf(stage) {
  const folders =
    stage === 'unit'
      ? readdirSync(join(root, 'build', 'test'), { withFileTypes: true })
          .filter((entry) => entry.isDirectory() && !notUnit.has(entry.name))
          .map((entry) => entry.name)
          .toSorted()
      : stageFolders[stage];
  return folders.flatMap(testFiles);
}

/** A test that looks at its own process (memory, processor time, umask, garbage) shares it with no other file. */
const needsOwnProcess = /\b(?:memoryUsage|cpuUsage|umask|queryObjects|setFlagsFromString)\b/;
const batchFilesMax = 10;

/**
 * Files of one folder that import their tests together: to start a process and to load the sources takes longer than most unit tests
 * do. Tests that share their process with no others come first, because a long one must not be left for the end.
 */
function batchesOf(files) {
  const alone = [];
  const byFolder = new Map();
  for (const file of files) {
    const name = dirname(file).split('/').slice(2).join('-');
    if (needsOwnProcess.test(readFileSync(join(root, file), 'utf8')))
      alone.push([`${name}-${basename(file, '.test.js')}`, [file]]);
    else byFolder.set(name, [...(byFolder.get(name) ?? []), file]);
  }
  const shared = [...byFolder].flatMap(([name, all]) => {
    const count = Math.ceil(all.length / batchFilesMax);
    return Array.from({ length: count }, (_, number) => [
      `${name}-${number + 1}`,
      all.filter((_file, at) => at % count === number),
    ]);
  });
  return inOrder([...alone, ...shared]);
}

/** The files of a stage, each alone, those that take longest first. */
function longestFirst(files, longest) {
  const rank = (file) => {
    const at = longest.indexOf(basename(file, '.test.js'));
    return at === -1 ? longest.length : at;
  };
  const sorted = files.toSorted((one, other) => rank(one) - rank(other));
  return inOrder(sorted.map((file) => [basename(file, '.test.js'), [file]]));
}

/** The runner takes files by their names: so each entry, a name and its files, gets a file in build/batch that begins with a number and imports them. */
function inOrder(entries) {
  const folder = join(root, 'build', 'batch');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return entries.map(([name, own], at) => {
    const path = join('build', 'batch', `${String(at).padStart(3, '0')}-${name}.test.mjs`);
    const imports = own.map(
      (file) => `await import(${JSON.stringify(pathToFileURL(join(root, file)).href)});\n`,
    );
    writeFileSync(join(root, path), imports.join(''));
    return path;
  });
}

/** Runs test files; resolves to the counts of the runner's closing lines. */
function runTests(files, concurrency) {
  return new Promise((resolve) => {
    const args = [
      '--test',
      '--test-reporter=spec',
      `--test-concurrency=${concurrency}`,
      '--enable-source-maps',
      ...files,
    ];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    let tail = '';
    child.stdout.on('data', (chunk) => {
      process.stdout.write(chunk);
      tail = (tail + chunk).slice(-65536);
    });
    child.on('close', (code) => {
      const count = (word) =>
        Number(
          tail
            .match(new RegExp(`^. ${word} (\\d+)$`, 'gm'))
            ?.pop()
            ?.split(' ')
            .pop() ?? 0,
        );
      const counts = {
        pass: count('pass'),
        fail: count('fail') + count('cancelled'),
        skipped: count('skipped') + count('todo'),
      };
      if (code !== 0 && counts.fail === 0) counts.fail = 1;
      resolve(counts);
    });
  });
}

const asked = process.argv.slice(2);
const noSkip = process.env.DOVEGATE_NO_SKIP === '1';

ownMemory();
if (asked[0] === 'file') {
  installPackages(asked.slice(1).map(stageOf));
  install();
  build();
  const files = asked.slice(1).map((path) => join('build', path.replace(/\.ts$/, '.js')));
  const counts = await runTests(files, 2);
  process.exit(counts.fail > 0 ? 1 : 0);
}

const stages =
  asked.length === 0
    ? [
        'lint',
        'unit',
        'package',
        'fuzz',
        'scenario',
        'page',
        'dovecot',
        'audit',
        'fleet',
        'systemd',
        'container',
      ]
    : asked.flatMap((word) => (word === 'check' ? ['lint', 'unit'] : [word]));
// Two boots, where one is enough to notice a broken unit.
if (asked.length === 0) process.env.DOVEGATE_SYSTEMD ??= 'bookworm';
for (const stage of stages) {
  if (stage !== 'lint' && stage !== 'unit' && !(stage in stageFolders)) {
    console.error(`unknown stage ${stage}; one of: check lint unit ${Object.keys(stageFolders).join(' ')}`);
    process.exit(64);
  }
}

installPackages(stages);
install();
build();

const total = { pass: 0, fail: 0, skipped: 0 };
for (const stage of stages) {
  const started = Date.now();
  console.log(`\n== ${stage}`);
  if (stage === 'lint') {
    run(process.execPath, [
      join(root, 'node_modules/@biomejs/biome/bin/biome'),
      'check',
      '--error-on-warnings',
    ]);
    run(process.execPath, [join(root, 'node_modules/oxlint/bin/oxlint'), '--type-aware', '--deny-warnings']);
  } else {
    const files = filesOf(stage);
    if (files.length === 0) {
      console.log('no test files');
      if (noSkip) total.fail += 1;
      continue;
    }
    const longest = longestOf[stage];
    const ordered = longest === undefined ? files : longestFirst(files, longest);
    const counts = await runTests(stage === 'unit' ? batchesOf(files) : ordered, concurrencyOf[stage] ?? 2);
    for (const key of Object.keys(total)) total[key] += counts[key];
  }
  console.log(`== ${stage}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
}
if (noSkip && total.skipped > 0) {
  console.log(`\n${total.skipped} tests were skipped, and skipping is forbidden here (DOVEGATE_NO_SKIP=1)`);
}
console.log(`\n${total.pass} passed, ${total.fail} failed, ${total.skipped} skipped`);
process.exit(total.fail > 0 || (noSkip && total.skipped > 0) ? 1 : 0);
