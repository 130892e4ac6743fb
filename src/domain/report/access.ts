// Access on request, as auditors read it: who had access to whose mail, granted by whom, how it was used, and what was never used. Folded
// from the records of a trail, in their order; a trail may begin in the middle, because each segment begins with what lived then. What is
// left out for want of memory is counted, and the answer says so.

import { bounds } from '../../bounds/bounds.js';
import { formatCommand } from '../access/item.js';
import { countedFor } from '../audit/access-book.js';
import {
  eventPlace,
  formatTime,
  isObject,
  parseLine,
  type RecordedArgument,
  timeBefore,
} from '../audit/record.js';
import { createCoverTest } from '../trail/search.js';
import { plural } from '../words/words.js';

/** Who did a step, and when. Texts are as recorded: callers must make them harmless. */
export interface AccessStepTaken {
  readonly principal: string;
  readonly time: string;
  readonly why: string;
}

export interface AccessReported {
  readonly id: string;
  readonly to: string;
  readonly policy: string;
  readonly users: readonly string[];
  readonly command: string;
  /** `user`: the rule holds for these users, and the command is an example. */
  readonly scope: string;
  readonly rule: string;
  readonly reason: string;
  readonly asked: string;
  /** Of a grant without request: the approver. */
  readonly givenBy: string | undefined;
  readonly approvalsNeeded: number;
  readonly approvedBy: readonly AccessStepTaken[];
  readonly granted: string | undefined;
  readonly until: string | undefined;
  readonly usesMax: number | undefined;
  /** Commands that were sent, by name. */
  readonly used: number;
  readonly commands: ReadonlyMap<string, number>;
  readonly firstUse: string | undefined;
  readonly lastUse: string | undefined;
  readonly reviewedBy: AccessStepTaken | undefined;
  /** `refused`, `revoked` by a principal; `expired`, `used-up`, `ended` without one; undefined: it lives, or waits. */
  readonly end: (AccessStepTaken & { readonly action: string }) | undefined;
}

export interface AccessLedger {
  /** A piece of whole lines. */
  take(piece: Buffer): void;
  find(id: string): AccessReported | undefined;
  /** In the order of the requests. */
  finish(): {
    readonly items: readonly AccessReported[] /** Requests that found no room. */;
    readonly leftOut: number;
  };
}

/** Which of them: times in Unix milliseconds; a user as in a search. */
export interface AccessAsked {
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly user?: string | undefined;
}

type Open = { -readonly [Key in keyof AccessReported]: AccessReported[Key] } & {
  readonly commands: Map<string, number>;
  /** Times of its steps and uses, carried ones aside. */
  lastTime: string;
};

const itemsMax = bounds.accessReported;
const namesMax = 50;
const openMax = bounds.openSearched;
/** Stands for names of commands beyond the limit. */
const others = '(others)';
const grantText = Buffer.from(',"grant":"');

export function createAccessLedger({ sinceMs, untilMs, user }: AccessAsked): AccessLedger {
  const items = new Map<string, Open>();
  const until = untilMs === undefined ? '~' : formatTime(untilMs);
  const since = sinceMs === undefined ? '' : formatTime(sinceMs);
  const isCovered = user === undefined ? undefined : createCoverTest(user);
  const open = new Map<string, string>();
  let leftOut = 0;

  return {
    take(piece) {
      for (let at = 0; at < piece.length; ) {
        const found = piece.indexOf(0x0a, at);
        const end = found < 0 ? piece.length : found;
        const eventAt = eventPlace(piece, at);
        const [first, second] = [piece[eventAt], piece[eventAt + 1]];
        const isAccess = first === 0x61 && second === 0x63;
        const isCommand = (first === 0x61 && second === 0x64) || (first === 0x63 && second === 0x6f);
        const line = isAccess || isCommand ? piece.subarray(at, end) : undefined;
        if (
          line !== undefined &&
          timeBefore(piece, eventAt) < until &&
          (isAccess || line.includes(grantText))
        )
          follow(parseLine(line.toString('utf8')) ?? {}, isAccess);
        at = end + 1;
      }
    },
    find: (id) => items.get(id),
    finish() {
      return {
        items: [...items.values()].filter(({ end, lastTime }) => end === undefined || lastTime >= since),
        leftOut,
      };
    },
  };

  function follow(record: Readonly<Record<string, unknown>>, isAccess: boolean): void {
    const text = (key: string): string => (typeof record[key] === 'string' ? record[key] : '');
    if (!isAccess) return followCommand(record, text);
    const action = text('action');
    const id = text('grant') || text('request');
    if (action === 'requested') return add(id, record, text);
    const item = items.get(id);
    if (item === undefined) return;
    const principal = text('principal') || text('by');
    // A carried record says when it was written first.
    const step = { principal, time: text('at') || text('time'), why: text('reason') || text('text') };
    const isCarried = record['carried'] === true;
    if (!isCarried) item.lastTime = step.time;
    switch (action) {
      case 'approved':
        if (!item.approvedBy.some(({ time, principal: by }) => time === step.time && by === principal))
          item.approvedBy = [...countedFor({ by: text('by') || undefined }, item.approvedBy), step];
        return;
      case 'granted':
        item.granted ??= step.time;
        item.until = text('until');
        item.usesMax = numberOf(record['uses']) ?? item.usesMax;
        // The count of a segment that is not read.
        if (isCarried) item.used = Math.max(item.used, numberOf(record['used']) ?? 0);
        return;
      case 'reviewed':
        item.reviewedBy = step;
        return;
      case 'refused':
      case 'revoked':
        item.end = { ...step, action };
        return;
      case 'expired':
      case 'used-up':
      case 'ended':
        // Nobody did it: the record names the owner.
        item.end = { ...step, principal: '', action };
    }
  }

  function add(id: string, record: Readonly<Record<string, unknown>>, text: (key: string) => string): void {
    if (id === '' || items.has(id)) return;
    const users = listOf(record['users']);
    const named = users.length > 0 ? users : [text('user')];
    if (isCovered !== undefined && !named.some((name) => isCovered(name, record['case']))) return;
    if (items.size >= itemsMax) {
      leftOut += 1;
      return;
    }
    const args = Array.isArray(record['args']) ? (record['args'] as readonly unknown[]) : [];
    const by = text('by');
    items.set(id, {
      id,
      to: text('to') || text('principal'),
      policy: text('policy'),
      users,
      command: formatCommand([text('command'), ...args.filter(isArgument)]),
      scope: text('scope'),
      rule: text('rule'),
      reason: text('reason'),
      asked: text('at') || text('time'),
      givenBy: by === '' ? undefined : by,
      approvalsNeeded: numberOf(record['approvals']) ?? 1,
      approvedBy: [],
      granted: undefined,
      until: undefined,
      usesMax: numberOf(record['uses']),
      used: 0,
      commands: new Map(),
      firstUse: undefined,
      lastUse: undefined,
      reviewedBy: undefined,
      end: undefined,
      lastTime: record['carried'] === true ? '' : text('time'),
    });
  }

  function followCommand(record: Readonly<Record<string, unknown>>, text: (key: string) => string): void {
    const item = items.get(text('grant'));
    // A search by which dovegate counts mails for a command is no use of its own.
    if (item === undefined || text('for') !== '') return;
    const name = text('command');
    const id = text('id');
    if (text('event') === 'admission') {
      item.used += 1;
      const known = item.commands.has(name) || item.commands.size < namesMax ? name : others;
      item.commands.set(known, (item.commands.get(known) ?? 0) + 1);
      if (open.size < openMax) open.set(id, known);
      item.firstUse ??= text('time');
      item.lastUse = text('time');
      item.lastTime = text('time');
      return;
    }
    const known = open.get(id);
    open.delete(id);
    if (record['sent'] !== false) return;
    // It did not go to a mail server, so it was no use.
    item.used = Math.max(0, item.used - 1);
    if (known === undefined) return;
    const count = (item.commands.get(known) ?? 0) - 1;
    if (count > 0) item.commands.set(known, count);
    else item.commands.delete(known);
  }
}

function isArgument(value: unknown): value is RecordedArgument {
  return typeof value === 'string' || isObject(value);
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function listOf(value: unknown): readonly string[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : [];
  return all.filter((each) => typeof each === 'string');
}

/** `approved by carol@leads, dave@leads`; for people. Made harmless by callers. */
export function approvedText({ approvalsNeeded, approvedBy, reviewedBy }: AccessReported): string {
  if (approvedBy.length > 0) return `approved by ${approvedBy.map(({ principal }) => principal).join(', ')}`;
  if (approvalsNeeded > 0) return 'approved by nobody';
  return reviewedBy === undefined
    ? 'without approval, not reviewed'
    : `without approval, reviewed by ${reviewedBy.principal}`;
}

export function endText({ end, granted, until }: AccessReported): string {
  if (end !== undefined) {
    const by = end.principal === '' ? '' : ` by ${end.principal}`;
    return `${end.action === 'used-up' ? 'used up' : end.action}${by}${end.why === '' ? '' : `: ${end.why}`}`;
  }
  return granted === undefined ? 'waits' : `until ${until ?? '?'}`;
}

export function accessSentences(items: readonly AccessReported[], leftOut: number): string[] {
  const count = (isCounted: (item: AccessReported) => boolean): number => items.filter(isCounted).length;
  const granted = count((item) => item.granted !== undefined);
  const unused = count((item) => item.granted !== undefined && item.used === 0);
  const broken = count((item) => item.granted !== undefined && item.approvalsNeeded === 0);
  const unreviewed = count(
    (item) => item.granted !== undefined && item.approvalsNeeded === 0 && item.reviewedBy === undefined,
  );
  return [
    `${plural(items.length, 'request')}: ${granted} granted, ${count(({ end }) => end?.action === 'refused')} refused, ${unused} granted and never used`,
    ...(broken === 0
      ? []
      : [`${broken} granted without an approval (break-glass), ${unreviewed} of them not reviewed`]),
    ...(leftOut === 0
      ? []
      : [`${leftOut} more requests are left out: ask for a shorter time, or for one user`]),
  ];
}
