// What the browser may ask: the table of endpoints, with the roles and the schema of each. There are no others. Code for the browser
// imports only types from here. A change is a POST.

import * as z from 'zod';
import { askedShape } from '../../evidence/views/asked.js';
import { lockAction, unlockAction } from '../../gate/door/action.js';
import { decision } from '../../gate/door/decision.js';
import { bounds } from '../../host/bounds/bounds.js';
import { distanceMs, listOf, nothing, text, timeMs, uid } from '../../host/values/shape.js';
import { isText } from '../../host/values/values.js';
import { type PageRole, pageRoles } from '../../rules/identity/roles.js';

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
    /** Or the body of an HTTP request with one command: [[command, parameters, tag]]. */
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

const reportForms = ['page', 'csv', 'html', 'json', 'owner'] as const;

/** A request for the report of one mailbox. Times in milliseconds since 1970, `toMs` exclusive; absent: as far as the journal goes. */
const report = z.object({
  mailbox: text(4096),
  fromMs: timeMs.optional(),
  toMs: timeMs.optional(),
  /** Only commands that showed mail content, or may have shown it. */
  content: z.boolean({ error: 'must be true or false' }).optional(),
  /**
   * `page`: events `head` with a MailboxHead, then `day` with a MailboxDay each, oldest first. The others: events `text`, each with a
   * string, which together are the file; `owner` is a signed extract. After the last one, `end` with a MailboxEnd: without it the report
   * is not whole.
   */
  form: z.enum(reportForms, { error: `must be one of ${reportForms.join(' ')}` }),
});
export type AskReport = Readonly<z.infer<typeof report>>;

const policyCharsMax = 256 * 1024;

/** A policy that is reviewed against the journal: suggest, check of a text, replay. */
const review = z.object({
  policy: z.string({ error: 'must be the name of a policy' }),
  yaml: text(policyCharsMax).default(''),
  /** Absent: all that is kept. */
  sinceMs: distanceMs.optional(),
  /** A further statement to prove about the candidate; that nobody may do more than before is always tried. */
  statement: text(bounds.statementChars).default(''),
});

/** Absent: all that is kept. */
const policies = z.object({
  sinceMs: distanceMs.optional(),
  /** `csv`: the answer is a file for a spreadsheet. */
  form: z.literal('csv', { error: 'must be csv' }).optional(),
});

/** A mail user, or a pattern of their names. */
const mailbox = z.object({ user: text(bounds.userNameBytes).min(1) });
const statement = z.object({ statement: text(bounds.statementChars).min(1) });

/** A reason of an operator may be missing; one that is no text counts as none. */
const drain = z.object({ reason: z.string().min(1).optional().catch(undefined) });

const lock = lockAction.omit({ kind: true });
export type LockWanted = Readonly<z.infer<typeof lock>>;

interface EndpointRow {
  /** `METHOD PATH`; `:word` stands for one part of a path, percent-encoded. */
  readonly route: string;
  /** Who may ask. `nobody-yet`: before a session. */
  readonly roles: readonly PageRole[] | 'nobody-yet';
  /** The schema of the request's body. */
  readonly asks: z.ZodType;
  /** Its answer names mail users, or programs and teams: 403 for people with a limited view. */
  readonly isUnlimited?: true;
  /** Default: `askedBytesMax`. */
  readonly bodyBytesMax?: number;
  /** It takes a right away, so the person's own slow searches do not delay it. */
  readonly isEnd?: true;
}

const everybody = pageRoles;

/** Of a text in JSON, which can be longer than the text. */
const policyBytesMax = 3 * policyCharsMax;

export const endpoints = {
  /** -> Ways. */
  ways: { route: 'GET /api/ways', asks: nothing, roles: 'nobody-yet' },
  /** With a link of `dovegate page open`: Redeem -> Entered. */
  redeem: { route: 'POST /api/redeem', asks: nothing, roles: 'nobody-yet' },
  /** With a name and a password, or with the certificate of the connection: Login -> Entered. */
  login: { route: 'POST /api/login', asks: nothing, roles: 'nobody-yet' },
  /** OidcBegin -> OidcBegun. */
  'oidc-begin': { route: 'POST /api/oidc/begin', asks: nothing, roles: 'nobody-yet' },
  /** OidcFinish -> Entered. */
  'oidc-finish': { route: 'POST /api/oidc/finish', asks: nothing, roles: 'nobody-yet' },
  logout: { route: 'POST /api/logout', asks: nothing, roles: everybody },
  /** -> Me. */
  me: { route: 'GET /api/me', asks: nothing, roles: everybody },
  /**
   * Server-sent events: `snapshot` with a Now, then `change` with a NowChange, 1 a second, at most 5 while the daemon gets better or worse;
   * `away` with an Away.
   */
  now: { route: 'GET /api/now', asks: nothing, roles: everybody },
  /** `:span` one of `spans` (history.ts) -> History. */
  history: { route: 'GET /api/history/:span', asks: nothing, roles: everybody },
  /** -> Incidents (history.ts). */
  incidents: { route: 'GET /api/incidents', asks: nothing, roles: everybody },
  'backends-csv': { route: 'GET /api/backends.csv', asks: nothing, roles: everybody },
  /** With a `reason` or without -> Done. */
  drain: { route: 'POST /api/backend/:name/drain', asks: drain, roles: ['operate'], isEnd: true },
  enable: { route: 'POST /api/backend/:name/enable', asks: nothing, roles: ['operate'] },
  /** A problem that degrades nothing, by its key, for so many hours -> Done. */
  acknowledge: { route: 'POST /api/acknowledge/:problem/:hours', asks: nothing, roles: ['operate'] },
  kill: { route: 'POST /api/kill/:id', asks: nothing, roles: ['operate'], isEnd: true },
  /** LockWanted -> Done. */
  lock: { route: 'POST /api/lock', asks: lock, roles: ['operate'], isEnd: true },
  /** By the id of a lock or its target: `target` and `reason` -> Done. */
  unlock: { route: 'POST /api/unlock', asks: unlockAction.omit({ kind: true }), roles: ['operate'] },
  /** AskTrail (asked.ts) -> lines of TrailLine, the last one an `end`: without it an answer is not whole. */
  search: { route: 'POST /api/trail/search', asks: askedShape('search'), roles: ['audit'] },
  /** AskTrail, of which only the filter counts -> Histogram (trail.ts). To be asked after the rows: it reads all that the filter covers. */
  histogram: { route: 'POST /api/trail/histogram', asks: askedShape('histogram'), roles: ['audit'] },
  export: { route: 'POST /api/trail/export', asks: askedShape('export'), roles: ['audit'] },
  extract: { route: 'POST /api/trail/extract', asks: askedShape('extract'), roles: ['audit'] },
  /**
   * AskReport. Server-sent events: `progress` with a VerifyProgress while the journal is checked, then the report in its form, then `end`;
   * or `failed` with a Refused.
   */
  report: { route: 'POST /api/trail/report', asks: report, roles: ['audit'] },
  survey: { route: 'POST /api/trail/survey', asks: askedShape('survey'), roles: ['audit'] },
  /** AskTrail, of which `user` and the times count -> lines of TrailLine. */
  requests: { route: 'POST /api/trail/requests', asks: askedShape('requests'), roles: ['audit'] },
  /** AskExchange -> lines of TrailLine. */
  show: { route: 'POST /api/trail/show', asks: askedShape('show'), roles: ['audit'] },
  /** Explain -> Explained. */
  explain: { route: 'POST /api/explain', asks: explain, roles: ['audit'], isUnlimited: true },
  /** Suggest -> Suggested. */
  suggest: { route: 'POST /api/suggest', asks: review, roles: ['audit'], isUnlimited: true },
  /** Check -> Checked: the text of a policy is parsed; nothing is read from the journal and nothing is written. */
  check: {
    route: 'POST /api/check',
    asks: review,
    roles: ['audit'],
    isUnlimited: true,
    bodyBytesMax: policyBytesMax,
  },
  /** Replay -> Replayed: what the policy of that text would have decided about past commands. */
  replay: {
    route: 'POST /api/replay',
    asks: review,
    roles: ['audit'],
    isUnlimited: true,
    bodyBytesMax: policyBytesMax,
  },
  /** -> PolicyHistory, or the same as CSV: who changed the policies, and what ran under them. */
  policies: { route: 'POST /api/policies', asks: policies, roles: ['audit'], isUnlimited: true },
  /** -> AccessTable. */
  access: { route: 'GET /api/access', asks: nothing, roles: ['audit'], isUnlimited: true },
  /** `user`, a name or a pattern -> MailboxAccess: who reaches a mailbox under what is served now. */
  mailbox: { route: 'POST /api/access/mailbox', asks: mailbox, roles: ['audit'], isUnlimited: true },
  /** `statement` -> Proved: a statement about the policies that are served now. */
  prove: { route: 'POST /api/prove', asks: statement, roles: ['audit'], isUnlimited: true },
  /** -> Proof: the part that is known without reading the journal. */
  proof: { route: 'GET /api/proof', asks: nothing, roles: everybody },
  /** Server-sent events: `progress` with a VerifyProgress, at the end `result` with a Verified, or `failed` with a Refused. */
  verify: { route: 'POST /api/verify', asks: nothing, roles: everybody },
  /** -> KeysTable. */
  keys: { route: 'GET /api/keys', asks: nothing, roles: ['operate', 'audit'], isUnlimited: true },
  /** -> Approvals. */
  approvals: { route: 'GET /api/approvals', asks: nothing, roles: ['approve'] },
  /** The uses of a request that `approvals` lists, from the journal -> Uses. */
  uses: { route: 'GET /api/approvals/:id/uses', asks: nothing, roles: ['approve'] },
  /** Decide -> Approvals with only this request. */
  approve: { route: 'POST /api/approvals/:id/approve', asks: decision, roles: ['approve'] },
  refuse: { route: 'POST /api/approvals/:id/refuse', asks: decision, roles: ['approve'], isEnd: true },
  revoke: { route: 'POST /api/approvals/:id/revoke', asks: decision, roles: ['approve'], isEnd: true },
  review: { route: 'POST /api/approvals/:id/review', asks: decision, roles: ['approve'] },
} as const satisfies Readonly<Record<string, EndpointRow>>;
export type Endpoint = keyof typeof endpoints;

/** The body of a request, by endpoint. Endpoints without a session parse their body themselves. */
export type AskedOf = { readonly [Of in Endpoint]: Readonly<z.output<(typeof endpoints)[Of]['asks']>> };

export function endpointRow(endpoint: Endpoint): EndpointRow {
  return endpoints[endpoint];
}
