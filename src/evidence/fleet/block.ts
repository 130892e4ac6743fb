// How a journal travels to a central stream: one subject for each chain, blocks of whole lines, and the headers that say which. Written by
// gates, read by them again after each doubt, and by the verifiers. The body of a block is lines of the journal with their LFs, byte for
// byte as they lie in its segments.
//
//   dovegate.audit.mail-gate-3.2f0c1f6c5a9d4e0d8f9f8a3c0a6b7e11
//   Nats-Msg-Id: 2f0c1f6c5a9d4e0d8f9f8a3c0a6b7e11:4001:9a0f...
//   Dovegate-Seq: 4001-4112
//   Dovegate-Head: 9a0f...
//
// A block that fills a hole, which a replica of the stream got when its leader changed, says where the records go on after it:
//
//   Dovegate-Seq: 3501-4000
//   Dovegate-End: 4112:9a0f...
//
// A mark is a message without lines: a gate whose journal is not the one that the stream holds leaves one and stops. It makes the expected
// sequence of every other writer of that subject wrong, so that all of them look, and stop too.
//
//   Dovegate-Forked: 4112
//   Dovegate-Head: 77c1...          of that record in the journal of the gate that left the mark; - where it has none
//   Dovegate-Text: this journal ends with record 4090

import { isHostWord } from '../../rules/config/fleet-names.js';

/** Every subject: chains, marks, checkpoints of fleets, and misplaced ones. */
export const allSubjects = '>';
/** The subject of the verifiers' checkpoints. */
export const checkpointSubject = 'dovegate.fleet.checkpoint';
/** Signed words of the fleet to one gate, by their kind. The last one of a subject counts; a gate asks for those to its own host only. */
export function toHostSubject(host: string, kind: string): string {
  return `dovegate.fleet.to.${host}.${kind}`;
}
/** The verifier's requests to JetStream, after `$JS.API.`: it reads all streams of its account. */
export const verifierQuestions = [
  'STREAM.LIST',
  'STREAM.INFO.*',
  'DIRECT.GET.*',
  'DIRECT.GET.*.>',
  'CONSUMER.CREATE.*.>',
  'CONSUMER.MSG.NEXT.*.>',
  'CONSUMER.DELETE.*.>',
];
/** The server's user who makes the streams. No host may have this name: a server has each user once. */
export const administratorName = 'administrator';

export const headerNames = {
  id: 'Nats-Msg-Id',
  seq: 'Dovegate-Seq',
  head: 'Dovegate-Head',
  end: 'Dovegate-End',
  forked: 'Dovegate-Forked',
  text: 'Dovegate-Text',
} as const;
/** With this header, any other stream refuses the message. */
export const streamHeader = 'Nats-Expected-Stream';

const journalPattern = /^[0-9a-f]{32}$/;
const hashPattern = /^[0-9a-f]{64}$/;

export function subjectOf(host: string, journal: string): string {
  return `dovegate.audit.${host}.${journal}`;
}

/** Whether it is a subject of {@link toHostSubject}. */
export function isToHost(subject: string): boolean {
  return subject.startsWith('dovegate.fleet.to.');
}

export function readSubject(
  subject: string,
): { readonly host: string; readonly journal: string } | undefined {
  const [first, second, host = '', journal = '', ...rest] = subject.split('.');
  if (first !== 'dovegate' || second !== 'audit' || rest.length > 0) return undefined;
  return isHostWord(host) && journalPattern.test(journal) ? { host, journal } : undefined;
}

export interface FleetStream {
  readonly name: string;
  /** The one host whose records it takes. Undefined: the stream of the checkpoints. */
  readonly host: string | undefined;
  readonly subjects: readonly string[];
}

/**
 * A stream for each host: one gate that fills its stream stops no other gate. Both tokens have characters that names of streams may have.
 */
export function hostStreamOf(prefix: string, host: string): FleetStream {
  return { name: `${prefix}_${host}`, host, subjects: [`dovegate.audit.${host}.*`] };
}

/** The stream of the checkpoints, and of words to the gates. */
export function checkpointStreamOf(prefix: string): FleetStream {
  return { name: prefix, host: undefined, subjects: [checkpointSubject, toHostSubject('*', '*')] };
}

/** All subjects that a gate may send to: its chains, the last message of each, and words of the fleet to it. */
export function gateSubjectsOf(prefix: string, host: string): readonly string[] {
  const { name, subjects } = hostStreamOf(prefix, host);
  return [
    ...subjects.flatMap((own) => [own, `$JS.API.DIRECT.GET.${name}.${own}`]),
    `$JS.API.DIRECT.GET.${prefix}.${toHostSubject(host, '*')}`,
  ];
}

/**
 * What the account of the streams lets the accounts of gates import, whatever the number of gates: each of {@link gateSubjectsOf} is
 * within one of them. A token of a subject is a wildcard or a word, so the names of the streams are open here.
 */
export const exportedSubjects: readonly string[] = gateSubjectsOf('*', '*').map((subject) =>
  subject.replace('*_*', '*'),
);

/** All subjects that the verifier may send to, but for questions to JetStream. */
export const verifierSubjects = [checkpointSubject, toHostSubject('*', '*')];

export type BlockHead =
  | {
      readonly kind: 'block';
      readonly first: number;
      readonly last: number;
      readonly head: string;
      /** It fills a hole: the last record that was sent before it. */
      readonly end?: { readonly last: number; readonly head: string } | undefined;
    }
  | {
      readonly kind: 'mark';
      readonly seq: number;
      readonly head: string | undefined;
      readonly text: string;
    };

/**
 * Names and values for the message. The id covers the exact bytes: a repeated block is often longer, because of new records. A cluster of
 * 2.9.10 whose leader stood still acknowledged such a block and dropped it, if its id was that of the shorter one.
 */
export function formatHead(journal: string, head: BlockHead): readonly (readonly [string, string])[] {
  if (head.kind === 'block') {
    return [
      [headerNames.id, `${journal}:${head.first}:${head.head}`],
      [headerNames.seq, `${head.first}-${head.last}`],
      [headerNames.head, head.head],
      ...(head.end === undefined ? [] : [[headerNames.end, `${head.end.last}:${head.end.head}`] as const]),
    ];
  }
  return [
    [headerNames.forked, String(head.seq)],
    [headerNames.head, head.head ?? '-'],
    [headerNames.text, head.text.replaceAll(/[^ -~]/g, ' ').slice(0, 300)],
  ];
}

/** `header`: returns a value, or an empty text. Undefined: these are not our headers. */
export function readHeadOf(header: (name: string) => string): BlockHead | undefined {
  const head = header(headerNames.head);
  const forked = header(headerNames.forked);
  if (forked !== '') {
    const seq = readCount(forked);
    if (seq === undefined || !(head === '-' || hashPattern.test(head))) return undefined;
    return { kind: 'mark', seq, head: head === '-' ? undefined : head, text: header(headerNames.text) };
  }
  const [from = '', to = '', ...rest] = header(headerNames.seq).split('-');
  const first = readCount(from);
  const last = readCount(to);
  if (first === undefined || last === undefined || rest.length > 0) return undefined;
  if (first < 1 || last < first || !hashPattern.test(head)) return undefined;
  const [end, endHead = '', ...more] = header(headerNames.end).split(':');
  if (end === '') return { kind: 'block', first, last, head };
  const endLast = readCount(end ?? '');
  if (endLast === undefined || endLast < last || more.length > 0 || !hashPattern.test(endHead))
    return undefined;
  return { kind: 'block', first, last, head, end: { last: endLast, head: endHead } };
}

function readCount(text: string): number | undefined {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}
