// A campaign: courses of several targets, one after the other, in a thread that is watched. An input that takes longer than a second, or
// more memory than the thread may have, is a finding too, and the courses go on without it.

import { Worker } from 'node:worker_threads';
import type { Broken, Input } from './check.js';
import type { Course } from './course.js';
import type { Order, ThreadData, ThreadReport } from './course-thread.js';
import { makeShown, Shown } from './shared.js';

export interface Finding extends Input {
  readonly name: string;
  readonly seed: number;
  readonly broken: Broken;
}

export interface CampaignOptions {
  /** The module that exports `targets`, as a URL. */
  readonly targets: string;
  readonly orders: readonly Order[];
  readonly grows: boolean;
  readonly isSaved?: boolean;
  readonly onFinding?: (finding: Finding) => void;
  readonly onDone?: (name: string, course: Course) => void;
}

/** Of processor time: a busy machine is no loop. */
const loopMs = 1_000;
/** One that waits and does not work. */
const stallMs = 120_000;
const lookMs = 50;
/** A course that meets so many inputs without end is given up. */
const stopsMax = 5;
const heapMegabytesMax = 768;
const entry = new URL('./course-thread.js', import.meta.url);

type Stopped = { readonly kind: 'loop' | 'memory'; readonly input: Input };

/** Of all threads: while one reads an input, the others do next to nothing. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Runs a thread to its end; tells why it was stopped before. */
function runThread(
  data: Omit<ThreadData, 'shown'>,
  take: (report: ThreadReport) => void,
): Promise<Stopped | undefined> {
  const memory = makeShown();
  const shown = new Shown(memory);
  const worker = new Worker(entry, {
    workerData: { ...data, shown: memory } satisfies ThreadData,
    // A small young generation makes a thread several times as slow.
    resourceLimits: { maxOldGenerationSizeMb: heapMegabytesMax, maxYoungGenerationSizeMb: 128 },
    // Not the source maps of a test: they make each fault that is thrown several times as expensive.
    execArgv: [],
  });
  return new Promise((resolve, reject) => {
    let at: number | undefined;
    let sinceMs = performance.now();
    let workedMs = processorMs();
    const timer = setInterval(() => {
      const now = shown.at;
      if (now === undefined || now !== at) {
        at = now;
        sinceMs = performance.now();
        workedMs = processorMs();
      } else if (processorMs() - workedMs > loopMs || performance.now() - sinceMs > stallMs)
        stop({ kind: 'loop', input: shown.input() });
    }, lookMs);
    let stopped: Stopped | undefined;
    const stop = (why: Stopped): void => {
      stopped = why;
      clearInterval(timer);
      void worker.terminate();
    };
    worker.on('message', take);
    worker.on('error', (error) => {
      clearInterval(timer);
      if ('code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY')
        stopped = { kind: 'memory', input: shown.input() };
      else reject(error);
    });
    worker.on('exit', () => {
      clearInterval(timer);
      resolve(stopped);
    });
  });
}

/** Runs one input by itself; undefined: nothing is wrong with it. */
export async function repeat(
  targets: string,
  name: string,
  { bytes, cutSeed }: Input,
): Promise<Broken | undefined> {
  let broken: Broken | undefined;
  const stopped = await runThread(
    { targets, orders: [], grows: false, isSaved: false, only: { name, bytes, cutSeed } },
    (report) => {
      if (report.kind === 'checked') broken = report.broken;
    },
  );
  if (stopped === undefined) return broken;
  const texts = {
    loop: `does not end within ${loopMs} ms of work`,
    memory: `takes more than ${heapMegabytesMax} MB`,
  };
  return { kind: stopped.kind, text: texts[stopped.kind] };
}

/** Returns all findings, each once. */
export async function runCampaign(options: CampaignOptions): Promise<readonly Finding[]> {
  const { targets, grows, isSaved = false } = options;
  const findings: Finding[] = [];
  let orders = [...options.orders];
  let stops = 0;
  const note = (finding: Finding): void => {
    findings.push(finding);
    options.onFinding?.(finding);
  };
  while (orders.length > 0) {
    let begunMs = performance.now();
    const stopped = await runThread({ targets, orders, grows, isSaved }, (report) => {
      const [order] = orders;
      if (report.kind === 'begun') begunMs = performance.now();
      else if (report.kind === 'found' && order !== undefined)
        note({
          name: report.name,
          seed: order.seed,
          broken: report.broken,
          bytes: Buffer.from(report.input.bytes),
          cutSeed: report.input.cutSeed,
        });
      else if (report.kind === 'done') {
        orders = orders.slice(1);
        stops = 0;
        options.onDone?.(report.name, report.course);
      }
    });
    const [order, ...others] = orders;
    if (stopped === undefined || order === undefined) break;
    stops += 1;
    // A machine that stood still is no loop: it is tried alone.
    const broken = await repeat(targets, order.name, stopped.input);
    if (broken !== undefined) note({ name: order.name, seed: order.seed, broken, ...stopped.input });
    const msMax = order.msMax - (performance.now() - begunMs);
    // Other inputs from here on.
    const next = { ...order, seed: order.seed + 1, msMax };
    orders = stops >= stopsMax || msMax <= 0 ? others : [next, ...others];
  }
  return findings;
}
