// A model of the journal (src/journal/files): the main thread asks for commands and sends them when their admissions are safe; the
// journal's thread takes orders and carries them out in single steps: lines, syncs, segments, copies of checkpoints, space in the ring. The
// process is killed at any point, or the power fails and takes what was not synced; the next start recovers. Records are labels: S1 and A1
// are admissions (S: of a strict effect), C1 and U1 completions (U: unknown), R1 retires segment 1, ck is a checkpoint.

import type { Model, Step } from './explore.js';

/** A segment may be full from so many lines on. */
const fullFrom = 3;

interface Segment {
  readonly number: number;
  readonly lines: readonly string[];
  /** So many of them are on disk. */
  readonly synced: number;
}

interface Write {
  readonly do: 'write';
  readonly labels: readonly string[];
  /** The records of the ring. */
  readonly isBatch?: boolean;
}

/** A step of the journal's thread that is still to be done. */
type Todo =
  | Write
  | {
      readonly do:
        | 'sync'
        | 'release'
        | 'open'
        | 'keep'
        | 'keep state'
        | 'begin'
        | 'forget'
        | 'renew'
        | 'laid'
        | 'told'
        | 'stopped';
    };

export interface JournalState {
  readonly at: 'up' | 'stopping' | 'stopped' | 'dead' | 'starting';
  /** Lines of segments that retention removed. */
  readonly removed: readonly string[];
  readonly segments: readonly Segment[];
  /** A segment that may be removed now; 0: none. */
  readonly removable: number;
  /** Published, and not released. */
  readonly ring: readonly string[];
  /** So many of them are in lines that were written. */
  readonly consumed: number;
  readonly hasRing: boolean;
  readonly todo: readonly Todo[];
  /** Published and released so far; and on disk, as far as the main thread knows. */
  readonly published: number;
  readonly released: number;
  readonly known: number;
  /** Reports that the main thread has not read: the position, or the last one that was laid down. */
  readonly mail: readonly (number | 'laid')[];
  readonly laid: number;
  /** Admissions that wait for the disk, and their ends. */
  readonly waiting: readonly (readonly [label: string, end: number])[];
  /** Commands that left. */
  readonly sent: readonly string[];
  /** Those that this process has not completed. */
  readonly running: readonly string[];
  /** `state` says that a start began after the orderly stop. */
  readonly hasBegun: boolean;
  /** Seq of the checkpoint in `checkpoint.json`. */
  readonly kept: number;
  /** For the invariants: all that was once on disk; admissions that a power cut may take; the last id. */
  readonly fixed: readonly string[];
  readonly excused: readonly string[];
  readonly last: number;
}

export type JournalFlaw =
  | 'sent before it is on disk'
  | 'sent before it is published'
  | 'released when written'
  | 'kept before the sync'
  | 'recovered twice'
  | 'exchanges stay open'
  | 'a record after the stop'
  | 'an open exchange is retired'
  | 'a number is given again';

interface Options {
  readonly flaw?: JournalFlaw;
  /** Exchanges at most. */
  readonly idsMax: number;
}

export function journalModel(options: Options): Model<JournalState> {
  return {
    initial: {
      at: 'up',
      removed: [],
      segments: [{ number: 1, lines: ['start', 'ck'], synced: 2 }],
      removable: 0,
      ring: [],
      consumed: 0,
      hasRing: true,
      todo: [],
      published: 0,
      released: 0,
      known: 0,
      mail: [],
      laid: 0,
      waiting: [],
      sent: [],
      running: [],
      hasBegun: false,
      kept: 2,
      fixed: ['start', 'ck'],
      excused: [],
      last: 0,
    },
    actions: (state) => actionsOf(state, options),
    invariants,
    keyOf: (state) => JSON.stringify(state),
  };
}

const invariants: Model<JournalState>['invariants'] = {
  'a command of a strict effect leaves when its admission is on disk, any other when it is in the ring': (
    state,
  ) =>
    state.sent.every(
      (label) =>
        state.fixed.includes(label) ||
        (label.startsWith('A') && (isSomewhere(state, label) || state.excused.includes(label))),
    ),
  'what was on disk stays, under its number': (state) => {
    const all = linesOf(state);
    return state.fixed.every((label, at) => all[at] === label);
  },
  'the ring gives space free for what is on disk only': (state) =>
    state.segments.every(({ lines, synced }) =>
      lines
        .slice(synced)
        .every((label) => isOwn(label) || label.startsWith('U') || isSafeElsewhere(state, label)),
    ),
  'no record has two lines': (state) => {
    const ids = linesOf(state).filter((label) => !isOwn(label));
    return new Set(ids.map((label) => label.replace('U', 'C'))).size === ids.length;
  },
  'every admission before a start has an end before it': (state) => {
    const all = linesOf(state);
    return all.every((label, at) => label !== 'start' || openIn(all.slice(0, at)).length === 0);
  },
  'after a stop comes its checkpoint, and then nothing but a start': (state) => {
    const all = linesOf(state);
    return all.every((label, at) => {
      if (label !== 'stop') return true;
      const next = all.slice(at + 1).filter((one) => one !== 'ck');
      return (
        (next[0] === 'ck!' ? next[1] : next[0]) === 'start' || next.join() === 'ck!' || next.length === 0
      );
    });
  },
  'the copy of a checkpoint names a record on disk': ({ kept, fixed }) => kept <= fixed.length,
  'a segment with an open exchange stays, and each that goes was retired on disk': ({
    removed,
    segments,
    fixed,
  }) => {
    const first = segments[0]?.number ?? 1;
    const retired = Array.from({ length: first - 1 }, (_, at) => `R${at + 1}`);
    return (
      openIn(fixed).every((label) => !removed.includes(label)) &&
      retired.every((label) => fixed.includes(label))
    );
  },
};

export function linesOf({ removed, segments }: JournalState): string[] {
  return [...removed, ...segments.flatMap(({ lines }) => lines)];
}

function isOwn(label: string): boolean {
  return !/^[SACU]\d/.test(label);
}

/** Admissions without an end. */
export function openIn(lines: readonly string[]): string[] {
  const ended = new Set(lines.filter((label) => /^[CU]\d/.test(label)).map((label) => label.slice(1)));
  return lines.filter((label) => /^[SA]\d/.test(label) && !ended.has(label.slice(1)));
}

function isSomewhere(state: JournalState, label: string): boolean {
  return state.ring.includes(label) || linesOf(state).includes(label);
}

/** In the ring; or a kill came, and the lines are all in the kernel. */
function isSafeElsewhere(state: JournalState, label: string): boolean {
  return state.ring.includes(label) || state.at === 'dead' || state.at === 'starting';
}

const write = (...labels: string[]): Todo => ({ do: 'write', labels });
const step = (name: Exclude<Todo['do'], 'write'>): Todo => ({ do: name });

function actionsOf(state: JournalState, options: Options): readonly Step<JournalState>[] {
  const { flaw } = options;
  const steps: Step<JournalState>[] = [];
  if (state.at === 'dead') return [['start', start(state, flaw)], ...crashes(state)];
  if (state.at === 'stopped') return [['start', start(crash(state), flaw)], ...crashes(state)];
  steps.push(...doNext(state, flaw));
  if (state.at === 'up') steps.push(...ofMain(state, options));
  if (state.at === 'up' && state.todo.length === 0) steps.push(...orders(state, flaw));
  if (state.at !== 'starting' && state.mail.length > 0) steps.push(['report', report(state)]);
  return [...steps, ...crashes(state)];
}

function ofMain(state: JournalState, { flaw, idsMax }: Options): Step<JournalState>[] {
  const steps: Step<JournalState>[] = [];
  if (state.last < idsMax) {
    const id = state.last + 1;
    const strict = publish({ ...state, last: id }, `S${id}`);
    steps.push([
      'ask strict',
      flaw === 'sent before it is on disk'
        ? send(strict, `S${id}`)
        : { ...strict, waiting: [...state.waiting, [`S${id}`, strict.published]] },
    ]);
    const other =
      flaw === 'sent before it is published'
        ? { ...state, last: id }
        : publish({ ...state, last: id }, `A${id}`);
    steps.push(['ask', send(other, `A${id}`)]);
  }
  for (const label of state.running) {
    const running = state.running.filter((one) => one !== label);
    steps.push([`complete ${label}`, publish({ ...state, running }, `C${label.slice(1)}`)]);
  }
  const { removable, segments } = state;
  if (removable > 0)
    steps.push([
      'remove',
      {
        ...state,
        removable: 0,
        removed: [...state.removed, ...(segments[0]?.lines ?? [])],
        segments: segments.slice(1),
      },
    ]);
  return steps;
}

function publish(state: JournalState, label: string): JournalState {
  return { ...state, ring: [...state.ring, label], published: state.published + 1 };
}

function send(state: JournalState, label: string): JournalState {
  return { ...state, sent: [...state.sent, label], running: [...state.running, label] };
}

function report(state: JournalState): JournalState {
  const [first, ...mail] = state.mail;
  const known = Math.max(state.known, first === 'laid' ? state.laid : (first ?? 0));
  let next: JournalState = { ...state, mail, known, waiting: state.waiting.filter(([, end]) => end > known) };
  for (const [label, end] of state.waiting) if (end <= known) next = send(next, label);
  return next;
}

/** What the journal's thread is told to do while it has nothing to do. */
function orders(state: JournalState, flaw: JournalFlaw | undefined): Step<JournalState>[] {
  const steps: Step<JournalState>[] = [];
  const batch: Todo[] = state.ring.length > 0 ? [{ do: 'write', labels: state.ring, isBatch: true }] : [];
  const ends = [step('sync'), step('keep'), step('keep state')];
  if (flaw === 'kept before the sync') ends.reverse();
  const told = step('told');
  if (batch.length > 0) steps.push(['bell', { ...state, todo: [...batch, step('sync'), step('laid')] }]);
  steps.push(['checkpoint', { ...state, todo: [...batch, write('ck'), ...ends, told] }]);
  const [first, second] = state.segments;
  if (first !== undefined && second !== undefined) {
    const { number } = first;
    // What is still in the ring is written before.
    const isOpen = openIn([...linesOf(state), ...state.ring]).some((label) => first.lines.includes(label));
    const isRecorded = linesOf(state).includes(`R${number}`);
    const mayGo = !isOpen || flaw === 'an open exchange is retired';
    const retire = mayGo && !isRecorded ? [write(`R${number}`)] : [];
    const next = { ...state, removable: 0, todo: [...batch, ...retire, write('ck'), ...ends, told] };
    steps.push(['retire', mayGo ? { ...next, removable: -number } : next]);
  }
  const late = flaw === 'a record after the stop' ? [write('late')] : [];
  const stop = [write('stop'), write('ck!'), ...ends, step('forget'), ...late, step('stopped')];
  const isQuiet = state.waiting.length === 0 && openIn([...linesOf(state), ...state.ring]).length === 0;
  if (isQuiet) steps.push(['stop', { ...state, at: 'stopping', todo: [...batch, ...stop] }]);
  return steps;
}

/** The next step of the journal's thread; before any line, the segment may be full. */
function doNext(state: JournalState, flaw: JournalFlaw | undefined): Step<JournalState>[] {
  const [next, ...rest] = state.todo;
  if (next === undefined) return [];
  if (next.do !== 'write')
    return [[next.do === 'begin' ? 'keep state' : next.do, settle(doOne({ ...state, todo: rest }, next.do))]];
  const written = append({ ...state, todo: rest }, next, flaw);
  const steps: Step<JournalState>[] = [[nameOf(next.labels), settle(written)]];
  const { lines = [] } = state.segments.at(-1) ?? {};
  for (let count = 0; count < next.labels.length; count += 1) {
    if (lines.length + count < fullFrom) continue;
    const [before, after] = [next.labels.slice(0, count), next.labels.slice(count)];
    const turn = [step('sync'), step('open'), write('ck'), step('sync'), { ...next, labels: after }];
    const turned = { ...state, todo: [...turn, ...keepToo(rest)] };
    if (count > 0)
      steps.push([nameOf(before), append(turned, { ...next, labels: before, isBatch: false }, flaw)]);
    else steps.push(['sync', doOne({ ...turned, todo: turned.todo.slice(1) }, 'sync')]);
  }
  return steps;
}

function nameOf(labels: readonly string[]): string {
  return `write ${labels.join(' ')}`;
}

/** The first checkpoint of a new segment is copied, too, at the end of the order. */
function keepToo(todo: readonly Todo[]): readonly Todo[] {
  if (todo.some((one) => one.do === 'keep')) return todo;
  return todo.flatMap((one) =>
    one.do === 'laid' ? [step('keep'), step('keep state'), step('told')] : [one],
  );
}

function append(
  state: JournalState,
  { labels, isBatch }: Write,
  flaw: JournalFlaw | undefined,
): JournalState {
  const segments = state.segments.map((segment, at) =>
    at === state.segments.length - 1 ? { ...segment, lines: [...segment.lines, ...labels] } : segment,
  );
  const next = { ...state, segments };
  if (isBatch !== true) return next;
  const taken = { ...next, consumed: state.ring.filter((label) => linesOf(next).includes(label)).length };
  return flaw === 'released when written' ? doOne(taken, 'release') : taken;
}

/** After the last change of an order, its report. */
function settle(state: JournalState): JournalState {
  const [next, ...todo] = state.todo;
  if (next === undefined) return state.at === 'starting' ? { ...state, at: 'up' } : state;
  if (next.do === 'stopped') return { ...state, todo, at: 'stopped', mail: [] };
  if (next.do !== 'laid' && next.do !== 'told') return state;
  const { released, laid, mail, removable } = state;
  const place =
    next.do === 'laid'
      ? { laid: released, mail: [...mail, 'laid' as const] }
      : { laid, mail: [...mail, released] };
  return { ...state, todo, ...place, removable: Math.abs(removable) };
}

function doOne(state: JournalState, name: Exclude<Todo['do'], 'write'>): JournalState {
  const { segments } = state;
  const last = segments.at(-1);
  switch (name) {
    case 'sync': {
      const synced = segments.map((segment) =>
        segment === last ? { ...segment, synced: segment.lines.length } : segment,
      );
      const next = { ...state, segments: synced };
      const todo = state.consumed > 0 ? [step('release'), ...state.todo] : state.todo;
      return { ...next, todo, fixed: longer(state.fixed, linesOf(next)) };
    }
    case 'release': {
      const { consumed, ring, released } = state;
      return { ...state, ring: ring.slice(consumed), released: released + consumed, consumed: 0 };
    }
    case 'open':
      return { ...state, segments: [...segments, { number: (last?.number ?? 0) + 1, lines: [], synced: 0 }] };
    case 'keep': {
      const kept = linesOf(state).findLastIndex((label) => label === 'ck' || label === 'ck!') + 1;
      return { ...state, kept };
    }
    case 'forget':
      return { ...state, hasRing: false };
    case 'renew':
      // All of it is on disk.
      return { ...state, hasRing: true, ring: [], published: 0, released: 0, known: 0, laid: 0 };
    case 'begin':
    case 'keep state':
      return { ...state, hasBegun: name === 'begin' };
    case 'laid':
    case 'told':
    case 'stopped':
      return state;
    default:
      return name satisfies never;
  }
}

function longer(one: readonly string[], other: readonly string[]): readonly string[] {
  return other.length > one.length ? other : one;
}

/** What a crash leaves, of any kind. */
function crash(state: JournalState): JournalState {
  const none = { todo: [], mail: [], waiting: [], running: [], consumed: 0, removable: 0 };
  return { ...state, ...none, at: 'dead' };
}

function crashes(state: JournalState): Step<JournalState>[] {
  const dead = crash(state);
  const steps: Step<JournalState>[] = state.at === 'stopped' || state.at === 'dead' ? [] : [['kill', dead]];
  const last = state.segments.at(-1);
  const { lines = [], synced = 0 } = last ?? {};
  for (let count = synced; count <= lines.length; count += 1) {
    const kept = lines.slice(0, count);
    const segments = dead.segments.map((segment) =>
      segment === last ? { ...segment, lines: kept, synced: count } : segment,
    );
    const lost = { ...dead, segments, ring: [] };
    const excused = state.sent.filter((label) => label.startsWith('A') && !linesOf(lost).includes(label));
    const next = { ...lost, excused: [...new Set([...state.excused, ...excused])] };
    steps.push([`power keeps ${count - synced}`, next]);
    if (count < lines.length) {
      steps.push([`power tears ${count - synced}`, next]);
      steps.push([`power zeroes ${count - synced}`, next]);
    }
  }
  return steps;
}

function start(state: JournalState, flaw: JournalFlaw | undefined): JournalState {
  // A segment without a whole line is removed.
  let segments = state.segments.filter(({ lines }) => lines.length > 0);
  if (flaw === 'a number is given again')
    segments = segments.map((one, at) =>
      at === segments.length - 1
        ? { ...one, lines: one.lines.slice(0, -1), synced: Math.min(one.synced, one.lines.length - 1) }
        : one,
    );
  const all = linesOf({ ...state, segments });
  const isOrderly = all.at(-1) === 'ck!' && !state.hasBegun;
  const left = isOrderly ? [] : state.ring;
  const taken = left.filter((label) => flaw === 'recovered twice' || !all.includes(label));
  const open = flaw === 'exchanges stay open' ? [] : openIn([...all, ...taken]);
  const todo: Todo[] = [
    ...(isOrderly ? [step('begin')] : []),
    ...(taken.length > 0 ? [write(...taken), step('sync')] : []),
    ...open.map((label) => write(`U${label.slice(1)}`)),
    write('start'),
    write('ck'),
    step('sync'),
    step('keep state'),
    ...(state.hasRing ? [step('forget')] : []),
    step('renew'),
    step('keep'),
    step('keep state'),
  ];
  return { ...state, segments, at: 'starting', todo };
}
