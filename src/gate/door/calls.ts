// What the page's process may ask of the daemon at `admin.door`: HTTP/1.1 over a UNIX socket, bodies and lines in JSON. The table is
// closed, and the only place that says how a call is written, what it costs and who may make it. The page may have been taken over: nothing
// of a call is believed before its shape, its lengths and the range of each number were looked at, and each one that is recorded or changes
// something names the person, a role of theirs and the generation of the settings that the page has. The daemon checks all three, and
// composes by itself whatever it writes or signs.

import * as z from 'zod';
import { accessSteps } from '../../doveadm/verbs/verbs.js';
import { bounds } from '../../host/bounds/bounds.js';
import { count, distanceMs, listOf, nothing, text, uid } from '../../host/values/shape.js';
import { asObject, isText } from '../../host/values/values.js';
import { type PageRole, pageRoles } from '../../rules/identity/roles.js';
import { argument, decision } from './decision.js';
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

/** A word of a record; the daemon writes a digest for a secret one. */
export type DoorWord = string | { readonly secret: string };

function isWord(value: unknown): value is DoorWord {
  return isText(value) || isText(asObject(value)?.['secret']);
}

function isRecordedAction(value: unknown): value is RecordedAction {
  return isText(value) && Object.hasOwn(recordedActions, value);
}

/** Of a range of subordinate uids. */
const owners = z
  .array(z.object({ uid: uid.optional(), user: nameText.optional() }))
  .max(bounds.subUidOwners)
  .readonly()
  .optional();
/** The process that got the link of a session, or asks, at the socket of the page: what the kernel said of it to the page's process. */
const opener = z.object({
  uid,
  user: nameText.optional(),
  /** Undefined: it belongs to no login, or that is unknown. */
  loginUid: uid.optional(),
  loginUser: nameText.optional(),
  rangeOwners: owners,
  loginOwners: owners,
  /** The name service did not say one of its names. */
  isUnanswered: z.boolean().optional(),
});
export type LinkOpener = Readonly<z.infer<typeof opener>>;

/** Each call that a person makes. What it says beside the entry of the page adds a human to be asked for, and takes none away. */
const personCall = z.object({ as: caller, from, opener: opener.optional() });
export type PersonCall = Readonly<z.infer<typeof personCall>>;

const recordCall = personCall.extend({
  action: z.custom<RecordedAction>(isRecordedAction, {
    error: 'must be one that the page may have recorded',
  }),
  args: listOf(bounds.doorWords, isWord, `must be at most ${bounds.doorWords} words`),
  rows: count.optional(),
});

/** The facts of an extract; the rest of what is signed the daemon knows. It is recorded first. */
const extractCall = personCall
  .extend({
    facts: z.object({
      fromSeq: count,
      toSeq: count,
      isDamaged: z.boolean(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/, { error: 'must be a digest in hex' }),
    }),
    filter: trailFilter,
    /** Where an earlier part ended: words for the record. */
    after: z
      .array(z.string().regex(/^(?:after|before)=\d{1,16}$/, { error: 'must be numbers of records' }))
      .max(bounds.doorPlaceWords)
      .readonly(),
    rows: count,
    /** The rows are what the owner of the mailbox is shown. */
    shown: z.literal('owner').optional(),
  })
  .refine(({ facts: { fromSeq, toSeq }, rows }) => rows <= Math.max(0, toSeq - fromSeq + 1), {
    path: ['rows'],
    error: 'must not be more than records',
  });
export type DoorExtract = Readonly<z.infer<typeof extractCall>>;

const actionCall = personCall.extend({
  kind: z.enum(['kill', 'drain', 'enable', 'acknowledge', 'lock', 'unlock']),
  /** Its id or name. */
  what: nameText,
  /** Of a drain, a lock and its lift. */
  reason: argument('reason'),
  /** Of a lock, as is whether it ends what runs and is a hold, which may have no end. */
  forMs: count.optional(),
  kills: z.boolean().optional(),
  isHold: z.boolean().optional(),
  /** For how long what is wrong is acknowledged. */
  hours: z.number().int().min(1).max(720).optional(),
});
export type DoorAction = Readonly<z.infer<typeof actionCall>>;

/** A look at requests for access, or a step of one; each step is recorded by what it does. */
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
  /** How many more there were since the last one that was told. */
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
  /** `METHOD PATH`. */
  readonly route: string;
  /** Its kind of budget: gate/daemon/door-budget. */
  readonly costs: 'call' | 'stream' | 'decision';
  /** The shape of its body. */
  readonly asks: z.ZodType;
  /** Bytes of its body; {@link bounds.doorBriefBytes} where it does not say. */
  readonly bytesMax?: number;
  /** Roles of the person that permit it; those of a record are its action's. */
  readonly roles?: readonly PageRole[];
}

const brief = bounds.httpAccessBytes;

export const doorCalls = {
  /** -> lines: a DoorHead, the lines of the settings, an empty line; again after each reload; a DoorBeat each second. */
  settings: { route: 'GET /settings', costs: 'stream', asks: nothing },
  /** -> lines of DoorNow, 1 a second, at most 5 while the daemon gets better or worse. */
  now: { route: 'GET /now', costs: 'stream', asks: nothing },
  /** -> DoorFacts. */
  facts: { route: 'GET /facts', costs: 'call', asks: nothing },
  /** -> DoorTraffic. */
  traffic: { route: 'GET /traffic', costs: 'stream', asks: nothing },
  /** All records so far are on disk when it is answered. */
  flush: { route: 'POST /flush', costs: 'call', asks: nothing },
  /** It is on disk when it is answered. A question of the playground may be as long as a line of a client. */
  record: { route: 'POST /record', costs: 'call', asks: recordCall, bytesMax: bounds.doorBodyBytes },
  /** -> SignedExtract, after a record. */
  sign: { route: 'POST /sign', costs: 'call', asks: extractCall, roles: ['audit'] },
  /** -> ActionResult. */
  operate: {
    route: 'POST /operate',
    costs: 'decision',
    asks: actionCall,
    bytesMax: brief,
    roles: ['operate'],
  },
  /** -> DoorAccessed. */
  access: { route: 'POST /access', costs: 'decision', asks: accessCall, bytesMax: brief, roles: ['approve'] },
  /** -> DoorOpened, after a record: takes a reading of the token. */
  report: { route: 'POST /report', costs: 'call', asks: reportCall },
  /** Recorded as often as strangers may have something recorded. */
  refused: { route: 'POST /refused', costs: 'call', asks: refusedCall },
  /** -> {}. */
  page: { route: 'POST /page', costs: 'call', asks: pageCall },
} as const satisfies Readonly<Record<string, CallRow>>;
export type DoorCall = keyof typeof doorCalls;

type Rows = typeof doorCalls;
/** By call, what its body says. */
export type DoorAsked = { readonly [Call in DoorCall]: Readonly<z.output<Rows[Call]['asks']>> };

/** Without the constants of the row. */
export function callRow(call: DoorCall): CallRow {
  return doorCalls[call];
}

/** Roles that permit a call; undefined: every role. */
export function rolesFor(call: DoorCall, action?: RecordedAction): readonly PageRole[] | undefined {
  return action === undefined ? callRow(call).roles : recordedActions[action];
}
