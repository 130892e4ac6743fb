// The thread in which courses run, so that one that does not end can be ended.

import { parentPort, workerData } from 'node:worker_threads';
import { type Broken, check, type Input } from './check.js';
import { type Course, follow } from './course.js';
import { openCoverage } from './coverage.js';
import { Shown } from './shared.js';
import type { Target } from './target.js';

/** One course to run. */
export interface Order {
  readonly name: string;
  readonly seed: number;
  readonly inputsMax: number;
  readonly msMax: number;
  readonly corpus: readonly Uint8Array[];
}

export interface ThreadData {
  readonly shown: SharedArrayBuffer;
  /** The module that exports `targets`. */
  readonly targets: string;
  readonly orders: readonly Order[];
  /** Whether inputs are kept. */
  readonly grows: boolean;
  /** Whether those that are worth saving are looked for. */
  readonly isSaved: boolean;
  /** Instead of courses: one input. */
  readonly only?: { readonly name: string; readonly bytes: Uint8Array; readonly cutSeed: number };
}

export type ThreadReport =
  | { readonly kind: 'begun'; readonly name: string }
  | { readonly kind: 'found'; readonly name: string; readonly broken: Broken; readonly input: Input }
  | { readonly kind: 'done'; readonly name: string; readonly course: Course }
  | { readonly kind: 'checked'; readonly broken: Broken | undefined };

const data: ThreadData = workerData;
const shown = new Shown(data.shown);
const tell = (report: ThreadReport): void => parentPort?.postMessage(report, []);
const { targets }: { readonly targets: readonly Target[] } = await import(data.targets);

function targetNamed(name: string): Target {
  const found = targets.find((target) => target.name === name);
  if (found === undefined) throw new Error(`no target ${name}`);
  return found;
}

if (data.only !== undefined) {
  const { name, bytes, cutSeed } = data.only;
  const target = targetNamed(name);
  // What is made at the first use is not the input's.
  for (const seed of target.seeds().slice(0, 20)) await check(target, { bytes: seed, cutSeed: 1 });
  const input = { bytes: Buffer.from(bytes), cutSeed };
  shown.begin(input);
  const checked = await check(target, input);
  shown.end();
  tell({ kind: 'checked', broken: 'answer' in checked ? undefined : checked });
} else {
  const coverage = data.grows ? openCoverage() : undefined;
  for (const { name, seed, inputsMax, msMax, corpus } of data.orders) {
    tell({ kind: 'begun', name });
    coverage?.forget();
    const course = await follow({
      target: targetNamed(name),
      seed,
      inputsMax,
      msMax,
      corpus: corpus.map((bytes) => Buffer.from(bytes)),
      coverage,
      isSaved: data.isSaved,
      begin: (input) => shown.begin(input),
      end: () => shown.end(),
      found: (broken, input) => tell({ kind: 'found', name, broken, input }),
    });
    tell({ kind: 'done', name, course });
  }
  coverage?.close();
}
