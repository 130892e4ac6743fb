// `npm run mutate -- MODULE... [--sample N] [--seed S] [--file TEXT]... [--test TEXT] [--built]`: would the tests notice if this code
// were wrong?
//
// Stryker's instrumenter writes all its mutants into a copy of the module, each behind a switch; this compiles the copy, asks each
// test file of the module which mutants it reaches, and runs a sample of them, one at a time, on one processor, until a test fails.
// Stryker itself is not used: it has no samples, and its present release needs Node 22.
//
// Every kind of mutant that Stryker has is used, also those of texts for people. Mutants that nobody could notice are in
// scripts/mutate/equivalent.json with the reason, and do not count. Each mutant gets processes of its own, so code that runs while a
// module is loaded is measured like all other code.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Instrumenter } from '@stryker-mutator/instrumenter';
import { transform } from 'esbuild';
import { root, run } from './setup.mjs';

/** The code of each module, and the tests that answer for it: its own, and those of modules that are built on it. */
const modules = {
  policy: {
    code: ['src/domain/policy'],
    tests: ['test/domain/policy', 'test/domain/answers', 'test/domain/review', 'test/domain/config'],
  },
  commands: {
    code: ['src/domain/commands'],
    tests: ['test/domain/commands', 'test/domain/meaning', 'test/domain/policy'],
  },
  protocol: { code: ['src/protocol'], tests: ['test/protocol', 'test/client'] },
  audit: {
    code: ['src/domain/audit'],
    tests: ['test/domain/audit', 'test/domain/trail', 'test/domain/report'],
  },
  trail: { code: ['src/domain/trail'], tests: ['test/domain/trail', 'test/domain/report'] },
  ring: {
    code: ['src/adapters/journal/ring.ts', 'src/adapters/journal/ring-file.ts'],
    tests: ['test/adapters/journal'],
  },
  fleet: { code: ['src/domain/fleet'], tests: ['test/domain/fleet', 'test/domain/report'] },
};
/** Tests of time are left out: they are slow, and a busy machine would fail them, which would count as a mutant killed. */
const measuresTime = /\.(?:time|work)\.test\.ts$/;
const generated = new Set(['src/domain/commands/data.ts']);

/** A folder beside `build/`: tests find the project's files from where they are. */
const copy = join(root, `.mutants-${process.pid}`);

function filesBelow(path, ending) {
  if (!statSync(join(root, path)).isDirectory()) return [path];
  return readdirSync(join(root, path), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(path, name))
    .toSorted();
}

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

let running;

function endRunning() {
  if (running === undefined) return;
  try {
    process.kill(-running.pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}

/** Runs a test file to its end or its first failed test: `passed`, `failed` or `late`. */
function runTest(file, milliseconds, env) {
  const preload = pathToFileURL(join(root, 'scripts', 'mutate', 'reached.mjs')).href;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--test-reporter=tap', file], {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
      // Not the runner's own: a test file would report to it, not here.
      env: {
        ...process.env,
        NODE_TEST_CONTEXT: undefined,
        NODE_OPTIONS: `--import=${preload} --max-old-space-size=1024`,
        ...env,
      },
    });
    running = child;
    let ended;
    const end = (how) => {
      ended ??= how;
      endRunning();
    };
    const timer = setTimeout(() => end('late'), milliseconds);
    let tail = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      tail = tail.slice(-200) + text;
      if (/^ *not ok /m.test(tail)) end('failed');
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      end(code === 0 ? 'passed' : 'failed');
      running = undefined;
      resolve(ended);
    });
  });
}

/** Which mutants each test file reaches, and how long it takes. */
async function lookAtTests(files) {
  const list = join(copy, 'reached');
  const tests = [];
  for (const file of files) {
    rmSync(list, { force: true });
    const started = Date.now();
    const how = await runTest(file, 120_000, { MUTANTS_REACHED: list });
    if (how !== 'passed') {
      console.log(`left out, because it fails among the mutants: ${relative(copy, file)}`);
      continue;
    }
    const reached = new Set(existsSync(list) ? readFileSync(list, 'utf8').split('\n') : []);
    const milliseconds = Date.now() - started;
    tests.push({ file, reached, milliseconds, found: new Map() });
  }
  return tests;
}

/** Runs the tests that reach a mutant, those first that find the most in the least time. */
async function tryMutant(mutant, tests) {
  const countsOf = ({ found }) => {
    if (!found.has(mutant.file)) found.set(mutant.file, { runs: 0, kills: 0 });
    return found.get(mutant.file);
  };
  const worth = (test) => (countsOf(test).kills + 1) / (countsOf(test).runs + 2) / test.milliseconds;
  const reaching = tests
    .filter(({ reached }) => reached.has(mutant.id))
    .toSorted((one, other) => worth(other) - worth(one));
  for (const test of reaching) {
    const how = await runTest(test.file, 5000 + 3 * test.milliseconds, {
      __STRYKER_ACTIVE_MUTANT__: mutant.id,
    });
    countsOf(test).runs += 1;
    if (how === 'passed') continue;
    countsOf(test).kills += 1;
    return how === 'late' ? 'timed out' : 'killed';
  }
  return reaching.length === 0 ? 'not reached' : 'survived';
}

/** The lower end of the 95 % interval of a share (Wilson). */
function lowerBound(part, all) {
  const z = 1.96;
  const share = part / all;
  const middle = share + (z * z) / (2 * all);
  const spread = z * Math.sqrt((share * (1 - share)) / all + (z * z) / (4 * all * all));
  return (middle - spread) / (1 + (z * z) / all);
}

const shown = (text) => (text.length > 160 ? `${text.slice(0, 150)} [...]` : text).replace(/\s+/g, ' ');
const percent = (share) => `${(100 * share).toFixed(1)} %`;

async function mutate(name, { sample, seed, places, testName }) {
  const { code, tests: folders } = modules[name];
  const files = code.flatMap((path) => filesBelow(path, '.ts')).filter((file) => !generated.has(file));
  rmSync(copy, { recursive: true, force: true });
  cpSync(join(root, 'build'), copy, { recursive: true });
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
  const tests = await lookAtTests(
    folders
      .flatMap((path) => filesBelow(path, '.test.ts'))
      .filter((file) => file.includes(testName) && !measuresTime.test(file))
      .map((file) => join(copy, file.replace(/\.ts$/, '.js'))),
  );
  const counts = { killed: 0, survived: 0, 'timed out': 0, 'not reached': 0 };
  let tried = 0;
  for (const mutant of chosen) {
    const how = await tryMutant(mutant, tests);
    counts[how] += 1;
    tried += 1;
    if (tried % 50 === 0) console.log(`(${tried} of ${chosen.length})`);
    if (how === 'survived' || how === 'not reached')
      console.log(
        `${how}: ${mutant.file}:${mutant.at}:${mutant.column}: ${shown(mutant.from)}  ->  ${shown(mutant.to)}`,
      );
  }
  const noticed = counts.killed + counts['timed out'];
  console.log(
    `${name}: ${chosen.length} of ${counted.length} mutants (${all.length - counted.length} equivalent ones not counted)`,
    `\n  ${Object.entries(counts)
      .map(([how, count]) => `${count} ${how}`)
      .join(', ')}`,
    `\n  score ${percent(noticed / chosen.length)}, at least ${percent(lowerBound(noticed, chosen.length))}`,
  );
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    file: { type: 'string', multiple: true, default: [''] },
    test: { type: 'string', default: '' },
    built: { type: 'boolean', default: false },
  },
});
if (positionals.length === 0 || positionals.some((name) => !(name in modules))) {
  console.error(
    `npm run mutate -- MODULE... [--sample N] [--seed S] [--file TEXT]; modules: ${Object.keys(modules).join(' ')}`,
  );
  process.exit(64);
}
const clear = () => rmSync(copy, { recursive: true, force: true, maxRetries: 5 });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    endRunning();
    clear();
    process.exit(1);
  });
if (!values.built)
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json']);
try {
  for (const name of positionals)
    await mutate(name, {
      sample: Number(values.sample),
      seed: values.seed,
      places: values.file,
      testName: values.test,
    });
} finally {
  clear();
}
