// `npm test`: installs, builds, lints, then runs the tests, those of all stages at the same time (pool.mjs); on a fresh clone of a Debian
// it needs only Node and npm, and root for the system's packages (scripts/packages.sh).
//
//   node scripts/test.mjs                 what a change is most likely to break: `npm test`
//   node scripts/test.mjs full            everything: `npm run test:full`
//   node scripts/test.mjs check           lint, types, and unit tests beside what differs from the last commit
//   node scripts/test.mjs STAGE...        these, whole: lint unit package scenario browser fuzz dovecot audit fleet systemd container
//   node scripts/test.mjs PART...         the unit tests of parts of src/: host doveadm rules journal gate evidence ship page client
//   node scripts/test.mjs file PATH...    single test files (test/doveadm/protocol/command.test.ts)
//   node scripts/test.mjs plan [STAGE...] what would be done, and nothing else
//
// DOVEGATE_NO_SKIP=1    a skipped test is a failure (what .ci/run sets)
// DOVEGATE_SYSTEMD="bookworm trixie"    the releases whose systemd is booted (default: both)
// DOVEGATE_ROUNDS=N     multiplies the rounds of the tests that repeat (default 1)
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runPool } from './pool.mjs';
import {
  build,
  install,
  installPackages,
  isInstalled,
  missingPackages,
  ownRun,
  root,
  run,
} from './setup.mjs';
import { isOnlyFull, onlyFull, parts, stageFolders, stageOf } from './stages.mjs';

/** These import their tests together, in one process: a package that several of them install takes longer to make than their tests. */
const sharing = {
  name: 'debian',
  files: ['own-node', 'package', 'upgrade'].map((name) => `build/test/whole/systemd/${name}.test.js`),
};
/** Those that take longest, mostly by waiting: they are begun first, so that none is left for the end. */
const longest = [
  'browser/clicks',
  'systemd/debian',
  'package/vectors',
  'systemd/units',
  'browser/screens',
  'fleet/chaos',
  'scenario/tls-reload',
  'dovecot/bypass',
  'dovecot/site',
  'scenario/docs',
  'dovecot/stalled-upload',
  'scenario/brute-force',
  'scenario/walks',
  'scenario/victims',
  'dovecot/same-answers',
  'scenario/seams',
  'dovecot/troubles',
  'container/container',
  'scenario/fatal',
];
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
  if (parts.includes(stage)) return testFiles(stage).filter((file) => stageOf(file) === 'unit');
  return stage === 'unit'
    ? testFiles('').filter((file) => stageOf(file) === 'unit')
    : stageFolders[stage].flatMap(testFiles);
}

/** A test that looks at its own process (memory, processor time, umask, garbage, steps) shares it with no other file. */
const needsOwnProcess = /\b(?:memoryUsage|cpuUsage|umask|queryObjects|setFlagsFromString|openStepCounter)\b/;
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
  return [...alone, ...shared];
}

/** What the pool runs for a stage: a name, and the files of one process. */
function entriesOf(stage) {
  const files = chosen(filesOf(stage));
  if (stage === 'unit' || parts.includes(stage)) return batchesOf(files);
  const shared = files.filter((file) => sharing.files.includes(file));
  const alone = files.filter((file) => !shared.includes(file));
  return [
    ...alone.map((file) => [basename(file, '.test.js'), [file]]),
    ...(shared.length === 0 ? [] : [[sharing.name, shared]]),
  ];
}

/** For each entry a file in build/batch that imports its files; those that take longest come first. */
function inOrder(entries) {
  const rank = ({ stage, name }) => {
    const at = longest.indexOf(`${stage}/${name}`);
    return at === -1 ? longest.length : at;
  };
  rmSync(join(root, 'build', 'batch'), { recursive: true, force: true });
  return entries
    .toSorted((one, other) => rank(one) - rank(other))
    .map(({ stage, name, files }) => {
      const path = join('build', 'batch', stage, `${name}.test.mjs`);
      mkdirSync(dirname(join(root, path)), { recursive: true });
      // Not `await import()`: one that a running test has begun would make the next file's tests its own.
      const imports = files.map(
        (file) => `import ${JSON.stringify(pathToFileURL(join(root, file)).href)};\n`,
      );
      writeFileSync(join(root, path), imports.join(''));
      return { stage, name, path };
    });
}

const asked = process.argv.slice(2);
const isFull = asked.includes('full');
if (isFull) asked.splice(asked.indexOf('full'), 1);
const noSkip = process.env.DOVEGATE_NO_SKIP === '1';

const isPlan = asked[0] === 'plan';
if (isPlan) asked.shift();
else await ownRun();
if (asked[0] === 'file') {
  installPackages(asked.slice(1).map(stageOf));
  install();
  build();
  const entries = asked.slice(1).map((path) => ({
    stage: stageOf(path),
    name: basename(path, '.test.ts'),
    path: join('build', path.replace(/\.ts$/, '.js')),
  }));
  const { counts } = await runPool(entries);
  process.exit(counts.fail > 0 ? 1 : 0);
}

/** Stages that are named are run whole. */
const isWhole = isFull || asked.length > 0;
const isCheck = asked[0] === 'check';
const allStages = ['lint', 'unit', ...Object.keys(stageFolders)];
const stages =
  asked.length > 0
    ? asked.flatMap((word) => (word === 'check' ? ['lint', 'unit'] : [word]))
    : allStages.filter((stage) => isFull || !onlyFull.includes(`whole/${stage}/`));
for (const stage of stages) {
  if (stage !== 'lint' && stage !== 'unit' && !(stage in stageFolders) && !parts.includes(stage)) {
    console.error(
      `unknown stage ${stage}; one of: check lint unit ${[...Object.keys(stageFolders), ...parts].join(' ')}`,
    );
    process.exit(64);
  }
}

const tested = stages.filter((stage) => stage !== 'lint');
/** How long the same stages took here: it outlives a build. */
const lastTime = join(root, 'node_modules', `.minutes-${stages.join('-')}`);

/** The files of a stage that this run is for. */
function chosen(files) {
  if (isCheck) return files.filter(isNear);
  return isWhole ? files : files.filter((file) => !isOnlyFull(file));
}

/**
 * Folders with a file that differs from the last commit, or where nothing does, that the last commit changed; without src/ or test/.
 * Undefined: git does not say.
 */
function touchedFolders() {
  const git = (...args) => {
    const done = spawnSync('git', ['-C', root, ...args], { encoding: 'utf8' });
    return done.status === 0 ? done.stdout.split('\n').filter((line) => line !== '') : undefined;
  };
  const changed = git('diff', '--name-only', 'HEAD');
  const added = git('ls-files', '--others', '--exclude-standard');
  if (changed === undefined || added === undefined) return undefined;
  const files =
    changed.length + added.length > 0 ? [...changed, ...added] : git('diff', '--name-only', 'HEAD~1');
  return new Set((files ?? []).map((file) => dirname(file).replace(/^(?:src|test)(?:\/|$)/, '')));
}

const touched = isCheck ? touchedFolders() : undefined;

/** Whether `check` runs it: the shape of the tree, and what stands beside a change. */
function isNear(file) {
  const folder = dirname(file).replace(/^(?:build\/)?test\//, '');
  return touched === undefined || folder === 'architecture' || touched.has(folder);
}

/** What is about to be done, before anything is. */
function plan() {
  const sources = readdirSync(join(root, 'test'), { recursive: true }).filter((name) =>
    name.endsWith('.test.ts'),
  );
  const files = (stage) =>
    chosen(
      sources.filter((name) =>
        parts.includes(stage)
          ? name.startsWith(`${stage}/`) && stageOf(`test/${name}`) === 'unit'
          : stageOf(`test/${name}`) === stage,
      ),
    ).length;
  const missing = missingPackages(new Set(stages));
  const installed = [
    ...(missing.length === 0 ? [] : [`packages of the system: ${missing.join(' ')}`]),
    ...(isInstalled() ? [] : ['the packages of package-lock.json, into node_modules']),
  ];
  const minutes = existsSync(lastTime) ? `${readFileSync(lastTime, 'utf8')} here the last time; ` : '';
  return [
    `plan: ${stages.length === tested.length ? 'build' : 'build, lint'}, then at the same time:`,
    ...tested.map((stage) => `  ${stage.padEnd(10)} ${files(stage)} files of tests`),
    `installs: ${installed.join('; ') || 'nothing'}`,
    `minutes: ${minutes}npm test takes some 14 on two quick processors, npm run test:full 25, and both twice as long on slow ones or where Debian roots are made first`,
  ].join('\n');
}
console.log(plan());
if (isPlan) process.exit(0);

installPackages(stages);
install();
build();

if (stages.includes('lint')) {
  run(process.execPath, [
    join(root, 'node_modules/@biomejs/biome/bin/biome'),
    'check',
    '--error-on-warnings',
  ]);
  run(process.execPath, [join(root, 'node_modules/oxlint/bin/oxlint'), '--type-aware', '--deny-warnings']);
  for (const project of ['tsconfig.json', 'tsconfig.web.json'])
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', project]);
}
const entries = tested.flatMap((stage) => entriesOf(stage).map(([name, files]) => ({ stage, name, files })));
const { counts: total, took } = await runPool(inOrder(entries));
if (noSkip) total.fail += tested.filter((stage) => took.every((each) => each.stage !== stage)).length;
writeFileSync(lastTime, String(Math.ceil(performance.now() / 60_000)));
const ten = (key) =>
  took
    .toSorted((one, other) => other[key] - one[key])
    .slice(0, 10)
    .map((each) => `${each.stage}/${each.name} ${each[key].toFixed(0)} s`)
    .join(', ');
const busyOf = (files) => files.reduce((sum, { busy }) => sum + busy, 0).toFixed(0);
console.log(`== longest: ${ten('seconds')}`);
console.log(`== dearest, in seconds of processor: ${ten('busy')}`);
const byStage = tested.map((stage) => `${stage} ${busyOf(took.filter((each) => each.stage === stage))} s`);
console.log(`== processor: ${busyOf(took)} s; ${byStage.join(', ')}`);
if (noSkip && total.skipped > 0) {
  console.log(`\n${total.skipped} tests were skipped, and skipping is forbidden here (DOVEGATE_NO_SKIP=1)`);
}
// The closing lines of Node's runner, for all files together.
const lines = {
  tests: total.pass + total.fail + total.skipped,
  suites: 0,
  pass: total.pass,
  fail: total.fail,
  cancelled: 0,
  skipped: total.skipped,
  todo: 0,
  duration_ms: Math.round(performance.now()),
};
console.log();
for (const [word, count] of Object.entries(lines)) console.log(`ℹ ${word} ${count}`);
console.log(`\n${total.pass} passed, ${total.fail} failed, ${total.skipped} skipped`);
process.exit(total.fail > 0 || (noSkip && total.skipped > 0) ? 1 : 0);
