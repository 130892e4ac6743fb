// Answers what people ask about records: at the socket of the page, where the kernel identifies the person, and on the page in the browser.
// Both have the same roles and views, and record each look before the answer. A reload that removes a person ends what they asked for.

import { type Asked, askedShape } from '../evidence/views/asked.js';
import { extractNotes } from '../evidence/views/extract.js';
import { type Look, lookAt, mayLook } from '../evidence/views/look.js';
import type { LinkOpener } from '../gate/door/calls.js';
import type { DoorHead, RecordedAction } from '../gate/door/door.js';
import { formatFilter } from '../gate/door/filter.js';
import type { Log } from '../gate/telemetry/log.js';
import { plainAnswer, type TextAnswer } from '../host/http/server.js';
import { readerOf } from '../host/values/fit.js';
import type { PagePerson } from '../rules/config/settings.js';
import { humanOnPage } from '../rules/identity/human.js';
import { isAmong, whyNotAsked } from './browser-answers.js';
import type { Daemon } from './daemon.js';
import {
  answerOf,
  type PageCaller,
  type PageHandler,
  type PageHandlers,
  type PageRequest,
  Refusal,
  refusalOf,
  requested,
  toldBy,
} from './http/page-request.js';
import { type PersonalRequest, pageSocketText, type SocketPeer } from './http/people-socket.js';
import type { Looks } from './looks.js';
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
  readonly handlers: Pick<PageHandlers, 'verify' | 'report'>;
  /** An address that signs a person in once; undefined: there is no page for browsers. */
  readonly link: (person: PagePerson, opener: LinkOpener) => string | undefined;
}

/** The path for a link to the page, for a person of this host. */
const openPath = '/page/open';
/** The path for a check of the whole journal: events, as on the page in the browser. */
const verifyPath = '/page/verify';
/** The path for a signed report of one mailbox as its owner sees it: events, as on the page in the browser. */
const ownerPath = '/page/owner-report';

/** Answers a request at the socket of the page. Never rejects. */
export function createPageAnswers(parts: PageParts): (request: PersonalRequest) => Promise<TextAnswer> {
  return async (request) => {
    try {
      return await answerPerson(parts, request);
    } catch (fault) {
      const { status, message } = refusalOf(fault, request.path, parts.log, request.signal);
      return plainAnswer(status, message);
    }
  };
}

async function answerPerson(
  parts: PageParts,
  { path, body, who, signal }: PersonalRequest,
): Promise<TextAnswer> {
  toldBy(parts.daemon);
  const person = personOf(parts, who);
  if (person === undefined) {
    const asks = who.user ?? String(who.uid);
    const text = `${asks} is not in admin.page.people; ask the operators of dovegate to add this user`;
    throw new Refusal(403, text);
  }
  if (path === openPath) return answerLink(parts, person, who);
  const { name, roles, users } = person;
  const caller = { name, roles, users, ...seenAt(who) };
  const human = humanOnPage(person, caller);
  const locked = parts.people.whyLocked(human);
  if (locked !== undefined) throw new Refusal(403, locked);
  const isStill = (): boolean => {
    const now = personOf(parts, who);
    return now !== undefined && isSame(now, person) && parts.people.whyLocked(human) === undefined;
  };
  const asker = { who: caller, isStill, signal };
  if (path === verifyPath) return eventsOf(parts, 'verify', '', asker);
  const look = path === ownerPath ? 'report' : lookAt(path);
  if (look === undefined) throw new Refusal(404, pageSocketText);
  if (!isAmong(roles, mayLook[look])) throw new Refusal(403, whyNotAsked(name, roles, look, mayLook[look]));
  if (path === ownerPath) return eventsOf(parts, 'report', body, asker);
  const asked = requested(readerOf(askedShape(look)), body === '' ? '{}' : body);
  if (asked.look === 'me') return { ...rows, body: `${JSON.stringify({ name, roles, users })}\n` };
  const text = await lookInto(parts, { asked, person: caller, isStill, signal });
  if (!isStill()) throw changed();
  return { ...rows, body: text };
}

/** `verify` is for every role: its answer has no names. */
async function eventsOf(
  { handlers }: PageParts,
  endpoint: 'verify' | 'report',
  body: string,
  asker: Pick<PageRequest, 'who' | 'isStill' | 'signal'>,
): Promise<TextAnswer> {
  const reply = await answerOf(handlers, { endpoint, params: [], body, ...asker });
  return 'pieces' in reply ? { ...reply, body: '' } : reply;
}

/** The link is recorded before it is given out. */
async function answerLink(parts: PageParts, person: PagePerson, who: SocketPeer): Promise<TextAnswer> {
  const { link, daemon, log } = parts;
  const { from, opener } = seenAt(who);
  const address = link(person, opener);
  if (address === undefined) {
    const text = 'there is no page for browsers; the operators of dovegate can set admin.page.tcp';
    throw new Refusal(404, text);
  }
  try {
    await daemon.record({ ...person, from, opener }, { action: 'page-open' });
  } catch (fault) {
    const refusal = refusalOf(fault, openPath, log);
    // As at the sign-in: a person who sees no records may sign in while nothing can be recorded.
    if (refusal.status !== 503 || person.roles.includes('audit')) throw refusal;
  }
  return plainAnswer(200, address);
}

export function createTrailHandlers(
  parts: TrailParts,
): Pick<PageHandlers, 'search' | 'histogram' | 'export' | 'extract' | 'survey' | 'requests' | 'show'> {
  const handlerOf =
    (look: Look): PageHandler<Asked> =>
    async ({ who, isStill, signal }, asked) => {
      // The table of endpoints checks this, too; access to records must not depend on one table alone.
      if (!isAmong(who.roles, mayLook[look])) throw new Refusal(403, `your role may not ask for ${look}`);
      const text = await lookInto(parts, { asked, person: who, isStill, signal });
      return look === 'histogram' ? { ...whole, body: text } : { ...rows, body: text };
    };
  return {
    search: handlerOf('search'),
    histogram: handlerOf('histogram'),
    export: handlerOf('export'),
    extract: handlerOf('extract'),
    survey: handlerOf('survey'),
    requests: handlerOf('requests'),
    show: handlerOf('show'),
  };
}

export interface LookAsked {
  readonly asked: Asked;
  readonly person: PageCaller;
  /** Mail users whose records are shown to a person who is not an auditor. */
  readonly seen?: readonly string[];
  readonly isStill: () => boolean;
  readonly signal: AbortSignal;
}

/** The text of an answer, after it was recorded. The caller must then check `isStill`. */
export async function lookInto(
  { looks, daemon }: TrailParts,
  { asked, person, seen: ofThem = [], isStill, signal }: LookAsked,
): Promise<string> {
  const { name, roles, users } = person;
  const { directory, ownKey } = toldBy(daemon).head;
  // Only auditors see what records say, also in the words of a fault.
  const seen = roles.includes('audit') ? users : ofThem;
  // A failure here also fails the record of the look, which decides.
  await daemon.flush().catch(() => undefined);
  const found = await looks.read({ directory, asked, users: seen, ownKey }, name, signal);
  // A reload may have removed the person, or narrowed the view, in the meantime.
  if (!isStill()) throw changed();
  const { rows: count, extract } = found;
  if (asked.look === 'extract' && extract !== undefined) {
    const about = { facts: extract, filter: asked.filter, after: afterOf(asked), rows: count };
    const signed = await daemon.sign(person, about);
    // A client that writes the file from lines itself needs the notes for people, too.
    const notes = asked.as === undefined ? undefined : extractNotes;
    return `${found.text}${JSON.stringify({ signed, notes })}\n`;
  }
  const action = actions[asked.look];
  if (action === undefined) throw new Error(`${asked.look} is no look at records`);
  await daemon.record(person, { action, args: wordsOf(asked), rows: count });
  return found.text;
}

const changed = (): Refusal => new Refusal(409, 'the configuration was changed meanwhile; ask again');

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
