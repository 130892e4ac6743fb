// One command as its records tell it: when it came, was recorded, sent, answered and ended; who asked, for what, and why it was allowed or
// not.

import type { TrailContent, TrailLine } from '../domain/page/trail.js';
import { durationWords } from '../domain/words/words.js';
import { effectWith } from './signs.js';
import { valueText } from './trail-rows.js';
import { formatCommand } from './words.js';

export type StoredRecord = Readonly<Record<string, unknown>>;
type FoundLine = Extract<TrailLine, { readonly found: unknown }>['found'];

export interface LifeStep {
  readonly what: 'came' | 'recorded' | 'sent' | 'first byte' | 'ended' | 'not ended';
  /** Milliseconds after the command came; undefined: in no record. */
  readonly ms: number | undefined;
  /** What took the time, or why the command did not get to this step. */
  readonly about: string;
}

export interface Exchange {
  readonly id: string;
  readonly admission: StoredRecord | undefined;
  readonly completion: StoredRecord | undefined;
  readonly logs: readonly StoredRecord[];
  readonly session: { readonly opened: StoredRecord | undefined; readonly closed: StoredRecord | undefined };
  /** Searches that dovegate made for this command, such as to count mails. */
  readonly twins: readonly StoredRecord[];
  readonly all: readonly StoredRecord[];
}

/** `id` undefined: the record that was found belongs to no command. */
export function exchangeOf(found: readonly FoundLine[], id: string | undefined): Exchange | undefined {
  if (id === undefined) return undefined;
  const all = found.map(({ record }) => record);
  const find = (event: string, isOwn = true): StoredRecord | undefined =>
    all.find((record) => record['event'] === event && (!isOwn || record['id'] === id));
  return {
    id,
    admission: find('admission'),
    completion: find('completion'),
    logs: all.filter((record) => record['event'] === 'log' && record['id'] === id),
    session: { opened: find('session-open', false), closed: find('session-close', false) },
    twins: all.filter((record) => record['event'] === 'admission' && record['for'] === id),
    all,
  };
}

/** Milliseconds since 1970; undefined: it is no time. */
function timeOf(record: StoredRecord | undefined): number | undefined {
  const time = record?.['time'];
  const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

function numberOf(record: StoredRecord | undefined, key: string): number | undefined {
  const value = record?.[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** The line of time. Times of records are whole milliseconds, durations are exact; a step is never before the one before it. */
export function lifeOf({ admission, completion }: Exchange): LifeStep[] {
  const admittedMs = timeOf(admission);
  const endedMs = timeOf(completion);
  const durationMs = numberOf(completion, 'duration_ms');
  const waitMs = numberOf(completion, 'wait_ms');
  const firstMs = numberOf(completion, 'first_byte_ms');
  const cameMs = endedMs !== undefined && durationMs !== undefined ? endedMs - durationMs : admittedMs;
  const isSent = completion?.['sent'] === true;
  const within = (ms: number | undefined): number | undefined =>
    ms === undefined ? undefined : Math.min(Math.max(ms, 0), durationMs ?? Infinity);
  const recorded = within(admittedMs === undefined || cameMs === undefined ? undefined : admittedMs - cameMs);
  const sent = within(recorded === undefined || waitMs === undefined ? undefined : recorded + waitMs);
  const first = within(sent === undefined || firstMs === undefined ? undefined : sent + firstMs);
  const decision = valueText(admission?.['decision']);
  const steps: LifeStep[] = [
    { what: 'came', ms: 0, about: 'its line was there in full' },
    {
      what: 'recorded',
      ms: recorded,
      about: decision === '' ? 'with no decision' : `the policy had said ${decision}`,
    },
  ];
  const isOpen = completion === undefined;
  const notSent = isOpen ? 'not known yet' : 'nothing was sent to a backend';
  const waited = waitMs === undefined ? '' : `after ${durationWords(waitMs)} of waiting for a connection`;
  steps.push({ what: 'sent', ms: isSent ? sent : undefined, about: isSent ? waited : notSent });
  if (isSent)
    steps.push({
      what: 'first byte',
      ms: first,
      about:
        firstMs === undefined ? 'no byte of an answer came' : `${durationWords(firstMs)} after it was sent`,
    });
  steps.push(
    isOpen
      ? { what: 'not ended', ms: undefined, about: 'it runs still, or its end was not recorded' }
      : { what: 'ended', ms: durationMs, about: endText(completion) },
  );
  return steps;
}

function endText(completion: StoredRecord): string {
  const status = valueText(completion['status']);
  const outcome = valueText(completion['outcome']);
  return status === '' ? outcome : `${outcome}, answered with ${status}`;
}

/** A fact of a list: what, and its value as a record has it. */
export interface Fact {
  readonly what: string;
  readonly value: string;
}

function facts(record: StoredRecord | undefined, keys: readonly (readonly [string, string])[]): Fact[] {
  return keys.flatMap(([key, what]) => {
    const value = valueText(record?.[key]);
    return value === '' ? [] : [{ what, value }];
  });
}

/** The requester, as far as the kernel or TLS identified them. */
export function whoOf({ admission, completion, session: { opened } }: Exchange): Fact[] {
  const peer = admission?.['peer'] ?? opened?.['peer'] ?? completion?.['peer'];
  const of: StoredRecord = typeof peer === 'object' && peer !== null ? { ...peer } : {};
  return [
    ...facts(admission ?? completion, [
      ['principal', 'Name'],
      ['listener', 'Listener'],
      ['protocol', 'Protocol'],
    ]),
    ...facts(of, [
      ['user', 'User of the host'],
      ['uid', 'uid'],
      ['login_uid', 'uid of the login'],
      ['exe', 'Program'],
      ['exe_unproven', 'Program (unproven)'],
      ['unit', 'Unit'],
      ['unit_unproven', 'Unit (unproven)'],
      ['pid', 'Process'],
      ['address', 'Address'],
      ['certificate', 'Certificate'],
    ]),
    ...facts(admission, [['reason', 'Reason given']]),
  ];
}

export function whatOf(exchange: Exchange, content?: TrailContent): Fact[] {
  const { admission, completion } = exchange;
  const users = wholeList(exchange, 'users');
  const effect = valueText(admission?.['effect']);
  const asked = admission && {
    ...admission,
    ...(users === undefined ? {} : { users }),
    ...(effect === '' ? {} : { effect: effectWith(effect, content).word }),
  };
  return [
    ...facts(asked ?? completion, [
      ['command', 'Command'],
      ['user', 'Mail user'],
      ['written', 'As the client wrote it'],
      ['users', 'All users it touches'],
      ['case', 'Case of names'],
      ['effect', 'The most it can do'],
      ['tag', "The client's name for it"],
    ]),
    ...facts(completion, [
      ['input', 'Input'],
      ['backend', 'Backend'],
      ['upstream', 'Connection'],
      ['backends', 'Backends'],
      ['cells', 'Cells of the answer'],
      ['bytes_in', 'Bytes from the backend'],
      ['bytes_out', 'Bytes to the client'],
      ['error', 'Error'],
    ]),
  ];
}

/** As `domain/audit/arguments.ts` joins them, which the browser does not have. Undefined: none, or some are missing. */
function wholeList({ id, admission, all }: Exchange, key: 'args' | 'users'): unknown[] | undefined {
  const records = all.filter((record) => record['event'] === 'arguments' && record['id'] === id);
  if (records.length === 0 || admission?.['argument_records'] !== records.length) return undefined;
  const whole: unknown[] = [];
  let piece = '';
  let digest: unknown;
  for (const item of records.flatMap((record): unknown[] => {
    const list = record[key];
    return Array.isArray(list) ? list : [];
  })) {
    const { part, rest, hmac }: StoredRecord = typeof item === 'object' ? { ...item } : {};
    if (typeof part === 'string') piece += part;
    else if (typeof rest === 'string') {
      whole.push(piece + rest);
      piece = '';
    } else {
      if (hmac !== undefined && hmac !== 'same') digest = item;
      whole.push(hmac === undefined ? item : digest);
    }
  }
  return whole;
}

export interface Argument {
  readonly text: string;
  /** The digest of a value that is not recorded. */
  readonly hmac?: string;
}

export function argumentsOf(exchange: Exchange): Argument[] {
  const { admission } = exchange;
  const args = wholeList(exchange, 'args') ?? admission?.['args'];
  if (!Array.isArray(args)) return [];
  return args.map((arg: unknown): Argument => {
    const hmac: unknown = typeof arg === 'object' && arg !== null ? Reflect.get(arg, 'hmac') : undefined;
    return typeof hmac === 'string' ? { text: '(not recorded)', hmac } : { text: valueText(arg) };
  });
}

export function whyOf({ admission }: Exchange): Fact[] {
  return facts(admission, [
    ['decision', 'Decision'],
    ['policy', 'Policy'],
    ['rule', 'Rule'],
    ['text', 'In words'],
    ['mode', 'Mode'],
    ['would', 'Would have been'],
    ['series', 'Parsed as Dovecot'],
    ['version', 'Hash of the policy'],
  ]);
}

/** A sentence about who could permit it. `policyText`: the policy of that time. Undefined: policy did not deny it. */
export function nextOf(
  { admission, completion }: Exchange,
  policyText: string | undefined,
): string | undefined {
  if (admission?.['decision'] !== 'deny' || completion?.['outcome'] !== 'denied') return undefined;
  const [rule, policy, command] = ['rule', 'policy', 'command'].map((key) => valueText(admission[key]));
  const writer = `the person who writes policies, if this should be allowed (${rule ? `rule ${rule}` : 'no rule yet'}, policy ${policy})`;
  // What a rule denies, and users whom the policy does not hold for, no grant allows.
  const isOpen = valueText(admission['text']).startsWith('no rule allows');
  return isOpen && offeredBy(policyText ?? '').has(command ?? '')
    ? `Who acts next: the requester, who can ask for access: on_request of policy ${policy} has "${command}" (dovegate request), and names its terms. Or ${writer}.`
    : `Who acts next: ${writer}.`;
}

/** The commands under `on_request`, in a policy's text as dovegate writes it. */
function offeredBy(policyText: string): ReadonlySet<string> {
  const [, block = ''] = /^ {4}on_request:\n((?: {6}.*\n?)*)/m.exec(policyText) ?? [];
  const found = block.matchAll(/^ {6}(?:- (?:command: )?| {2}command: )"?([\w -]+?)"?$/gm);
  return new Set([...found].map(([, command = '']) => command));
}

/** Where its records stand in the chain; a limited view has no hashes. */
export function chainOf({
  all,
}: Exchange): readonly { readonly seq: number; readonly event: string; readonly hash: string }[] {
  return all.flatMap((record) => {
    const { seq, event, hash } = record;
    return typeof seq === 'number' && typeof hash === 'string'
      ? [{ seq, event: valueText(event), hash }]
      : [];
  });
}

/** The address of the playground with this command; undefined: a part of the command is not recorded. */
export function tryPath(exchange: Exchange): string | undefined {
  const { admission, session } = exchange;
  const args = wholeList(exchange, 'args') ?? admission?.['args'];
  const command = admission?.['command'];
  if (typeof command !== 'string' || !Array.isArray(args)) return undefined;
  const words = args.filter((arg: unknown) => typeof arg === 'string');
  if (words.length !== args.length) return undefined;
  const listener = valueText(admission?.['listener']);
  const principal = valueText(admission?.['principal']);
  const peer = admission?.['peer'] ?? session.opened?.['peer'];
  const uid: unknown = typeof peer === 'object' && peer !== null ? Reflect.get(peer, 'uid') : undefined;
  const name = principal.endsWith(`@${listener}`) ? principal.slice(0, -listener.length - 1) : principal;
  const query = new URLSearchParams({ listener, as: typeof uid === 'number' ? String(uid) : name });
  const user = valueText(admission?.['user']);
  if (user !== '') query.set('user', user);
  const reason = valueText(admission?.['reason']);
  if (reason !== '') query.set('reason', reason);
  query.set('line', formatCommand([command, ...words]));
  return `/access?${query.toString()}`;
}
