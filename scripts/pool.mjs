// Runs files of tests, each in a process of its own, several at a time: as many as keep the processors busy. Most tests wait more than they
// work, and some work more than they wait, so a fixed number would leave processors idle, or make tests late that look at the time.
import { spawn } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { root } from './setup.mjs';

/** So many files at least: where other programs keep the processors busy, too. */
const fewest = availableParallelism() + 1;
const most = 5 * availableParallelism();
/** Another one is begun when the processors had nothing to do in so much of the last second. */
const idleShare = 0.25;
const lookMs = 1_000;

/** What all processors have counted since the machine's start: idle time, and all time. */
function countedMs() {
  let idleMs = 0;
  let allMs = 0;
  for (const { times } of cpus()) {
    idleMs += times.idle;
    for (const ms of Object.values(times)) allMs += ms;
  }
  return { idleMs, allMs };
}

/** Gives a function that says which share of the time since its last call was idle. */
function idleMeter() {
  let before = countedMs();
  return () => {
    const now = countedMs();
    const passedMs = now.allMs - before.allMs;
    const share = passedMs === 0 ? 0 : (now.idleMs - before.idleMs) / passedMs;
    before = now;
    return share;
  };
}

const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

/** These install packages, perhaps from a registry whose authority only the machine's own list has. */
const installing = new Set(['package', 'systemd', 'container']);

/**
 * Node reads the file of NODE_EXTRA_CA_CERTS at each start, even if nothing uses it. A distribution's file takes 30 ms of processor time,
 * more than the rest of a start, and a run has thousands of starts.
 */
function environmentOf(stage) {
  if (installing.has(stage)) return process.env;
  const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
  return environment;
}

/** Runs one file to its end; resolves to all that it said, and its exit code. */
function runFile({ stage, path }) {
  return new Promise((resolve) => {
    const args = ['--enable-source-maps', '--test-reporter=spec', path];
    const options = { cwd: root, env: environmentOf(stage), stdio: ['ignore', 'pipe', 'pipe'] };
    const child = spawn(process.execPath, args, options);
    children.add(child);
    const chunks = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => chunks.push(chunk));
    child.on('error', (error) => chunks.push(Buffer.from(`${error.message}\n`)));
    child.on('close', (code, signal) => {
      children.delete(child);
      resolve({ output: Buffer.concat(chunks).toString(), code, signal });
    });
  });
}

/** The runner's closing lines for a file: the counts. The failures follow them, repeated. */
const closing = /^ℹ tests \d+\n(?:ℹ .*\n)+/gm;

/** Splits the output of a file into its tests, the counts and the failures. */
function readOutput({ output, code, signal }) {
  const found = [...output.matchAll(closing)].pop();
  const count = (word) => Number(new RegExp(`^ℹ ${word} (\\d+)$`, 'm').exec(found?.[0] ?? '')?.[1] ?? 0);
  const counts = {
    pass: count('pass'),
    fail: count('fail') + count('cancelled'),
    skipped: count('skipped') + count('todo'),
  };
  const at = found?.index ?? output.length;
  let failures = output.slice(at + (found?.[0].length ?? 0)).trim();
  // Without the closing lines the process ended before its tests did, whatever its exit code.
  if ((code !== 0 || found === undefined) && counts.fail === 0) {
    counts.fail = 1;
    failures += `\nits process ended with ${code ?? signal}${found === undefined ? ', without the closing lines of the runner' : ''}`;
  }
  return { tests: output.slice(0, at), counts, failures };
}

/**
 * Runs all of them, in this order: `{ stage, name, path }`. Prints what each said when it has ended, and what failed once more at last.
 * Resolves to the counts, and to how long each took: `{ counts, took: [{ stage, name, seconds }] }`.
 */
export async function runPool(entries) {
  const counts = { pass: 0, fail: 0, skipped: 0 };
  const took = [];
  const failed = [];
  const waiting = [...entries];
  const running = new Set();
  let wake;
  const begin = () => {
    const entry = waiting.shift();
    const startMs = performance.now();
    const run = runFile(entry).then((ended) => {
      const seconds = (performance.now() - startMs) / 1000;
      const read = readOutput(ended);
      const title = `${entry.stage}/${entry.name}`;
      process.stdout.write(`\n-- ${title}: ${seconds.toFixed(1)} s\n${read.tests}`);
      for (const key of Object.keys(counts)) counts[key] += read.counts[key];
      if (read.counts.fail > 0) {
        process.stdout.write(`${read.failures}\n`);
        failed.push(`\n-- ${title}\n${read.failures}\n`);
      }
      took.push({ stage: entry.stage, name: entry.name, seconds });
      running.delete(run);
      wake?.();
    });
    running.add(run);
  };
  const idleNow = idleMeter();
  while (waiting.length > 0 || running.size > 0) {
    const isIdle = idleNow() >= idleShare;
    if (waiting.length > 0 && running.size < most && isIdle) begin();
    while (waiting.length > 0 && running.size < fewest) begin();
    // Until the next look, or until one of the few that must run has ended.
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, lookMs);
      wake = () => {
        if (running.size >= fewest && waiting.length > 0) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }
  process.stdout.write(failed.join(''));
  return { counts, took };
}
