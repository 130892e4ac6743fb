// `npm run lab -- mutate MODULE... [--sample N|all] [--seed S] [--file TEXT]... [--test TEXT] [--spare TEXT]... [--built]`: would the
// tests notice if this code were wrong? With `--spare`: what would go unnoticed without the tests whose path has that text?
//
// Stryker's instrumenter writes all its mutants into a copy of the module, each behind a switch; this compiles the copy, asks each
// test which mutants it reaches, and runs a sample of them, one at a time, on one processor, until a test fails. One process keeps the
// code loaded and runs all that (scripts/mutate/worker.mjs): a process for each test file took 30 times as long.
// Stryker itself is not used: it has no samples, and its present release needs Node 22.
//
// Every kind of mutant that Stryker has is used, also those of texts for people. Mutants that nobody could notice are in
// scripts/mutate/equivalent.json with the reason, and do not count. A mutant in code that runs while a module is loaded gets a process of
// its own.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Instrumenter } from '@stryker-mutator/instrumenter';
import { transform } from 'esbuild';
import { root, run } from './setup.mjs';

/** The code of each module, and the tests that answer for it beside the stories: its own, and those of modules that are built on it. */
const modules = {
  policy: {
    code: ['src/rules/policy'],
    tests: ['test/rules/policy', 'test/rules/answers', 'test/evidence/review', 'test/rules/config'],
  },
  commands: {
    code: ['src/doveadm/commands'],
    tests: ['test/doveadm/commands', 'test/doveadm/meaning', 'test/rules/policy'],
  },
  protocol: { code: ['src/doveadm/protocol'], tests: ['test/doveadm/protocol', 'test/client'] },
  audit: {
    code: ['src/journal/records'],
    tests: ['test/journal/records', 'test/evidence/trail', 'test/evidence/report'],
  },
  trail: {
    code: ['src/evidence/trail'],
    tests: ['test/evidence/trail', 'test/evidence/report'],
  },
  ring: {
    code: ['src/journal/files/ring.ts', 'src/journal/files/ring-file.ts'],
    tests: ['test/journal/files'],
  },
  fleet: {
    code: ['src/evidence/fleet'],
    tests: ['test/evidence/fleet', 'test/evidence/report'],
  },
  access: {
    code: ['src/gate/access'],
    tests: ['test/gate/access', 'test/client/access'],
  },
};
/** A module without an entry is a folder of src/, with the tests in the folder of that name. */
const moduleOf = (name) => modules[name] ?? { code: [`src/${name}`], tests: [`test/${name}`] };
const isModule = (name) =>
  name in modules ||
  moduleOf(name)
    .code.concat(moduleOf(name).tests)
    .every((path) => existsSync(join(root, path)));
/** Tests of time are left out: they are slow, and a busy machine would fail them, which would count as a mutant killed. */
const measuresTime = /\.(?:time|work)\.test\.ts$/;
const generated = new Set(['src/doveadm/commands/data.ts']);

/** The project as links, with a `build` of its own: tests find the project's files from where they are. It goes with the run. */
const project = join(process.env.DOVEGATE_MEMORY ?? tmpdir(), `mutants-${process.pid}`);
const copy = join(project, 'build');
const clear = () => rmSync(project, { recursive: true, force: true, maxRetries: 5 });

function filesBelow(path, ending) {
  if (!statSync(join(root, path)).isDirectory()) return [path];
  return readdirSync(join(root, path), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(path, name))
    .toSorted();
}

/** Each opens a whole gate in the process of the test. */
const gates = ['test/kit/gate/memory-engine.ts', 'test/kit/gate/own-gate.ts'];
/** By file, the files that it and its imports load. */
const importsOf = new Map();

function addImports(file, all = new Set()) {
  if (all.has(file) || !existsSync(join(root, file))) return all;
  all.add(file);
  if (!importsOf.has(file)) {
    const found = readFileSync(join(root, file), 'utf8').matchAll(
      /(?:^(?:import|export) (?!type )[^;']*?from |^import |\bimport\()'(\.[^']+)\.js'/gm,
    );
    importsOf.set(
      file,
      [...found].map(([, path]) => `${join(dirname(file), path)}.ts`),
    );
  }
  for (const path of importsOf.get(file)) addImports(path, all);
  return all;
}

/** Tests of a whole gate in their own process that load a module's code: they count as tests of the module. */
const storiesOf = (code) =>
  filesBelow('test', '.test.ts').filter((file) => {
    const loaded = addImports(file);
    return gates.some((kit) => loaded.has(kit)) && code.some((each) => loaded.has(each));
  });

/** The text of a mutant's place, and the line in which it begins. */
function placeOf(text, { start, end }) {
  const lines = text.split('\n');
  const taken = lines.slice(start.line, end.line + 1);
  taken[taken.length - 1] = taken.at(-1).slice(0, end.column);
  taken[0] = taken[0].slice(start.column);
  return { from: taken.join('\n'), line: lines[start.line].trim() };
}

/** All mutants of these files; writes the instrumented and compiled copies. */
async function instrument(files) {
  const quiet = { isDebugEnabled: () => false, debug() {}, info() {}, warn: console.error };
  const sources = files.map((name) => ({
    name,
    mutate: true,
    content: readFileSync(join(root, name), 'utf8'),
  }));
  const made = await new Instrumenter(quiet).instrument(sources, {
    plugins: null,
    excludedMutations: [],
    ignorers: [],
    noHeader: false,
  });
  for (const { name, content } of made.files) {
    const compiled = await transform(content, { loader: 'ts', format: 'esm', target: 'node20' });
    writeFileSync(join(copy, name.replace(/\.ts$/, '.js')), compiled.code);
  }
  const texts = new Map(sources.map(({ name, content }) => [name, content]));
  return made.mutants.map(({ id, fileName, location, replacement }) => ({
    id,
    file: fileName,
    at: location.start.line + 1,
    column: location.start.column + 1,
    to: replacement,
    ...placeOf(texts.get(fileName), location),
  }));
}

const sameMutant = (one, other) =>
  one.file === other.file && one.line === other.line && one.from === other.from && one.to === other.to;

/** The first `count` in an order that only the seed and the mutant decide. */
function sampleOf(mutants, count, seed) {
  const key = ({ file, line, column, from, to }) =>
    createHash('sha256')
      .update(JSON.stringify([seed, file, line, column, from, to]))
      .digest('hex');
  return mutants
    .map((mutant) => ({ mutant, key: key(mutant) }))
    .toSorted((one, other) => (one.key < other.key ? -1 : 1))
    .slice(0, count)
    .map(({ mutant }) => mutant);
}

/** Limit of the files in memory of one worker. Two mutants that looped while writing once took 24 GB. */
const memoryMax = 1 << 30;
let workers = 0;

/** A process with the instrumented code (scripts/mutate/worker.mjs), which runs one order after the other. */
function startWorker(reachedFile, env = {}) {
  // A directory for temporary files; it is removed when the worker ends, however it ends.
  workers += 1;
  const place = join(project, `tmp${workers}`);
  mkdirSync(place);
  const preload = pathToFileURL(join(root, 'scripts', 'mutate', 'reached.mjs')).href;
  const child = spawn(process.execPath, [join(copy, 'scripts', 'mutate', 'worker.mjs')], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'ignore', values.verbose ? 'inherit' : 'ignore', 'ipc'],
    env: {
      ...process.env,
      // Not the runner's own: a test file would report to it, not here.
      NODE_TEST_CONTEXT: undefined,
      NODE_OPTIONS: `--import=${preload} --max-old-space-size=2048`,
      MUTANTS_REACHED: reachedFile,
      TMPDIR: place,
      DOVEGATE_MEMORY: place,
      ...env,
    },
  });
  let settle;
  const next = () =>
    new Promise((resolve) => {
      settle = resolve;
    });
  const ready = next();
  child.on('message', (message) => settle(message));
  child.on('exit', () => {
    endGroup(child);
    rmSync(place, { recursive: true, force: true, maxRetries: 5 });
    settle({ ended: true });
  });
  return {
    end: () => endGroup(child),
    /** The answer; `{ ended }` if the process ended without one, `{ late }` after so many seconds of its processor time. */
    async ask(order, seconds) {
      await ready;
      if (child.exitCode !== null || child.signalCode !== null) return { ended: true };
      const answered = next();
      const begunSeconds = processorSeconds(child.pid);
      const begunMs = Date.now();
      let isLate = false;
      const timer = setInterval(() => {
        const isOver =
          processorSeconds(child.pid) - begunSeconds > seconds ||
          Date.now() - begunMs > 10_000 * seconds ||
          bytesBelow(place) > memoryMax;
        if (!isOver) return;
        isLate = true;
        endGroup(child);
      }, 500);
      child.send(order);
      const answer = await answered;
      clearInterval(timer);
      return isLate ? { late: true } : answer;
    },
  };
}

function endGroup({ pid }) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}

/** How many bytes of disk the files below a folder use. Files and folders may be removed while it counts. */
function bytesBelow(folder) {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).reduce(
      (sum, name) => sum + 512 * (lstatSync(join(folder, name), { throwIfNoEntry: false })?.blocks ?? 0),
      0,
    );
  } catch {
    return 0; // a folder was removed while it was read; the next look sees it whole
  }
}

/** Processor time of a process so far: a busy machine must not make a mutant late. Linux. */
function processorSeconds(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

/**
 * What each test reaches; what a test file reaches while it is loaded belongs to all its tests. A mutant reached while a source is loaded
 * is `loading`: it needs a process of its own, and any test may notice it.
 */
async function lookAtTests(files) {
  const list = join(copy, 'reached');
  const tests = [];
  const loading = new Set();
  let worker = startWorker(list);
  for (const file of files) {
    // Searches with few rounds find most mutants. Some fail then, because they count what they met.
    let rounds = '0.2';
    let looked = await worker.ask({ order: 'look', file, rounds }, 300);
    if (looked.tests === undefined) {
      worker.end();
      worker = startWorker(list);
      rounds = '1';
      looked = await worker.ask({ order: 'look', file, rounds }, 300);
    }
    if (looked.tests === undefined) {
      console.log(`left out, because it fails among the mutants: ${relative(copy, file)}`);
      if (looked.error !== undefined) console.log(`  ${looked.error.split('\n')[0]}`);
      worker.end();
      worker = startWorker(list);
      continue;
    }
    for (const id of looked.loading) loading.add(id);
    for (const { key, reached, seconds } of looked.tests.filter(isQuick))
      tests.push({
        file,
        rounds,
        key,
        reached: new Set([...reached, ...looked.byFile]),
        seconds,
        kills: 1,
        runs: 2,
      });
  }
  worker.end();
  return { tests, loading };
}

/** A slower test is left out: a survivor would pay for it, and a score without it is lower, never higher. */
function isQuick({ key, seconds }) {
  const secondsMax = Number(values.slow);
  if (seconds > secondsMax && values.verbose)
    console.log(`left out, it takes ${seconds.toFixed(1)} s: ${key}`);
  return seconds <= secondsMax;
}

/** The seconds of processor that tests may take with a mutant. */
const limitOf = (tests) => 5 + 3 * tests.reduce((sum, { seconds }) => sum + seconds, 0);

/** Tests that are asked last, to see what they alone notice. */
const isSpare = (file) => values.spare.some((text) => relative(copy, file).includes(text));

/** Tests file by file, those first that find most in the least time. */
function inGroups(tests) {
  const byFile = new Map();
  for (const test of tests) byFile.set(test.file, [...(byFile.get(test.file) ?? []), test]);
  const worth = (group) =>
    Math.max(...group.map(({ kills, runs, seconds }) => kills / runs / (seconds + 0.01)));
  return [...byFile]
    .toSorted(
      ([oneFile, one], [otherFile, other]) =>
        Number(isSpare(oneFile)) - Number(isSpare(otherFile)) || worth(other) - worth(one),
    )
    .map(([file, group]) => ({ file, rounds: group[0].rounds, keys: group.map(({ key }) => key) }));
}

function createTrier({ tests, loading }) {
  const list = join(copy, 'reached-later');
  let worker;
  let tried = 0;
  return {
    end: () => worker?.end(),
    async tryMutant({ id }) {
      const isLoading = loading.has(id);
      const reaching = isLoading ? tests : tests.filter(({ reached }) => reached.has(id));
      if (reaching.length === 0) return 'not reached';
      tried += 1;
      // Each import of a test file stays in memory, so a worker is replaced from time to time.
      if (isLoading || tried % 200 === 0) {
        worker?.end();
        worker = undefined;
      }
      worker ??= startWorker(list, isLoading ? { __STRYKER_ACTIVE_MUTANT__: id } : {});
      const files = inGroups(reaching);
      const answer = await worker.ask({ order: 'try', mutant: id, files }, limitOf(reaching));
      for (const test of reaching) test.runs += 1;
      if (answer.ended || answer.late || answer.error !== undefined || isLoading) {
        worker.end();
        worker = undefined;
      }
      if (answer.late) return 'timed out';
      if (answer.ended || answer.error !== undefined) return 'killed';
      if (answer.failed === undefined) return 'survived';
      const { file, key } = answer.failed;
      const killer = reaching.find((test) => test.file === file && test.key === key);
      if (killer !== undefined) killer.kills += 1;
      if (isSpare(file)) return `killed by ${relative(copy, file).replace(/\.js$/, '.ts')}: ${key}`;
      return 'killed';
    },
  };
}

/**
 * The lower end of the 95 % interval of the share of all mutants (Wilson), with the finite population correction: the sample is
 * drawn without replacement.
 */
function lowerBound(part, sample, all) {
  if (sample === all) return part / all;
  const count = (sample * (all - 1)) / (all - sample);
  const z = 1.96;
  const share = part / sample;
  const middle = share + (z * z) / (2 * count);
  const spread = z * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count));
  return (middle - spread) / (1 + (z * z) / count);
}

const shown = (text) => (text.length > 160 ? `${text.slice(0, 150)} [...]` : text).replace(/\s+/g, ' ');
const percent = (share) => `${(100 * share).toFixed(1)} %`;

async function mutate(name, { sample, seed, places, testName }) {
  const { code, tests: folders } = moduleOf(name);
  const files = code.flatMap((path) => filesBelow(path, '.ts')).filter((file) => !generated.has(file));
  clear();
  mkdirSync(project);
  for (const entry of readdirSync(root))
    if (entry !== 'build') symlinkSync(join(root, entry), join(project, entry));
  cpSync(join(root, 'build'), copy, { recursive: true });
  cpSync(join(root, 'scripts', 'mutate'), join(copy, 'scripts', 'mutate'), { recursive: true });
  const runner = JSON.stringify(pathToFileURL(join(copy, 'scripts', 'mutate', 'runner.mjs')).href);
  for (const file of filesBelow(relative(root, join(copy, 'test')), '.js')) {
    const text = readFileSync(join(root, file), 'utf8');
    const replaced = text.replaceAll(/(["'])node:test\1/g, runner);
    if (replaced !== text) writeFileSync(join(root, file), replaced);
  }
  const known = JSON.parse(readFileSync(join(root, 'scripts', 'mutate', 'equivalent.json'), 'utf8'));
  const all = await instrument(files);
  for (const entry of known.filter(({ file }) => files.includes(file))) {
    const named = all.filter((mutant) => sameMutant(mutant, entry)).length;
    if (named !== (entry.times ?? 1))
      console.log(
        `scripts/mutate/equivalent.json: names ${named} mutants: ${entry.file}: ${shown(entry.line)}`,
      );
  }
  const counted = all.filter((mutant) => !known.some((entry) => sameMutant(mutant, entry)));
  const chosen = sampleOf(
    counted.filter(({ file, at, column }) =>
      places.some((place) => `${file}:${at}:${column}`.includes(place)),
    ),
    sample,
    seed,
  );
  const trier = createTrier(
    await lookAtTests(
      [...new Set([...folders.flatMap((path) => filesBelow(path, '.test.ts')), ...storiesOf(files)])]
        .filter((file) => file.includes(testName) && !measuresTime.test(file))
        .map((file) => join(copy, file.replace(/\.ts$/, '.js'))),
    ),
  );
  const counts = { killed: 0, survived: 0, 'timed out': 0, 'not reached': 0 };
  let bySpare = 0;
  let tried = 0;
  for (const mutant of chosen) {
    const how = await trier.tryMutant(mutant);
    const isBySpare = how.startsWith('killed by');
    if (isBySpare) bySpare += 1;
    counts[isBySpare ? 'killed' : how] += 1;
    tried += 1;
    if (tried % 100 === 0) console.log(`(${tried} of ${chosen.length})`);
    if (how !== 'killed' && how !== 'timed out')
      console.log(
        `${how}: ${mutant.file}:${mutant.at}:${mutant.column}: ${shown(mutant.from)}  ->  ${shown(mutant.to)}`,
      );
  }
  trier.end();
  const noticed = counts.killed + counts['timed out'];
  const score = (count) =>
    `${percent(count / chosen.length)}, at least ${percent(lowerBound(count, chosen.length, counted.length))}`;
  console.log(
    `${name}: ${chosen.length} of ${counted.length} mutants (${all.length - counted.length} equivalent ones not counted)`,
    `\n  ${Object.entries(counts)
      .map(([how, count]) => `${count} ${how}`)
      .join(', ')}`,
    `\n  score ${score(noticed)}`,
    values.spare.length === 0 ? '' : `\n  without the spare tests ${score(noticed - bySpare)}`,
  );
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    file: { type: 'string', multiple: true, default: [''] },
    test: { type: 'string', default: '' },
    spare: { type: 'string', multiple: true, default: [] },
    built: { type: 'boolean', default: false },
    slow: { type: 'string', default: '1.5' },
    verbose: { type: 'boolean', default: false },
  },
});
if (positionals.length === 0 || positionals.some((name) => !isModule(name))) {
  console.error(
    `npm run lab -- mutate MODULE... [--sample N|all] [--seed S] [--file TEXT]; modules: folders of src/, and ${Object.keys(modules).join(' ')}`,
  );
  process.exit(64);
}
if (!values.built) run(process.execPath, ['scripts/build-test.mjs']);
try {
  for (const name of positionals)
    await mutate(name, {
      sample: values.sample === 'all' ? Number.POSITIVE_INFINITY : Number(values.sample),
      seed: values.seed,
      places: values.file,
      testName: values.test,
    });
} finally {
  clear();
}
