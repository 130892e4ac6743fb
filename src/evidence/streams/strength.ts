// Whether a stream keeps the gates' messages as strongly as `fleet init` makes it, and as strongly as before. Each weak property is
// reported under the server's name, with its value and the required one.

import { bounds } from '../../host/bounds/bounds.js';
import { asList, asNumber, isText } from '../../host/values/values.js';
import { printable } from '../../host/words/text.js';
import {
  duplicateWindowMs,
  madeCompression,
  nanoseconds,
  requiredConfig,
  type StreamConfig,
} from './made.js';

export interface StreamRow {
  readonly stream: string;
  readonly bytes: number;
  /** Absent: the stream has no limit of its own. */
  readonly maxBytes?: number | undefined;
  /** Why somebody must make room soon, in a sentence. Absent: there is room. */
  readonly filling?: string | undefined;
}

export interface WantedStream {
  readonly subjects: readonly string[];
  /** It takes no other subjects. */
  readonly isExact: boolean;
  readonly replicas: number;
  /** 0: for ever. */
  readonly keepMs: number;
  readonly maxBytes?: number | undefined;
}

/** The stored strength of a stream: a smaller value is weaker. */
export interface Strength {
  readonly replicas: number;
  /** 0: for ever. */
  readonly maxAgeMs: number;
}

/** One property that is weaker than it must be, or than it was. */
export interface Weakness {
  readonly property: string;
  /** `max_age is 1h, must be 400d (keep)`. */
  readonly text: string;
  /** The value that repairs it, for an update of the stream. Undefined: no update does. */
  readonly repair: unknown;
  /** It is what the settings demand, and less than before: only a person can say whether that is right. */
  readonly isLess: boolean;
}

const effects: Readonly<Record<string, string>> = {
  storage: 'a restart of the server loses all records',
  retention: 'records go when they were read',
  discard: 'a full stream removes the oldest records',
  deny_delete: 'records can be deleted',
  deny_purge: 'the stream can be purged',
  allow_direct: 'gates cannot ask for their last message',
  max_msgs_per_subject: 'the oldest records of a gate go',
};

/** Properties that must be off, and why. In this order an update can switch them off, before those above. */
const forbidden: Readonly<Record<string, string>> = {
  allow_rollup_hdrs: 'one message can replace all before it',
  discard_new_per_subject: 'a limit that init does not set',
  allow_msg_ttl: 'a message can end its own life',
  allow_msg_schedules: 'a gate can have the server write for another gate',
  allow_msg_counter: 'the stream takes numbers only',
  no_ack: 'gates get no acknowledgement',
  sealed: 'the stream takes no more records',
  mirror: 'it is a copy of another stream',
  sources: 'another stream writes into it',
  subject_transform: 'records get another subject',
  republish: 'every record also goes to another subject',
};

/** A server refuses to change these. */
const fixedProperties: ReadonlySet<string> = new Set(['storage', 'sealed', 'mirror', 'allow_msg_ttl']);

/**
 * Messages of gates are larger, so a share is full by its bytes first. This limit bounds the number of subjects, which the server keeps in
 * memory: a gate may write to any number of them.
 */
const messageBytesMin = 512;

/** How many messages a stream takes that takes so many bytes. */
export function maxMessagesOf(maxBytes: number): number {
  return Math.ceil(maxBytes / messageBytesMin);
}

export interface HeldStream {
  readonly bytes: number;
  readonly messages: number;
}

export interface Excess {
  readonly property: 'max_bytes' | 'max_msgs';
  /** 0: without limit. */
  readonly is: number;
  readonly must: number;
  /** Undefined: the stream holds too much for the share. */
  readonly repair: number | undefined;
}

/**
 * A server that lowers a limit below what the stream holds removes its oldest messages, also with `discard new`, `deny_delete` and
 * `deny_purge`. Gates send while the limit changes, so a new limit leaves room: the stream is not even filling then.
 */
export function judgeShare(config: StreamConfig, held: HeldStream, share: number): readonly Excess[] {
  const all = [
    { property: 'max_bytes', must: share, holds: held.bytes },
    { property: 'max_msgs', must: maxMessagesOf(share), holds: held.messages },
  ] as const;
  const fits = all.every(({ must, holds }) => holds <= filling.from * must);
  return all.flatMap(({ property, must }) => {
    const is = numberOf(config[property]);
    return is > 0 && is <= must ? [] : [{ property, is, must, repair: fits ? must : undefined }];
  });
}

/** The smallest share, in whole MiB, to which {@link judgeShare} lowers the limits of a stream that holds this. */
export function leastShareMiB({ bytes, messages }: HeldStream): number {
  const perMiB = 1 << 20;
  return Math.max(
    Math.ceil(bytes / filling.from / perMiB),
    Math.ceil(messages / filling.from / maxMessagesOf(perMiB)),
  );
}

/**
 * A stream without it keeps its records no less, so it is no weakness. Undefined: it has it, or its server does not know the property.
 */
export function judgeCompression({
  compression,
}: StreamConfig): { readonly property: string; readonly text: string; readonly repair: unknown } | undefined {
  if (compression === undefined || compression === madeCompression) return undefined;
  const text = `compression is ${shown(compression)}, must be "${madeCompression}" (the records take more of the server's disk)`;
  return { property: 'compression', text, repair: madeCompression };
}

export function strengthOf(config: StreamConfig): Strength {
  return {
    replicas: countOf(numberOf(config['num_replicas'])),
    maxAgeMs: countOf(numberOf(config['max_age']) / nanoseconds),
  };
}

/** The size limit of a stream, in bytes; 0: none. */
export function maxBytesOf(config: StreamConfig): number {
  return countOf(numberOf(config['max_bytes']));
}

/** Of each property the stronger value. */
export function strongest(one: Strength, other: Strength): Strength {
  return {
    replicas: Math.max(one.replicas, other.replicas),
    maxAgeMs: larger(one.maxAgeMs, other.maxAgeMs),
  };
}

/** Properties weaker than `wanted`, and then those weaker than `before`, in the order in which updates can repair them. */
export function judgeStrength(
  config: StreamConfig,
  wanted: WantedStream,
  before?: Strength,
): readonly Weakness[] {
  const found: Weakness[] = [];
  const add: Add = (property, is, must, repair) => {
    const text = `${property} is ${is}, must be ${must}`;
    const isFixed = fixedProperties.has(property);
    found.push({ property, text, repair: isFixed ? undefined : repair, isLess: false });
  };
  for (const [property, effect] of Object.entries(forbidden)) {
    const value = config[property];
    const isOff = value === undefined || value === null || value === false;
    if (isOff || asList(value)?.length === 0) continue;
    add(property, `on (${effect})`, 'off', value === true ? false : null);
  }
  if (config['persist_mode'] === 'async')
    add('persist_mode', '"async" (records are acknowledged before they are written)', '"default"', 'default');
  addSubjects(config, wanted, add);
  for (const [property, must] of Object.entries(requiredConfig)) {
    const value = config[property];
    const isRight = must === -1 ? numberOf(value) === 0 : value === must;
    if (!isRight) add(property, `${shown(value)} (${effects[property] ?? ''})`, shown(must), must);
  }
  addLimits(config, wanted, add);
  const { replicas, maxAgeMs } = strengthOf(config);
  const duplicatesMin = duplicateWindowMs(wanted.keepMs);
  const isOfLess = (is: number, must: number): boolean => larger(is, must) !== is;
  const less = (property: string, is: string, was: string, setting: string): void => {
    const text = `${property} is ${is} and was ${was} (${setting})`;
    found.push({ property, text, repair: undefined, isLess: true });
  };
  if (isOfLess(maxAgeMs, wanted.keepMs))
    add('max_age', formatAge(maxAgeMs), `${formatAge(wanted.keepMs)} (keep)`, wanted.keepMs * nanoseconds);
  else if (before !== undefined && isOfLess(maxAgeMs, before.maxAgeMs))
    less('max_age', formatAge(maxAgeMs), formatAge(before.maxAgeMs), 'keep');
  if (numberOf(config['duplicate_window']) < duplicatesMin * nanoseconds)
    add(
      'duplicate_window',
      formatAge(numberOf(config['duplicate_window']) / nanoseconds, '0s'),
      formatAge(duplicatesMin),
      duplicatesMin * nanoseconds,
    );
  if (replicas < wanted.replicas)
    add('num_replicas', String(replicas), `${wanted.replicas} (replicas)`, wanted.replicas);
  else if (before !== undefined && replicas < before.replicas)
    less('num_replicas', String(replicas), String(before.replicas), 'replicas');
  return found;
}

/** Share of a stream's limit from which on it counts as filling, and below which it no longer does. */
export const filling = { from: 0.8, until: 0.75 } as const;

/** One sentence about a stream that fills, or has no room for another block; undefined: it does not, or has no limit. */
export function describeFill({ stream, bytes, maxBytes }: StreamRow): string | undefined {
  if (maxBytes === undefined) return undefined;
  const isFull = bytes >= 0.99 * maxBytes || bytes + bounds.natsBatchBytes > maxBytes;
  if (!isFull && bytes < filling.from * maxBytes) return undefined;
  const percent = Math.floor((100 * bytes) / maxBytes);
  const what = isFull ? 'full, and its gate waits' : `${percent} % full; when it is full, its gate waits`;
  return `the stream ${stream} is ${what}. Raise share (of the host, or of all) or max_size, and max_file of each server where that is less than all shares together, and run "dovegate audit fleet init --repair"; or shorten keep`;
}

export function describeWeakness(stream: string, weak: readonly Weakness[]): string {
  const isRepaired = weak.some(({ repair }) => repair !== undefined);
  const isLess = weak.some((one) => one.isLess);
  const isFixed = weak.some((one) => !one.isLess && one.repair === undefined);
  const advice = [
    'find out who changed it',
    ...(isRepaired ? ['repair it as the administrator: dovegate audit fleet init --repair'] : []),
    ...(isFixed ? ['what no update can repair needs another stream'] : []),
    ...(isLess
      ? ['where less is right, accept it: dovegate audit fleet verify --accept; else name the old value']
      : []),
  ];
  return `the stream ${stream} is weaker than it must be: ${weak.map(({ text }) => text).join('; ')}. ${sentence(advice)}`;
}

type Add = (property: string, is: string, must: string, repair: unknown) => void;

function addSubjects(config: StreamConfig, { subjects, isExact }: WantedStream, add: Add): void {
  const taken = asList(config['subjects'])?.map(String) ?? [];
  const missing = subjects.filter((subject) => !taken.some((one) => covers(one, subject)));
  if (missing.length > 0)
    add(
      'subjects',
      taken.slice(0, subjectsShown).map(shown).join(', ') || 'empty',
      `with ${missing.map(shown).join(', ')}`,
      isExact ? subjects : [...taken, ...missing],
    );
  const more = isExact ? taken.filter((one) => !subjects.includes(one)) : [];
  if (missing.length === 0 && more.length > 0)
    add(
      'subjects',
      more.slice(0, subjectsShown).map(shown).join(', '),
      subjects.map(shown).join(', '),
      subjects,
    );
}

/** Limits that are too low. To raise one never removes a message. */
function addLimits(config: StreamConfig, { maxBytes, isExact }: WantedStream, add: Add): void {
  const isTooLow = (property: string, must: number): boolean => {
    const is = numberOf(config[property]);
    return is > 0 && is < must;
  };
  const blockBytes = bounds.fleetBlockBytes;
  if (isTooLow('max_msg_size', blockBytes))
    add(
      'max_msg_size',
      `${numberOf(config['max_msg_size'])} (larger messages are refused)`,
      String(blockBytes),
      blockBytes,
    );
  if (maxBytes === undefined) return;
  const all = [
    ['max_bytes', maxBytes],
    ['max_msgs', maxMessagesOf(maxBytes)],
  ] as const;
  for (const [property, must] of all) {
    if (!isTooLow(property, must)) continue;
    const is = numberOf(config[property]);
    add(
      property,
      `${is} (a lower limit removes the oldest records)`,
      `${must}${isExact ? ' (share)' : ''}`,
      must,
    );
  }
}

const subjectsShown = bounds.fleetSubjectsShown;

function covers(pattern: string, subject: string): boolean {
  const words = subject.split('.');
  const parts = pattern.split('.');
  return (
    parts.every((part, at) => {
      const word = words[at];
      if (part === '>') return word !== undefined;
      return word === part || (part === '*' && word !== undefined && word !== '>');
    }) &&
    (parts.at(-1) === '>' || parts.length === words.length)
  );
}

function sentence(parts: readonly string[]): string {
  const [first = '', ...rest] = parts;
  return [first.slice(0, 1).toUpperCase() + first.slice(1), ...rest].join('; ');
}

/** 0 stands for "without limit". */
function larger(one: number, other: number): number {
  return one === 0 || other === 0 ? 0 : Math.max(one, other);
}

/** Anything but a number, and a server's value for "no limit", becomes 0. */
function numberOf(value: unknown): number {
  return Math.max(0, asNumber(value) ?? 0);
}

/** Saved and signed: whatever a server says, it is a whole number. */
function countOf(value: number): number {
  return Math.min(Math.ceil(value), Number.MAX_SAFE_INTEGER);
}

const wordCharsMax = bounds.fleetWordChars;

function shown(value: unknown): string {
  if (value === undefined || value === null || value === false) return 'off';
  if (value === true) return 'on';
  if (isText(value)) return `"${printable(value.slice(0, wordCharsMax))}"`;
  const number = asNumber(value);
  if (number === undefined) return 'set';
  return number === -1 ? 'without limit' : String(number);
}

function formatAge(ms: number, zero = 'without limit'): string {
  if (ms === 0) return zero;
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const;
  const [unit, size] = units.find(([, each]) => ms % each === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}
