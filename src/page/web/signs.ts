// The one table of words, colours and shapes: how a command ended, and what a command can do. Every screen draws them by <Outcome> and
// <Effect> of badge.tsx, with the words that the search of the trail takes.

import { shownEffect, type TrailContent } from '../../evidence/story/row.js';
import { endWords } from '../../gate/access/ending-words.js';
import type { OutcomeClass } from '../../gate/outcome/class.js';

export type Tone = 'good' | 'warn' | 'bad' | 'quiet' | 'strange' | 'write' | 'content' | 'destroy';

export type Shape =
  | 'check'
  | 'cross'
  | 'stop'
  | 'question'
  | 'dots'
  | 'ring'
  | 'triangle'
  | 'eye'
  | 'envelope'
  | 'link'
  | 'pen'
  | 'gear'
  | 'flame';

export interface SignFacts {
  readonly word: string;
  readonly tone: Tone;
  readonly shape: Shape;
}

const sign = (word: string, tone: Tone, shape: Shape): SignFacts => ({ word, tone, shape });

/** By the word of a record, and `login` for a session that did not begin. */
export const outcomes: Readonly<Record<string, SignFacts>> = {
  ok: sign('ok', 'good', 'check'),
  denied: sign('denied', 'warn', 'stop'),
  limited: sign('limited', 'warn', 'stop'),
  unparsable: sign('unparsable', 'warn', 'stop'),
  login: sign('no login', 'warn', 'stop'),
  refused: sign('refused', 'warn', 'stop'),
  unanswered: sign('unanswered', 'warn', 'stop'),
  failed: sign('failed', 'bad', 'cross'),
  partly: sign('partly', 'bad', 'cross'),
  timeout: sign('timeout', 'bad', 'cross'),
  aborted: sign('aborted', 'bad', 'cross'),
  unknown: sign('unknown', 'strange', 'question'),
  'not-ok': sign('not-ok', 'warn', 'triangle'),
  open: sign('open', 'quiet', 'dots'),
};

/** Steps of access on request; none of them is an exception. */
const steps = ['requested', 'approved', 'granted', 'reviewed', 'revoked', 'ended', 'expired', 'used-up'];

/** What a command can do, weakest first; `content`: shows mail content; `searched`: shows which mails contain something. */
export const effects: Readonly<Record<string, SignFacts>> = {
  read: sign('read', 'quiet', 'eye'),
  session: sign('session', 'quiet', 'link'),
  content: sign('content', 'content', 'envelope'),
  searched: sign('content search', 'content', 'envelope'),
  write: sign('write', 'write', 'pen'),
  admin: sign('admin', 'write', 'gear'),
  destroy: sign('destroy', 'destroy', 'flame'),
};

/** Classes of a mailbox report, whose words are those of the report. */
const classes: Readonly<Record<string, SignFacts | undefined>> = {
  deleted: effects['destroy'],
  destroyed: effects['destroy'],
  changed: effects['write'],
  content: effects['content'],
  searched: effects['searched'],
  read: effects['read'],
  session: effects['session'],
  unread: outcomes['unparsable'],
  failed: outcomes['failed'],
  denied: outcomes['denied'],
};

const decisions: Readonly<Record<string, SignFacts | undefined>> = {
  allow: sign('allowed', 'good', 'check'),
  deny: outcomes['denied'],
  unparsable: outcomes['unparsable'],
  obstacle: sign('allowed, cannot be carried out', 'warn', 'triangle'),
};

/** A bar has no part of its own for commands that have not ended. */
export function partWord(part: OutcomeClass): string {
  const { word } = outcomeSign(part);
  return part === 'unknown' ? `${outcomeSign('open').word} or ${word}` : word;
}

export function outcomeSign(outcome: string): SignFacts {
  if (steps.includes(outcome)) return sign(endWords(outcome, ''), 'quiet', 'ring');
  return (Object.hasOwn(outcomes, outcome) && outcomes[outcome]) || sign(outcome, 'strange', 'question');
}

export function decisionSign(decision: string): SignFacts {
  return (Object.hasOwn(decisions, decision) && decisions[decision]) || outcomeSign(decision);
}

/** The effect with what the record says of content, which only commands that read can show. */
export function effectWith(effect: string, content: TrailContent | undefined): SignFacts {
  const shown = shownEffect(effect, content);
  if (shown === effect) return effectSign(effect);
  const facts = effectSign(content === 'searched' ? content : shown);
  return content === 'maybe' ? { ...facts, word: `perhaps ${facts.word}` } : facts;
}

export function effectSign(effect: string): SignFacts {
  return (Object.hasOwn(effects, effect) && effects[effect]) || sign(effect, 'quiet', 'ring');
}

export function classSign(group: string, what: string): SignFacts {
  return {
    ...((Object.hasOwn(classes, group) && classes[group]) || sign(what, 'quiet', 'ring')),
    word: what,
  };
}
