// What the browser asks, where more than a name is asked: one schema for each request, and its type.

import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { count, distanceMs, listOf, readerOf, text, timeMs, uid } from '../../host/values/shape.js';
import { isText } from '../../host/values/values.js';

/** Without an unpaired surrogate of UTF-16, which no line can carry. */
const isWhole = (each: string): boolean => !/\p{Cs}/u.test(each);

function wholeText(charsMax: number) {
  return text(charsMax)
    .refine(isWhole, { error: `must be a text of at most ${charsMax} characters` })
    .optional();
}

const isWord = (value: unknown): value is string => isText(value) && isWhole(value);
const wordsError = 'must be the words of a command';

/** A request to explain a command. `words` or `json`; `uid` or `account`, as for `dovegate explain`. */
const explain = z
  .object({
    listener: z.string({ error: 'must be the name of a listener' }),
    /** The words of the command line, as a shell would split them. */
    words: listOf(Infinity, isWord, wordsError)
      .refine(({ length }) => length > 0, { error: wordsError })
      .optional(),
    /** Or the body of a request of HTTP, with one command: [[command, parameters, tag]]. */
    json: z.string({ error: 'must be the body of a request as a text' }).optional(),
    user: wholeText(bounds.explainNameChars),
    account: wholeText(bounds.explainNameChars),
    uid: uid.optional(),
    /** Instead of the uid: its name, as the configuration has it. */
    uidName: wholeText(bounds.explainNameChars),
    reason: wholeText(bounds.explainReasonChars),
  })
  .refine(({ words, json }) => words === undefined || json === undefined, {
    error: 'the request has words and JSON; send one of them',
  })
  .refine(({ words, json }) => words !== undefined || json !== undefined, {
    path: ['words'],
    error: wordsError,
  });
export type Explain = Readonly<z.infer<typeof explain>>;
export const parseExplain = readerOf(explain);

const reportForms = ['page', 'csv', 'html', 'json', 'owner'] as const;

/** A request for the report of one mailbox. Times in milliseconds since 1970, from and before; absent: as far as the journal goes. */
const report = z.object({
  mailbox: text(4096),
  fromMs: timeMs.optional(),
  toMs: timeMs.optional(),
  /** Only what showed content, or may have. */
  content: z.boolean({ error: 'must be true or false' }).optional(),
  /**
   * `page`: events `head` with a MailboxHead, then `day` with a MailboxDay each, oldest first. The others: events `text`, each with a
   * string, which together are the file; `owner` is a signed extract. After the last one, `end` with a MailboxEnd: without it the report
   * is not whole.
   */
  form: z.enum(reportForms, { error: `must be one of ${reportForms.join(' ')}` }),
});
export type AskReport = Readonly<z.infer<typeof report>>;
export const parseReport = readerOf(report);

/** A policy that is reviewed by the journal: suggest, check of a text, replay. */
const review = z.object({
  policy: z.string({ error: 'must be the name of a policy' }),
  yaml: text(48 * 1024).default(''),
  /** Absent: all that is kept. */
  sinceMs: distanceMs.optional(),
  /** What is proved of the candidate, beside that nobody may do more than before. */
  statement: text(bounds.statementChars).default(''),
});
export const parseReview = readerOf(review);

/** Absent: all that is kept. */
const policies = z.object({
  sinceMs: distanceMs.optional(),
  /** `csv`: the answer is a file for a spreadsheet. */
  form: z.literal('csv', { error: 'must be csv' }).optional(),
});
export const parsePolicies = readerOf(policies);

/** A mail user, or a pattern of their names. */
export const parseMailbox = readerOf(z.object({ user: text(bounds.userNameBytes).min(1) }));
export const parseStatementAsked = readerOf(z.object({ statement: text(bounds.statementChars).min(1) }));

/** A reason of an operator may be missing; one that is no text counts as none. */
export const parseDrain = readerOf(z.object({ reason: z.string().min(1).optional().catch(undefined) }));

const flagged = z.boolean({ error: 'must be true or false' });
const lock = z.object({
  /** As `dovegate lock` reads it: a person, `key:NAME`, `listener:NAME`, `backend:NAME` or `user:NAME`. */
  target: text(bounds.doorNameChars).min(1, { error: 'must be what is locked' }),
  reason: z.string({ error: 'must be a text' }),
  /** Undefined: a hold without an end. */
  forMs: count.optional(),
  /** What runs is ended, too. */
  kills: flagged,
  /** Of a mail user: only what could change that mail is refused, and two persons lift it. */
  isHold: flagged,
});
export type LockWanted = Readonly<z.infer<typeof lock>>;
export const parseLock = readerOf(lock);
export const parseUnlock = readerOf(lock.pick({ target: true, reason: true }));
