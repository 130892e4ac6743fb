// A model of the ring of records (src/journal/files/ring.ts, ring-file.ts) and the two threads that use it: records are placed and
// then published by one store; a batch is written to the segment, synced, and its space released; the process is killed at any point; the
// file is damaged; the next start reads it. Sizes are in units of 16 bytes.

import type { Model, Step } from './explore.js';

export const unit = 16;
/** With the header of a frame. After six small records one unit is left: fewer than 32 bytes, which both sides skip. */
export const sizes = { small: 8, large: 13, data: 49 } as const;

/** What is put at once: the sizes of its records, and whether only half of the ring is for it. */
export const puts = {
  admission: { records: [sizes.small], isHalf: true },
  pair: { records: [sizes.small, sizes.large], isHalf: true },
  outcome: { records: [sizes.large], isHalf: false },
} as const;
export type Put = keyof typeof puts;
export const putNames = ['admission', 'pair', 'outcome'] as const satisfies readonly Put[];

/** Done to the file between a kill and a start. */
export const damages = [
  'a bit of the head word',
  'the head word',
  'the tail word',
  'both words',
  'a bit of the header',
  'the header of another ring',
  'a bit of the oldest record',
  'a bit of the newest record',
] as const;
export type Damage = (typeof damages)[number];

interface Frame {
  readonly id: number;
  readonly at: number;
  readonly size: number;
  readonly isBad: boolean;
}

export interface RingState {
  readonly at: 'up' | 'dead' | 'reading' | 'taken' | 'noted' | 'forgotten' | 'refused';
  readonly head: number;
  readonly tail: number;
  /** The tail that the publishing side knows. */
  readonly known: number;
  /** Frames that are not released; those from `head` on are placed and not published. */
  readonly frames: readonly Frame[];
  /** What is being put: undefined: nothing. */
  readonly putting: Put | undefined;
  /** The journal thread took the frames up to here. */
  readonly taken: number;
  /** Ids of the batch on its way to the disk. */
  readonly batch: readonly number[];
  readonly step: 'none' | 'stamped' | 'written' | 'synced';
  /** Ids in the segments: a kill keeps what was written. */
  readonly lines: readonly number[];
  readonly damage: Damage | undefined;
  /** As the last start record says it. */
  readonly told: 'damaged' | 'foreign' | undefined;
  readonly recovered: number;
  /** For the invariants. */
  readonly last: number;
  readonly answered: readonly number[];
  readonly excused: readonly number[];
  readonly pairs: readonly number[];
  /** The bytes in use when an admission was last accepted. */
  readonly usedByAdmission: number;
}

/** Errors that can be planted; each breaks one invariant. */
export type RingFlaw =
  | 'answered when placed'
  | 'space is not checked'
  | 'released before it is written'
  | 'frames of another ring are taken'
  | 'the newest first'
  | 'written frames are taken again'
  | 'a pair by two stores'
  | 'admissions use all of it'
  | 'a damaged header stops the start'
  | 'damage is not told';

export function ringModel(position: number, flaw?: RingFlaw): Model<RingState> {
  return {
    initial: {
      at: 'up',
      head: position,
      tail: position,
      known: position,
      frames: [],
      putting: undefined,
      taken: position,
      batch: [],
      step: 'none',
      lines: [],
      damage: undefined,
      told: undefined,
      recovered: 0,
      last: 0,
      answered: [],
      excused: [],
      pairs: [],
      usedByAdmission: 0,
    },
    actions: (state) => actionsOf(state, flaw),
    invariants,
    keyOf: (state) => JSON.stringify(state),
  };
}

const invariants: Model<RingState>['invariants'] = {
  'a record that was answered safe is in the segments or in the ring, whatever happened': (state) =>
    state.answered.every(
      (id) =>
        state.lines.includes(id) ||
        state.excused.includes(id) ||
        published(state).some((frame) => frame.id === id && !frame.isBad),
    ),
  'no line is of a record that was never put': ({ lines, last }) => lines.every((id) => id > 0 && id <= last),
  'the order is kept': ({ lines }) => lines.every((id, at) => id >= (lines[at - 1] ?? 0)),
  'no record has two lines': ({ lines }) => new Set(lines).size === lines.length,
  'a damaged or foreign header never stops a start': ({ at }) => at !== 'refused',
  'records that are put together are there together or not at all': (state) =>
    isRead(state) || state.pairs.every((first) => isKept(state, first) === isKept(state, first + 1)),
  'admissions leave half of the space to outcomes': ({ usedByAdmission }) =>
    usedByAdmission <= sizes.data / 2,
  'a start that finds damage says so': ({ at, damage, told }) =>
    at !== 'noted' || damage === undefined || told !== undefined,
};

/** While a start reads, the lines of a pair are written one by one. */
function isRead({ at, excused, step }: RingState): boolean {
  return at !== 'up' || excused.length > 0 || step !== 'none';
}

function isKept(state: RingState, id: number): boolean {
  return state.lines.includes(id) || published(state).some((frame) => frame.id === id);
}

function published({ frames, head }: RingState): readonly Frame[] {
  return frames.filter(({ at }) => at < head);
}

function actionsOf(state: RingState, flaw: RingFlaw | undefined): readonly Step<RingState>[] {
  if (state.at === 'dead') return ofDead(state, flaw);
  if (state.at === 'refused') return [];
  return [...(state.at === 'up' ? ofRun(state, flaw) : ofStart(state, flaw)), ...kills(state)];
}

/** A process that runs: its main thread puts records, its journal thread takes them. */
function ofRun(state: RingState, flaw: RingFlaw | undefined): Step<RingState>[] {
  const steps: Step<RingState>[] = [];
  const { putting, batch, frames, head, tail, taken } = state;
  if (putting === undefined) for (const name of putNames) steps.push([name, place(state, name, flaw)]);
  else steps.push(['publish', publish(state, flaw)]);
  switch (state.step) {
    case 'none': {
      const ids = frames.filter(({ at }) => at >= taken && at < head).map(({ id }) => id);
      if (ids.length > 0) steps.push(['bell', { ...state, batch: ids, taken: head, step: 'stamped' }]);
      break;
    }
    case 'stamped':
      if (flaw === 'released before it is written')
        steps.push(['line', release({ ...state, step: 'written' })]);
      else steps.push(['line', { ...state, lines: [...state.lines, ...batch], step: 'written' }]);
      break;
    case 'written':
      if (flaw === 'released before it is written')
        steps.push(['sync', { ...state, lines: [...state.lines, ...batch], batch: [], step: 'none' }]);
      else steps.push(['sync', { ...state, step: 'synced' }]);
      break;
    case 'synced':
      steps.push(['release', { ...release(state), batch: [], step: 'none' }]);
      break;
    default:
      state.step satisfies never;
  }
  if (state.known < tail) steps.push(['report', { ...state, known: tail }]);
  return steps;
}

function release(state: RingState): RingState {
  return { ...state, tail: state.taken, frames: state.frames.filter(({ at }) => at >= state.taken) };
}

/** Refused where there is no space: then nothing changes. */
function place(state: RingState, name: Put, flaw: RingFlaw | undefined): RingState {
  const { records, isHalf } = puts[name];
  const mayUse = isHalf && flaw !== 'admissions use all of it' ? sizes.data / 2 : sizes.data;
  const placed: Frame[] = [];
  let end = state.head;
  for (const size of records) {
    const left = sizes.data - (end % sizes.data);
    // Frames are never split.
    const at = left < size ? end + left : end;
    placed.push({ id: state.last + placed.length + 1, at, size, isBad: false });
    end = at + size;
  }
  const used = end - state.known;
  if (used > mayUse && flaw !== 'space is not checked') return state;
  const kept = state.frames.filter(({ at }) => at + sizes.data >= end);
  const next = {
    ...state,
    frames: [...kept, ...placed],
    putting: name,
    last: state.last + placed.length,
    usedByAdmission: isHalf && flaw !== 'space is not checked' ? used : state.usedByAdmission,
  };
  const ids = placed.map(({ id }) => id);
  return flaw === 'answered when placed' ? { ...next, answered: [...state.answered, ...ids] } : next;
}

function publish(state: RingState, flaw: RingFlaw | undefined): RingState {
  const placed = state.frames.filter(({ at }) => at >= state.head);
  const isPair = state.putting === 'pair';
  const now = flaw === 'a pair by two stores' ? placed.slice(0, 1) : placed;
  const last = now.at(-1);
  const ids = now.map(({ id }) => id);
  return {
    ...state,
    head: last === undefined ? state.head : last.at + last.size,
    putting: now.length < placed.length ? state.putting : undefined,
    answered: [...state.answered, ...ids.filter((id) => !state.answered.includes(id))],
    pairs: isPair && ids[0] !== undefined ? [...state.pairs, ids[0]] : state.pairs,
  };
}

function kills(state: RingState): Step<RingState>[] {
  const dead: RingState = { ...state, at: 'dead', putting: undefined, batch: [], step: 'none' };
  const steps: Step<RingState>[] = [['kill', dead]];
  // All lines but the last are whole.
  if (state.at === 'up' && state.step === 'stamped')
    steps.push(['kill within line', { ...dead, lines: [...state.lines, ...state.batch.slice(0, -1)] }]);
  return steps;
}

function ofDead(state: RingState, flaw: RingFlaw | undefined): Step<RingState>[] {
  const steps: Step<RingState>[] = [['start', start(state, flaw)]];
  if (state.damage !== undefined || state.head < 0) return steps;
  const unreleased = published(state);
  for (const damage of damages) {
    const hit =
      damage === 'a bit of the oldest record'
        ? unreleased[0]
        : damage === 'a bit of the newest record'
          ? unreleased.at(-1)
          : undefined;
    if (hit === undefined && damage.endsWith('record')) continue;
    const frames = state.frames.map((frame) => (frame === hit ? { ...frame, isBad: true } : frame));
    const lost = damage === 'the header of another ring' ? unreleased : hit === undefined ? [] : [hit];
    const excused = lost.map(({ id }) => id).filter((id) => !state.lines.includes(id));
    steps.push([damage, { ...state, frames, damage, excused: [...state.excused, ...excused] }]);
  }
  return steps;
}

/** The file is read; a head of -1: there is none, since the start before forgot it. */
function start(state: RingState, flaw: RingFlaw | undefined): RingState {
  const isHeader = state.damage === 'a bit of the header' || state.damage === 'the header of another ring';
  if (isHeader && flaw === 'a damaged header stops the start') return { ...state, at: 'refused' };
  return { ...state, at: 'reading', recovered: 0 };
}

/** The records that a start takes, in order. */
export function takenAtStart(state: RingState, flaw?: RingFlaw): number[] {
  const { damage, frames, head, lines } = state;
  if (head < 0) return [];
  if (damage === 'the header of another ring') return flaw === 'frames of another ring are taken' ? [0] : [];
  // Without its head, the end of the ring is the end of its last whole frame, published or not.
  const isHeadGone = damage === 'the head word' || damage === 'both words';
  const found = frames.filter(({ at, isBad }) => !isBad && (at < head || isHeadGone)).map(({ id }) => id);
  if (flaw === 'the newest first') found.reverse();
  return found.filter((id) => flaw === 'written frames are taken again' || !lines.includes(id));
}

function ofStart(state: RingState, flaw: RingFlaw | undefined): Step<RingState>[] {
  const ids = takenAtStart(state, flaw);
  if (state.at === 'reading' && ids.length > 0)
    return [['take', { ...state, at: 'taken', lines: [...state.lines, ...ids], recovered: ids.length }]];
  if (state.at === 'reading' || state.at === 'taken') return [['note', note(state, flaw)]];
  if (state.at === 'forgotten' || state.head < 0) return [['renew', renew(state)]];
  return [['forget', { ...state, at: 'forgotten', head: -1, frames: [], damage: undefined }]];
}

function note(state: RingState, flaw: RingFlaw | undefined): RingState {
  const { damage } = state;
  const told =
    damage === undefined ? undefined : damage === 'the header of another ring' ? 'foreign' : 'damaged';
  return { ...state, at: 'noted', told: flaw === 'damage is not told' ? undefined : told };
}

function renew(state: RingState): RingState {
  return { ...state, at: 'up', head: 0, tail: 0, known: 0, taken: 0, frames: [] };
}
