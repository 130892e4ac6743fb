// The calls that the page's process may make at `admin.door`: HTTP/1.1 over a UNIX socket, bodies and lines in JSON. This table is closed,
// and the only place that says how a call is written, what it costs and who may make it. The page may have been taken over, so the shape,
// the lengths and the ranges of each call are checked first. A call that is recorded or changes something names the person, a role of
// theirs and the generation of the page's settings. The daemon checks all three, and composes by itself whatever it writes or signs.

import * as z from 'zod';
import { accessSteps } from '../../doveadm/verbs/verbs.js';
import { bounds } from '../../host/bounds/bounds.js';
import { count, distanceMs, listOf, nothing, text, uid } from '../../host/values/shape.js';
import { asObject, isText } from '../../host/values/values.js';
import { type PageRole, pageRoles } from '../../rules/identity/roles.js';
import { doorAction } from './action.js';
import { decision } from './decision.js';
import { type RecordedAction, recordedActions } from './door.js';
import { trailFilter } from './filter-shape.js';

const nameText = text(bounds.doorNameChars);
const longText = text(bounds.doorTextChars);

const caller = z.object({ person: nameText, role: z.enum(pageRoles), generation: count });

/**
 * Where the person is: `address=192.0.2.7`, with `oidc=` where an issuer says who it is, or `uid=1001 pid=77` at the socket of the page.
 */
const from = z
  .array(
    z
      .string()
      .regex(
        /^(?:address=[0-9a-fA-F.:%a-z]{1,64}|uid=\d{1,10}|pid=\d{1,10}|(?:user|oidc)=[^\s\p{C}]{1,256})$/u,
        { error: 'must be address= and oidc=, or uid=, pid= and user=' },
      ),
  )
  .max(bounds.doorPlaceWords)
  .readonly();

/** A word of a record; the daemon writes a digest instead of a secret one. */
export type DoorWord = string | { readonly secret: string };

function isWord(value: unknown): value is DoorWord {
  return isText(value) || isText(asObject(value)?.['secret']);
}

function isRecordedAction(value: unknown): value is RecordedAction {
  return isText(value) && Object.hasOwn(recordedActions, value);
}

/** The owners of the ranges of subordinate uids that contain the uid. */
const owners = z
  .array(z.object({ uid: uid.optional(), user: nameText.optional() }))
  .max(bounds.subUidOwners)
  .readonly()
  .optional();
/** The process at the page's socket that asks, or that received the link of the session: what the kernel told the page about it. */
const opener = z.object({
  uid,
  user: nameText.optional(),
  /** Undefined: the process belongs to no login, or the login is unknown. */
  loginUid: uid.optional(),
  loginUser: nameText.optional(),
  rangeOwners: owners,
  loginOwners: owners,
  /** The name service did not answer for at least one of its names. */
  isUnanswered: z.boolean().optional(),
});
export type LinkOpener = Readonly<z.infer<typeof opener>>;

/** The keys of each call of a person. `from` and `opener` add humans whom locks and approvals consider, and remove none. */
const personCall = z.object({ as: caller, from, opener: opener.optional() });
export type PersonCall = Readonly<z.infer<typeof personCall>>;

const recordCall = personCall.extend({
  action: z.custom<RecordedAction>(isRecordedAction, {
    error: 'must be one that the page may have recorded',
  }),
  args: listOf(bounds.doorWords, isWord, `must be at most ${bounds.doorWords} words`),
  rows: count.optional(),
});

/** The facts of an extract; the daemon adds the rest of what it signs. The call is recorded before it is signed. */
const extractCall = personCall
  .extend({
    facts: z.object({
      fromSeq: count,
      toSeq: count,
      isDamaged: z.boolean(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/, { error: 'must be a digest in hex' }),
    }),
    filter: trailFilter,
    /** Where an earlier part of the extract ended; these words are recorded. */
    after: z
      .array(z.string().regex(/^(?:after|before)=\d{1,16}$/, { error: 'must be numbers of records' }))
      .max(bounds.doorPlaceWords)
      .readonly(),
    rows: count,
    /** The rows are the view for the owner of the mailbox. */
    shown: z.literal('owner').optional(),
  })
  .refine(({ facts: { fromSeq, toSeq }, rows }) => rows <= Math.max(0, toSeq - fromSeq + 1), {
    path: ['rows'],
    error: 'must not be more than records',
  });
export type DoorExtract = Readonly<z.infer<typeof extractCall>>;

/** Lists requests for access, or takes a step on one; the step itself writes the record. */
const accessCall = personCall.extend({
  ...decision.shape,
  step: z.enum(['list', ...accessSteps]),
  /** Empty for a list. */
  id: nameText,
});
export type DoorAccess = Readonly<z.infer<typeof accessCall>>;

/** A token for the report of one mailbox, as its owner or a panel sent it. */
const reportCall = z.object({ token: nameText, generation: count, address: nameText });

const refusedCall = z.object({
  why: nameText,
  address: nameText.optional(),
  person: nameText.optional(),
  what: longText,
  /** Refusals since the last one that was reported. */
  more: count,
});
export type DoorRefused = Readonly<z.infer<typeof refusedCall>>;

const certificates = z
  .array(z.object({ role: nameText, name: nameText, leftMs: distanceMs }))
  .max(bounds.doorCertificates)
  .readonly();

const pageCall = z.object({
  version: nameText,
  certificates,
  people: count,
  watchers: count,
  /** Since the page was started. */
  signIns: count,
  refusedSignIns: count,
  problem: longText.optional(),
});
export type DoorPage = Readonly<z.infer<typeof pageCall>>;

interface CallRow {
  readonly route: string;
  /** The kind of budget that pays for it; see gate/daemon/door-budget. */
  readonly costs: 'call' | 'stream' | 'decision';
  readonly asks: z.ZodType;
  /** Maximum bytes of the body; default {@link bounds.doorBriefBytes}. */
  readonly bytesMax?: number;
  /** Roles of the person that permit the call; for `record`, the action decides. */
  readonly roles?: readonly PageRole[];
}

const brief = bounds.httpAccessBytes;

export const doorCalls = {
  /** -> lines: a DoorHead, the lines of the settings, an empty line; all of them again after each reload; a DoorBeat each second. */
  settings: { route: 'GET /settings', costs: 'stream', asks: nothing },
  /** -> lines of DoorNow, one a second, up to five while the state of the daemon gets better or worse. */
  now: { route: 'GET /now', costs: 'stream', asks: nothing },
  /** -> DoorFacts. */
  facts: { route: 'GET /facts', costs: 'call', asks: nothing },
  /** -> DoorTraffic. */
  traffic: { route: 'GET /traffic', costs: 'stream', asks: nothing },
  /** Answered once all records so far are on disk. */
  flush: { route: 'POST /flush', costs: 'call', asks: nothing },
  /** Answered once the record is on disk. A question of the playground may be as long as a client's line. */
  record: { route: 'POST /record', costs: 'call', asks: recordCall, bytesMax: bounds.doorBodyBytes },
  /** -> SignedExtract, after a record. */
  sign: { route: 'POST /sign', costs: 'call', asks: extractCall, roles: ['audit'] },
  /** -> ActionResult. */
  operate: {
    route: 'POST /operate',
    costs: 'decision',
    asks: personCall.extend({ action: doorAction }),
    bytesMax: brief,
    roles: ['operate'],
  },
  /** -> DoorAccessed. */
  access: { route: 'POST /access', costs: 'decision', asks: accessCall, bytesMax: brief, roles: ['approve'] },
  /** -> DoorOpened, after a record. Uses up one of the readings that the token permits. */
  report: { route: 'POST /report', costs: 'call', asks: reportCall },
  /** Rate-limited like failed logins; where the person is known, for each person. */
  refused: { route: 'POST /refused', costs: 'call', asks: refusedCall },
  /** -> {}. */
  page: { route: 'POST /page', costs: 'call', asks: pageCall },
} as const satisfies Readonly<Record<string, CallRow>>;
export type DoorCall = keyof typeof doorCalls;

type Rows = typeof doorCalls;
/** The body of each call. */
export type DoorAsked = { readonly [Call in DoorCall]: Readonly<z.output<Rows[Call]['asks']>> };

/** The row as its interface, without its literal types. */
export function callRow(call: DoorCall): CallRow {
  return doorCalls[call];
}

/** Roles that permit a call; undefined: every role. */
export function rolesFor(call: DoorCall, action?: RecordedAction): readonly PageRole[] | undefined {
  return action === undefined ? callRow(call).roles : recordedActions[action];
}
