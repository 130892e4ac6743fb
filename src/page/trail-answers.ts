// Answers people who ask what records say: at the socket of the page, where the kernel says who asks, and on the page in the browser. What
// their role permits, what they are shown, and the record of each look, without which there is no answer, are the same for both. A reload
// that takes somebody out ends what they asked for.

import { type Asked, parseAsked } from '../evidence/views/asked.js';
import { extractNotes } from '../evidence/views/extract.js';
import { type Look, lookAt, lookPath, mayLook } from '../evidence/views/look.js';
import type { DoorHead, RecordedAction } from '../gate/door/door.js';
import { formatFilter } from '../gate/door/filter.js';
import type { LinkOpener } from '../gate/door/parse.js';
import type { Log } from '../gate/telemetry/log.js';
import { plainAnswer, type TextAnswer } from '../host/http/server.js';
import { messageOf } from '../host/ports/faults.js';
import type { PagePerson } from '../rules/config/settings.js';
import { humanOnPage } from '../rules/identity/human.js';
import type { Endpoint, Refused } from './answers/api.js';
import { isAmong, whyNotAsked } from './browser-answers.js';
import { type Daemon, whyChanged, whyNotShown } from './daemon.js';
import { type PageCaller, type PageHandler, refusedReply } from './http/page-request.js';
import { type PersonalRequest, pageSocketText, type SocketPeer } from './http/people-socket.js';
import { LookRefused, type Looks } from './looks.js';
import type { People } from './people.js';

export interface TrailParts {
  readonly log: Pick<Log, 'report'>;
  /** Where the journal is, and what records each look. */
  readonly daemon: Pick<Daemon, 'record' | 'flush' | 'sign'> & {
    readonly told: { readonly head: Pick<DoorHead, 'directory' | 'ownKey'> } | undefined;
  };
  readonly looks: Pick<Looks, 'read'>;
}

export interface PageParts extends TrailParts {
  readonly people: Pick<People, 'byUid' | 'whyLocked'>;
  readonly verify: PageHandler;
  readonly report: PageHandler;
  /** An address that signs a person in once; undefined: there is no page for browsers. */
  readonly link: (person: PagePerson, opener: LinkOpener) => string | undefined;
}

/** The path for a link to the page, for a person of this host. */
const openPath = '/page/open';
/** The path for a check of the whole journal: events, as on the page in the browser. */
const verifyPath = '/page/verify';
/** The path for a signed report of one mailbox as its owner sees it: events, as on the page in the browser. */
const ownerPath = '/page/owner-report';

/** Answers a request at the socket of the page. Rejects only with a bug of ours. */
export function createPageAnswers(parts: PageParts): (request: PersonalRequest) => Promise<TextAnswer> {
  return async ({ path, body, who, signal }) => {
    if (parts.daemon.told === undefined) return plainAnswer(503, unanswered.text);
    const person = personOf(parts, who);
    if (person === undefined)
      return plainAnswer(
        403,
        `${who.user ?? String(who.uid)} is not in admin.page.people; ask the operators of dovegate to add this user`,
      );
    if (path === openPath) return answerLink(parts, person, who);
    const { name, roles, users } = person;
    const caller = { name, roles, users, ...seenAt(who) };
    const human = humanOnPage(person, caller);
    const locked = parts.people.whyLocked(human);
    if (locked !== undefined) return plainAnswer(403, locked);
    const isStill = (): boolean => {
      const now = personOf(parts, who);
      return now !== undefined && isSame(now, person) && parts.people.whyLocked(human) === undefined;
    };
    const asker = { person: caller, isStill, signal };
    if (path === verifyPath) return askLong(parts.verify, 'verify', '', asker);
    if (path === ownerPath)
      return isAmong(person.roles, mayLook.report)
        ? askLong(parts.report, 'report', body, asker)
        : plainAnswer(403, whyNotAsked(person.name, person.roles, 'report', mayLook.report));
    const look = lookAt(path);
    if (look === undefined) return plainAnswer(404, pageSocketText);
    if (!isAmong(person.roles, mayLook[look]))
      return plainAnswer(403, whyNotAsked(person.name, person.roles, look, mayLook[look]));
    const asked = parseAsked(look, body);
    if (typeof asked === 'string') return plainAnswer(400, asked);
    if (asked.look === 'me') return { ...rows, body: `${JSON.stringify({ name, roles, users })}\n` };
    const { status, text } = await lookInto(parts, { asked, ...asker });
    return status === 200 ? { ...rows, body: text } : plainAnswer(status, text);
  };
}

/** `verify` is for every role: its answer has no names. */
async function askLong(
  handler: PageHandler,
  endpoint: 'verify' | 'report',
  body: string,
  { person: who, isStill, signal }: Omit<LookAsked, 'asked'>,
): Promise<TextAnswer> {
  const reply = await handler({ endpoint, params: [], body, who, isStill, signal });
  if ('pieces' in reply) return { ...reply, body: '' };
  const { text }: Refused = JSON.parse(reply.body);
  return plainAnswer(reply.status, text);
}

/** No record, no link. */
async function answerLink(parts: PageParts, person: PagePerson, who: SocketPeer): Promise<TextAnswer> {
  const { link, daemon, log } = parts;
  const { from, opener } = seenAt(who);
  const address = link(person, opener);
  if (address === undefined)
    return plainAnswer(
      404,
      'there is no page for browsers; the operators of dovegate can set admin.page.tcp',
    );
  try {
    await daemon.record({ ...person, from, opener }, { action: 'page-open' });
  } catch (fault) {
    const why = whyChanged(fault);
    if (why !== undefined) return plainAnswer(403, why);
    log.report({ event: 'admin-failed', level: 'error', text: `${openPath}: ${messageOf(fault)}` });
    // As at the sign-in: somebody who sees no records may come while nothing can be recorded.
    if (person.roles.includes('audit'))
      return plainAnswer(503, `the link could not be recorded: ${messageOf(fault)}`);
  }
  return plainAnswer(200, address);
}

const pageLooks = ['search', 'histogram', 'export', 'extract', 'survey', 'requests', 'show'] as const;

export function createTrailHandlers(parts: TrailParts): Partial<Record<Endpoint, PageHandler>> {
  const handlerOf =
    (look: (typeof pageLooks)[number]): PageHandler =>
    async ({ body, who, isStill, signal }) => {
      // The table of endpoints permits it already; what a record says must not hang on one table.
      if (!isAmong(who.roles, mayLook[look])) return refusedReply(403, `your role may not ask for ${look}`);
      const asked = parseAsked(look, body);
      if (typeof asked === 'string') return refusedReply(400, asked);
      const { status, text } = await lookInto(parts, { asked, person: who, isStill, signal });
      if (status !== 200) return refusedReply(status, text);
      return look === 'histogram' ? { ...whole, body: text } : { ...rows, body: text };
    };
  return Object.fromEntries(pageLooks.map((look) => [look, handlerOf(look)]));
}

export interface LookAsked {
  readonly asked: Asked;
  readonly person: PageCaller;
  /** Of whom records are shown to somebody who is no auditor. */
  readonly seen?: readonly string[];
  readonly isStill: () => boolean;
  readonly signal: AbortSignal;
}

/** With status 200 an answer, else a sentence. Rejects only with a bug of ours. */
export async function lookInto(
  parts: TrailParts,
  look: LookAsked,
): Promise<{ readonly status: number; readonly text: string }> {
  try {
    return await answerLook(parts, look);
  } catch (fault) {
    if (fault instanceof LookRefused) return { status: 503, text: fault.message };
    const why = whyChanged(fault);
    if (why !== undefined) return { status: 403, text: why };
    // Nobody is there to be answered.
    if (look.signal.aborted) return { status: 503, text: 'given up' };
    const text = `${lookPath(look.asked.look)}: ${messageOf(fault)}`;
    parts.log.report({ event: 'admin-failed', level: 'error', text });
    return {
      status: 503,
      text:
        whyNotShown(fault) ??
        'the journal could not be read, or the look could not be recorded; the log of the process that answers says why',
    };
  }
}

async function answerLook(
  parts: TrailParts,
  { asked, person, seen: ofThem = [], isStill, signal }: LookAsked,
): Promise<{ readonly status: number; readonly text: string }> {
  const { name, roles, users } = person;
  const { looks, daemon } = parts;
  const { head } = daemon.told ?? {};
  if (head === undefined) return unanswered;
  const { directory, ownKey } = head;
  // Only auditors see what records say, also in the words of a fault.
  const seen = roles.includes('audit') ? users : ofThem;
  // Whatever fails here fails at the record of the look, too, which decides.
  await daemon.flush().catch(() => undefined);
  const found = await looks.read({ directory, asked, users: seen, ownKey }, name, signal);
  // It may have been taken out, or been narrowed, while this was read, or recorded.
  if (!isStill()) return changed;
  const { rows: count, extract } = found;
  if (asked.look === 'extract' && extract !== undefined) {
    const about = { facts: extract, filter: asked.filter, after: afterOf(asked), rows: count };
    const signed = await daemon.sign(person, about);
    // Who writes the file from lines as they are needs those for people, too.
    const notes = asked.as === undefined ? undefined : extractNotes;
    return isStill() ? { status: 200, text: `${found.text}${JSON.stringify({ signed, notes })}\n` } : changed;
  }
  const action = actions[asked.look];
  if (action === undefined) throw new Error(`${asked.look} is no look at records`);
  await daemon.record(person, { action, args: wordsOf(asked), rows: count });
  return isStill() ? { status: 200, text: found.text } : changed;
}

const changed = { status: 403, text: 'the configuration was changed meanwhile; ask again' };
const unanswered = {
  status: 503,
  text: 'dovegate does not answer, so nothing can be recorded or shown; ask again when it runs',
};

const whole = { status: 200, type: 'application/json; charset=utf-8' } as const;
const rows = { status: 200, type: 'application/x-ndjson; charset=utf-8' } as const;

const actions: Readonly<Record<Look, RecordedAction | undefined>> = {
  me: undefined,
  verify: 'audit-verify',
  search: 'audit-search',
  histogram: 'audit-search',
  export: 'audit-export',
  extract: 'audit-extract',
  report: 'audit-report',
  survey: 'audit-survey',
  requests: 'audit-access',
  show: 'audit-show',
};

/** The request as words for its record; the daemon adds the view. */
function wordsOf(asked: Asked): readonly string[] {
  if (asked.look === 'show') return [`wanted=${asked.wanted}`];
  if (!('filter' in asked)) return [];
  const not = (asked.not ?? []).map(({ key, value }) => `-${key}=${value}`);
  const form = asked.look === 'histogram' ? ['as=histogram'] : [];
  return [...formatFilter(asked.filter), ...not, ...afterOf(asked), ...form];
}

function afterOf(asked: Asked): readonly string[] {
  if (!('filter' in asked)) return [];
  const { cursor, newest } = asked;
  return [
    ...(cursor === undefined ? [] : [`after=${cursor.after}`]),
    ...(newest?.before === undefined ? [] : [`before=${newest.before}`]),
  ];
}

function personOf({ people }: PageParts, { uid }: SocketPeer): PagePerson | undefined {
  return people.byUid(uid);
}

function seenAt({ pid, ...opener }: SocketPeer): {
  readonly from: readonly string[];
  readonly opener: LinkOpener;
} {
  const { uid, user } = opener;
  const from = [
    `uid=${uid}`,
    ...(pid === undefined ? [] : [`pid=${pid}`]),
    ...(user === undefined ? [] : [`user=${user}`]),
  ];
  return { from, opener };
}

function isSame(one: PagePerson, other: PagePerson): boolean {
  const meant = ({ name, roles, users }: PagePerson): string => JSON.stringify([name, roles, users]);
  return meant(one) === meant(other);
}
