// Runs the tests of a mutation run in one process; the parent (scripts/mutate.mjs) sends orders and receives answers.
//
//   { order: 'look', file, rounds }            runs all tests of a file; answers which mutants each reaches, and its time
//   { order: 'try', mutant, files }            runs the named tests with a mutant switched on, until one fails
//
// An order that ends without an answer (a crash, or a promise that nothing settles) ends the process, which counts as a failed test.
import { closeSync, existsSync, openSync, readFileSync, truncateSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { collect, runTest } from './runner.mjs';

const hitLimit = 2_000_000;
const space = { hitCount: 0, hitLimit, mutantCoverage: { static: {}, perTest: {} } };
globalThis.__stryker__ = space;
/** What threads and child processes reach (reached.mjs). */
const elsewhere = process.env.MUTANTS_REACHED;
let imports = 0;

const fresh = (file) => {
  imports += 1;
  return `${pathToFileURL(file).href}?import=${imports}`;
};

function switchOn(mutant) {
  space.hitCount = 0;
  space.activeMutant = mutant;
  if (mutant === undefined) delete process.env.__STRYKER_ACTIVE_MUTANT__;
  else process.env.__STRYKER_ACTIVE_MUTANT__ = mutant;
}

/** Ids of mutants reached since the last call, here and in threads and children. */
function takeReached() {
  // The code keeps this object, so only its parts may be replaced.
  const counts = space.mutantCoverage;
  const ids = new Set(Object.keys(counts.static));
  counts.static = {};
  if (existsSync(elsewhere)) {
    for (const id of readFileSync(elsewhere, 'utf8').split('\n')) if (id !== '') ids.add(id);
    truncateSync(elsewhere);
  }
  return [...ids];
}

async function look({ file, rounds }) {
  switchOn(undefined);
  process.env.DOVEGATE_ROUNDS = rounds;
  await collect(fresh(file));
  // Sources are loaded once in this process, the test file itself each time.
  const loadingAll = takeReached();
  const { tests, before, after } = await collect(fresh(file));
  const byFile = takeReached();
  const loading = loadingAll.filter((id) => !byFile.includes(id));
  const looked = [];
  try {
    for (const hook of before) await hook();
    for (const { key, run } of tests) {
      const started = process.cpuUsage();
      await runTest(run, key);
      const { user, system } = process.cpuUsage(started);
      looked.push({ key, reached: takeReached(), seconds: (user + system) / 1_000_000 });
    }
  } finally {
    for (const hook of after) await hook();
  }
  return { loading, byFile: [...byFile, ...takeReached()], tests: looked };
}

async function tryFile({ file, rounds, keys }) {
  process.env.DOVEGATE_ROUNDS = rounds;
  const { tests, before, after } = await collect(fresh(file));
  const wanted = keys === undefined ? tests : tests.filter(({ key }) => keys.includes(key));
  let at;
  try {
    for (const hook of before) await hook();
    for (const { key, run } of wanted) {
      at = key;
      await runTest(run, key);
    }
    at = undefined;
    for (const hook of after) await hook();
  } catch {
    return { file, key: at };
  }
  return undefined;
}

async function tryMutant({ mutant, files }) {
  switchOn(mutant);
  for (const file of files) {
    let failed;
    try {
      failed = await tryFile(file);
    } catch {
      failed = { file: file.file };
    }
    if (failed !== undefined) return { failed };
  }
  return {};
}

function answer(value) {
  // The channel keeps the process only between orders: in one, a test that waits for nothing shall end it.
  process.channel.ref();
  process.send(value);
}

// A failure outside of a test (a timer, a promise that is not awaited) counts as a failed test, and ends this process.
for (const event of ['uncaughtException', 'unhandledRejection'])
  process.on(event, (error) => {
    if (process.env.MUTANTS_VERBOSE) console.error(error);
    process.exit(70);
  });

closeSync(openSync(elsewhere, 'a'));
process.on('message', async (message) => {
  process.channel.unref();
  try {
    answer(message.order === 'look' ? await look(message) : await tryMutant(message));
  } catch (error) {
    answer({ error: String(error?.stack ?? error) });
  }
});
process.send({ ready: true });
