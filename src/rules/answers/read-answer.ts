// The answers of `can` and `explain` read back from rows, for the programs that ask a daemon.

import { commandsNamed } from '../../doveadm/commands/catalog.js';
import { noAllUsers } from '../policy/assess.js';
import { requestTermKeys, type ShownTerms, shownBy } from '../policy/policy.js';
import type { Explanation } from './explanation.js';
import {
  type AnswerRow,
  needsReason,
  type RequestableRule,
  type Right,
  type Rights,
  type RuleInWords,
} from './rights.js';

export interface AnswerPart {
  readonly what: string;
  readonly value: string;
  readonly more: readonly AnswerRow[];
}

/** Groups the rows; `details` are those that belong to the row before. */
export function partsOf(rows: readonly AnswerRow[], details: readonly string[]): AnswerPart[] {
  const parts: { what: string; value: string; more: AnswerRow[] }[] = [];
  for (const row of rows) {
    const [what, value] = row;
    const last = parts.at(-1);
    if (details.includes(what) && last !== undefined) last.more.push(row);
    else parts.push({ what, value, more: [] });
  }
  return parts;
}

export function valuesOf(
  rows: readonly { readonly what: string; readonly value: string }[],
  what: string,
): string[] {
  return rows.flatMap((row) => (row.what === what ? [row.value] : []));
}

export function moreOf({ more }: AnswerPart, what: string): string[] {
  return more.flatMap(([name, value]) => (name === what ? [value] : []));
}

export function requestableOfPart(part: AnswerPart): RequestableRule {
  const terms = shownTermsIn((key) => moreOf(part, key)[0]);
  return { command: part.value, terms, says: moreOf(part, 'if') };
}

/**
 * Whether Dovecot's own `doveadm -S` can send what the rule permits. It uses `-S` for every command about one user (also `backup` and
 * `sync`, whose usage does not list it), runs the others (`who`, `kick`) on its own machine, and cannot send a reason. 2.3.13 alone
 * sends `-S` itself on with `backup`, `batch` and `sync`, which is refused.
 */
export function isForRealDoveadm({ command, says }: RuleInWords): boolean {
  const isServerCommand = commandsNamed(command).some(({ scope }) => scope === 'server');
  return !isServerCommand && !says.includes(needsReason);
}

export function rightsOfRows(rows: readonly AnswerRow[]): Rights | undefined {
  const parts = partsOf(rows, ['effect', 'if', 'example', ...requestTermKeys]);
  const first = (what: string): string | undefined => valuesOf(parts, what)[0];
  const policy = first('policy');
  const listener = first('listener');
  if (policy === undefined || listener === undefined) return undefined;
  const rules = (what: string): Right[] => parts.filter((part) => part.what === what).map(rightOfPart);
  return {
    listener,
    principal: first('principal'),
    ...(first('locked') !== undefined && { locked: first('locked') }),
    ...(first('held') !== undefined && { held: valuesOf(parts, 'held') }),
    policy,
    isObserving: first('mode') === 'observe',
    hasCandidate: first('candidate') !== undefined,
    users: valuesOf(parts, 'user'),
    except: valuesOf(parts, 'except'),
    limits: valuesOf(parts, 'limit'),
    logs: first('logs') ?? '',
    debug: first('debug') === 'yes',
    ...(first('contact') !== undefined && { contact: first('contact') }),
    allow: rules('allow'),
    deny: rules('deny'),
    onRequest: parts
      .filter(({ what }) => what === 'on-request')
      .map((part) => ({
        ...requestableOfPart(part),
        effect: moreOf(part, 'effect')[0] ?? '',
        example: moreOf(part, 'example')[0] ?? '',
      })),
    approve: valuesOf(parts, 'approve'),
  };
}

function rightOfPart(part: AnswerPart): Right {
  return { command: part.value, effect: moreOf(part, 'effect')[0] ?? '', says: moreOf(part, 'if') };
}

/** The answer in one sentence. `place`: FILE:LINE of the rule, for readers of the files; `meant`: a command similar to an unknown one. */
export function sayExplanation(explanation: Explanation, place?: string, meant?: string): string {
  const { decision, reason, would, policy, obstacle, noBackend, command, rule, locked } = explanation;
  if (locked !== undefined) return `stopped: ${locked}`;
  const by = place === undefined ? '' : ` by ${place}`;
  if (decision === 'unparsable') {
    const hint = command !== undefined || meant === undefined ? '' : `; did you mean "${meant}"?`;
    return `refused, it cannot be read: ${reason}${hint}`;
  }
  if (decision === 'deny') {
    const { request } = explanation;
    const unable =
      noBackend === noAllUsers.reason ? `it cannot be carried out: ${noBackend}; and it is ` : '';
    return `${unable}denied${by}: ${reason}${request === undefined ? '' : `; available on request: ${request}`}`;
  }
  if (obstacle !== undefined) return `allowed${by}, and it cannot be carried out: ${noBackend ?? obstacle}`;
  if (would !== undefined) return `allowed, since policy ${policy} observes only; ${would}`;
  const what = rule === undefined ? reason : `a rule of policy ${policy}`;
  return by === '' ? `allowed: ${what}` : `allowed${by}, ${what}`;
}

const decisions: readonly Explanation['decision'][] = ['allow', 'deny', 'unparsable'];

export function explanationOfRows(rows: readonly AnswerRow[]): Explanation | undefined {
  const parts = partsOf(rows, ['if', 'missing', ...requestTermKeys]);
  const first = (what: string): string | undefined => valuesOf(parts, what)[0];
  const decision = decisions.find((one) => one === first('decision'));
  if (decision === undefined) return undefined;
  const rule = parts.find(({ what }) => what === 'rule');
  const nearest = parts.find(({ what }) => what === 'nearest');
  const onRequest = parts.find(({ what }) => what === 'on-request');
  return {
    decision,
    code: first('code') ?? '',
    reason: first('reason') ?? '',
    outcome: first('outcome'),
    shadow: first('shadow'),
    obstacle: first('obstacle'),
    would: first('would'),
    policy: first('policy') ?? '',
    principal: first('principal') ?? '',
    rule: rule && ruleOfPart(rule),
    command: first('command'),
    sent: valuesOf(parts, 'sent'),
    concerns: first('concerns'),
    effect: first('effect'),
    backends: valuesOf(parts, 'backend'),
    noBackend: first('no-backend'),
    series: valuesOf(parts, 'series'),
    terms: valuesOf(parts, 'term'),
    later: valuesOf(parts, 'later'),
    nearest: nearest && { ...ruleOfPart(nearest), missing: moreOf(nearest, 'missing') },
    onRequest: onRequest && requestableOfPart(onRequest),
    request: first('request'),
    differs: valuesOf(parts, 'differs'),
    ...(first('locked') !== undefined && { locked: first('locked') }),
  };
}

function ruleOfPart(part: AnswerPart): RuleInWords {
  return { command: part.value, says: moreOf(part, 'if') };
}

function shownTermsIn(find: (key: string) => string | undefined): ShownTerms {
  return shownBy((key) => {
    const text = find(key);
    return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : text;
  });
}
