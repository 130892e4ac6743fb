// Runs files of tests, each in a process of its own, several at a time: as many as keep the processors busy. Most tests wait more than they
// work, and some work more than they wait, so a fixed number would leave processors idle, or make tests late that look at the time.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { fileLimitS, root } from './setup.mjs';

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

/** Of one failure; all of it is in the log of its file. */
const failureLinesMax = 50;
const logs = join(root, 'build', 'log');
const reporter = join(root, 'scripts', 'reporter.mjs');

/** Runs one file to its end; resolves to all that it said, which stays in `log`, and how it ended. */
function runFile({ stage, path }, log) {
  return new Promise((resolve) => {
    const args = ['--enable-source-maps', `--test-reporter=${reporter}`, path];
    const file = openSync(log, 'w');
    const options = { cwd: root, env: environmentOf(stage), stdio: ['ignore', file, file] };
    const child = spawn(process.execPath, args, options);
    closeSync(file);
    // One that cannot even say that it is late (reporter.mjs).
    const timer = setTimeout(() => child.kill('SIGKILL'), (fileLimitS + 30) * 1000);
    const end = (how) => {
      clearTimeout(timer);
      resolve({ output: readFileSync(log, 'utf8'), how });
    };
    child.on('error', (error) => end(error.message));
    child.on('exit', (code, signal) => end(code ?? signal));
  });
}

/** The runner's closing lines for a file: the counts. */
const closing = /^ℹ tests \d+\n(?:ℹ .*\n)+/gm;

/** A line of the reporter that begins with a sign, and the indented ones below it. */
const said = /^([ℹ﹣✖]) .*\n(?: {2}.*\n)*/gm;

/** The counts of a file, and what of its output is worth a reader's time. */
function readOutput({ output, how }) {
  const found = [...output.matchAll(closing)].pop();
  const count = (word) => Number(new RegExp(`^ℹ ${word} (\\d+)$`, 'm').exec(found?.[0] ?? '')?.[1] ?? 0);
  const counts = {
    pass: count('pass'),
    fail: count('fail') + count('cancelled'),
    skipped: count('skipped') + count('todo'),
  };
  /** Of its process and of the processes that it waited for. */
  const busy = Number(/^ℹ processor_s ([\d.]+)$/m.exec(found?.[0] ?? '')?.[1] ?? 0);
  const shown = [...output.replace(found?.[0] ?? '', '').matchAll(said)].map(([text]) => text);
  // Without the closing lines the process ended before its tests did, whatever its exit code.
  if ((how !== 0 || found === undefined) && counts.fail === 0) {
    counts.fail = 1;
    const last = output
      .trimEnd()
      .split('\n')
      .slice(-failureLinesMax + 2);
    shown.push(
      [
        `✖ its process ended with ${how}${found === undefined ? ', before its tests did' : ''}`,
        ...last.map((line) => `  ${line}`),
        '',
      ].join('\n'),
    );
  }
  return { counts, busy, shown: shown.map(cut) };
}

/** At most so many lines of it. */
function cut(text) {
  const lines = text.trimEnd().split('\n');
  const more = lines.length - failureLinesMax;
  return more <= 0
    ? text
    : [...lines.slice(0, failureLinesMax - 1), `  ... ${more + 1} more lines`, ''].join('\n');
}

/** Of a failure, for the closing list: where only the end of a long log is kept, the cause is in it. */
function firstLines(text) {
  return text.trimEnd().split('\n').slice(0, 12).join('\n');
}

const inWords = (counts) =>
  Object.entries(counts)
    .filter(([key, number]) => number > 0 || key === 'pass')
    .map(([key, number]) => `${number} ${key}`)
    .join(', ');

/** Prints lines, and on a terminal below them one line that says how far it is, written again and again. */
function openScreen(progress) {
  const out = process.stdout;
  const clear = out.isTTY ? '\r\x1b[K' : '';
  return (text) => {
    const line = out.isTTY ? progress().slice(0, out.columns - 1) : '';
    out.write(`${clear}${text}${line}`);
  };
}

/**
 * Runs all of them, in this order: `{ stage, name, path }`. Prints a line for each that has something to say, with each failure below it;
 * one for each stage whose last file has ended; and at last which tests have failed, with the first lines of why. Resolves to the counts,
 * and to how long each took, and how much of a processor: `{ counts, took: [{ stage, name, seconds, busy }] }`, in seconds.
 */
export async function runPool(entries) {
  const counts = { pass: 0, fail: 0, skipped: 0 };
  const took = [];
  const failed = [];
  const waiting = [...entries];
  const running = new Map();
  const stages = new Map();
  for (const { stage } of entries) {
    const { files = 0 } = stages.get(stage) ?? {};
    stages.set(stage, { files: files + 1, left: files + 1, seconds: 0, pass: 0, fail: 0, skipped: 0 });
  }
  const say = openScreen(
    () => `${took.length} of ${entries.length} files, ${inWords(counts)}; ${[...running.values()].join(' ')}`,
  );
  mkdirSync(logs, { recursive: true });
  let wake;
  const begin = () => {
    const entry = waiting.shift();
    const startMs = performance.now();
    const log = join(logs, `${entry.stage}-${entry.name}.txt`);
    const title = `${entry.stage}/${entry.name}`;
    const run = runFile(entry, log).then((ended) => {
      const seconds = (performance.now() - startMs) / 1000;
      const read = readOutput(ended);
      const stage = stages.get(entry.stage);
      for (const key of Object.keys(counts)) {
        counts[key] += read.counts[key];
        stage[key] += read.counts[key];
      }
      stage.left -= 1;
      stage.seconds += seconds;
      for (const text of read.shown)
        if (text.startsWith('✖')) failed.push(`${title}: ${firstLines(text.slice(2))}`);
      took.push({ stage: entry.stage, name: entry.name, seconds, busy: read.busy });
      running.delete(run);
      const where = read.counts.fail > 0 ? `; all that it said: ${log}` : '';
      if (read.shown.length > 0)
        say(`-- ${title}: ${seconds.toFixed(1)} s, ${inWords(read.counts)}${where}\n${read.shown.join('')}`);
      const { files, left, pass, fail, skipped } = stage;
      if (left === 0)
        say(
          `== ${entry.stage}: ${inWords({ pass, fail, skipped })} in ${files} ${files === 1 ? 'file' : 'files'}, ${stage.seconds.toFixed(0)} s one after another\n`,
        );
      wake?.();
    });
    running.set(run, title);
  };
  const idleNow = idleMeter();
  while (waiting.length > 0 || running.size > 0) {
    const isIdle = idleNow() >= idleShare;
    if (waiting.length > 0 && running.size < most && isIdle) begin();
    while (waiting.length > 0 && running.size < fewest) begin();
    say('');
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
  say(failed.length > 0 ? `\n== failed\n${failed.map((line) => `${line}\n`).join('')}` : '');
  return { counts, took };
}
