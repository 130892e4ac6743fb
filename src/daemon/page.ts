// Answers people who ask what records say: at the socket of the page, where the kernel says who asks, and on the page in the browser. What
// their role permits, what they are shown, and a record of each look are the same for both.
// The rule: no record, no answer. A reload that takes somebody out ends what they asked for.

import { type Operator, pageSocketText } from '../adapters/admin/access.js';
import type { PersonalRequest } from '../adapters/admin/page-door.js';
import { type Answer, plainAnswer } from '../adapters/admin/pages.js';
import type { OpenJournal } from '../adapters/journal/journal.js';
import { type PageCaller, type PageHandler, refusedReply } from '../adapters/page/page-request.js';
import type { Log } from '../adapters/telemetry/log.js';
import { LookRefused, type Looks } from '../adapters/views/looks.js';
import type { TrailAnswer } from '../adapters/views/read-trail.js';
import type { RecordedPeer } from '../domain/audit/record.js';
import type { PagePerson } from '../domain/config/settings.js';
import { type Endpoint, isAmong, type Refused, whyNotAsked } from '../domain/page/api.js';
import { extractNotes, formatExtractHead, type SignedExtract } from '../domain/views/extract.js';
import {
  type Asked,
  formatFilter,
  type Look,
  lookAt,
  lookPath,
  mayLook,
  parseAsked,
} from '../domain/views/look.js';
import { messageOf } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import type { Served } from './served.js';

/** What looks work on. */
export interface TrailParts {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Pick<Log, 'report'>;
  readonly journal: Pick<OpenJournal, 'appendDurable' | 'flushed'>;
  readonly looks: Pick<Looks, 'read' | 'close'>;
  /** Of the journal, as the daemon writes it. */
  readonly directory: string;
  /** The public key that signs it, in base64. */
  readonly ownKey: string;
  /** Base64 signature of a text by that key. */
  readonly sign: (text: string) => string;
}

/** What the socket of the page works on. */
export interface PageParts extends TrailParts {
  readonly served: { readonly now: Pick<Served, 'personOf'> };
  /** Of the whole journal. */
  readonly verify: PageHandler;
  /** Makes an address that signs a person in once; undefined: there is no page for browsers. */
  readonly link?: ((person: PagePerson) => string) | undefined;
}

/** Where a person of this host asks for a link to the page. */
const openPath = '/page/open';
/** Where the whole journal is checked: events, as on the page in the browser. */
const verifyPath = '/page/verify';

/** Answers a request at the socket of the page. Rejects only with a bug of ours. */
export function createPageAnswers(parts: PageParts): (request: PersonalRequest) => Promise<Answer> {
  return async ({ path, body, who, signal }) => {
    const person = personOf(parts, who);
    if (person === undefined)
      return plainAnswer(
        403,
        `${who.by} is not in admin.page.people; ask the operators of dovegate to add this user`,
      );
    if (path === openPath) return answerLink(parts, person, who);
    const { by: _by, ...peer } = who;
    const isStill = (): boolean => {
      const now = personOf(parts, who);
      return now !== undefined && isSame(now, person);
    };
    if (path === verifyPath) return checkAll(parts, { person, peer, isStill, signal });
    const look = lookAt(path);
    if (look === undefined) return plainAnswer(404, pageSocketText);
    if (!isAmong(person.roles, mayLook[look]))
      return plainAnswer(403, whyNotAsked(person.name, person.roles, look, mayLook[look]));
    const asked = parseAsked(look, body);
    if (typeof asked === 'string') return plainAnswer(400, asked);
    const { name, roles, users } = person;
    if (asked.look === 'me') return { ...rows, body: `${JSON.stringify({ name, roles, users })}\n` };
    const { status, text } = await lookInto(parts, { asked, person, peer, isStill, signal });
    return status === 200 ? { ...rows, body: text } : plainAnswer(status, text);
  };
}

/** Every role may: what it says has no names. */
async function checkAll(
  parts: PageParts,
  { person: { name, roles, users }, peer, isStill, signal }: Omit<LookAsked, 'asked'>,
): Promise<Answer> {
  const who = { name, roles, users, address: undefined, peer };
  const request = { endpoint: 'verify', params: [], body: '', who, isStill, signal } as const;
  const reply = await parts.verify(request);
  if ('pieces' in reply) return { ...reply, body: '' };
  const { text }: Refused = JSON.parse(reply.body);
  return plainAnswer(reply.status, text);
}

/** No record, no link. */
async function answerLink(parts: PageParts, person: PagePerson, who: Operator): Promise<Answer> {
  const { link, clock, journal, log } = parts;
  if (link === undefined)
    return plainAnswer(
      404,
      'there is no page for browsers; the operators of dovegate can set admin.page.tcp',
    );
  const { by: _by, ...peer } = who;
  const record = {
    time: clock.wallMs(),
    event: 'operator',
    peer,
    action: 'page-open',
    by: person.name,
  } as const;
  try {
    await journal.appendDurable(record, false, true);
  } catch (fault) {
    log.report({ event: 'admin-failed', level: 'error', text: `${openPath}: ${messageOf(fault)}` });
    // As at the sign-in: somebody who sees no records may come while nothing can be recorded.
    if (person.roles.includes('audit'))
      return plainAnswer(503, 'the link could not be recorded; the log of dovegate says why');
  }
  return plainAnswer(200, link(person));
}

/** What the page in the browser may ask of records. */
const pageLooks = ['search', 'export', 'extract', 'survey', 'show'] as const;

/** Handlers of `search`, `export`, `extract`, `survey` and `show`. */
export function createTrailHandlers(parts: TrailParts): Partial<Record<Endpoint, PageHandler>> {
  const handlerOf =
    (look: (typeof pageLooks)[number]): PageHandler =>
    async ({ body, who, isStill, signal }) => {
      // The table of endpoints permits it already; what a record says must not hang on one table.
      if (!isAmong(who.roles, mayLook[look])) return refusedReply(403, `your role may not ask for ${look}`);
      const asked = parseAsked(look, body);
      if (typeof asked === 'string') return refusedReply(400, asked);
      const peer = { address: who.address };
      const { status, text } = await lookInto(parts, { asked, person: who, peer, isStill, signal });
      return status === 200 ? { ...rows, status, body: text } : refusedReply(status, text);
    };
  return Object.fromEntries(pageLooks.map((look) => [look, handlerOf(look)]));
}

/** A look that the role permits. */
interface LookAsked {
  readonly asked: Asked;
  readonly person: Pick<PageCaller, 'name' | 'roles' | 'users'> | PagePerson;
  readonly peer: RecordedPeer;
  readonly isStill: () => boolean;
  readonly signal: AbortSignal;
}

/** With status 200 an answer, else a sentence. Rejects only with a bug of ours. */
async function lookInto(
  parts: TrailParts,
  look: LookAsked,
): Promise<{ readonly status: number; readonly text: string }> {
  try {
    return await answerLook(parts, look);
  } catch (fault) {
    if (fault instanceof LookRefused) return { status: 503, text: fault.message };
    // Nobody is there to be answered.
    if (look.signal.aborted) return { status: 503, text: 'given up' };
    const text = `${lookPath(look.asked.look)}: ${messageOf(fault)}`;
    parts.log.report({ event: 'admin-failed', level: 'error', text });
    return {
      status: 503,
      text: 'the journal could not be read, or the look could not be recorded; the log of dovegate says why',
    };
  }
}

async function answerLook(
  parts: TrailParts,
  { asked, person, peer, isStill, signal }: LookAsked,
): Promise<{ readonly status: number; readonly text: string }> {
  const { name, roles, users } = person;
  const { looks, directory, ownKey } = parts;
  // Only auditors see what records say, also in the words of a fault.
  const seen = roles.includes('audit') ? users : [];
  // Whatever fails here fails at the record of the look, too, which decides.
  await parts.journal.flushed().catch(() => undefined);
  const found = await looks.read({ directory, asked, users: seen, ownKey }, name, signal);
  // It may have been taken out, or been narrowed, while this was read, or recorded.
  if (!isStill()) return changed;
  await parts.journal.appendDurable(
    {
      time: parts.clock.wallMs(),
      event: 'operator',
      peer,
      action: actions[asked.look],
      by: name,
      args: wordsOf(asked, users),
      rows: found.rows,
    },
    false,
    true,
  );
  if (!isStill()) return changed;
  return { status: 200, text: `${found.text}${signedLine(parts, asked, person, found)}` };
}

const changed = { status: 403, text: 'the configuration was changed meanwhile; ask again' };

/** After the end of the answer; empty for what is not signed. */
function signedLine(
  { clock, ownKey: key, sign }: TrailParts,
  asked: Asked,
  { name: by, users }: LookAsked['person'],
  { rows: count, extract }: TrailAnswer,
): string {
  if (asked.look !== 'extract' || extract === undefined) return '';
  const filter = formatFilter(asked.filter);
  const head = formatExtractHead({ ...extract, timeMs: clock.wallMs(), by, users, filter, rows: count, key });
  const signed: SignedExtract = { head, signature: sign(head) };
  // Who writes the file from lines as they are needs those for people, too.
  const notes = asked.as === undefined ? undefined : extractNotes;
  return `${JSON.stringify({ signed, notes })}\n`;
}

const rows = { status: 200, type: 'application/x-ndjson; charset=utf-8' } as const;

/** The word of the record. */
const actions: Readonly<Record<Look, string>> = {
  me: 'audit-me',
  verify: 'audit-verify',
  search: 'audit-search',
  export: 'audit-export',
  extract: 'audit-extract',
  report: 'audit-report',
  survey: 'audit-survey',
  show: 'audit-show',
};

/** What was asked for, and the patterns of the view that it was seen through. */
function wordsOf(asked: Asked, users: readonly string[] | undefined): string[] {
  const view = users === undefined ? [] : [`view=${users.join(' ')}`];
  if (asked.look === 'show') return [`wanted=${asked.wanted}`, ...view];
  if (!('filter' in asked)) return view;
  const { cursor, newest } = asked;
  const after = cursor === undefined ? [] : [`after=${cursor.after}`];
  if (newest?.before !== undefined) after.push(`before=${newest.before}`);
  return [...formatFilter(asked.filter), ...after, ...view];
}

function personOf({ served }: PageParts, { uid }: Operator): PagePerson | undefined {
  return uid === undefined ? undefined : served.now.personOf(uid);
}

function isSame(one: PagePerson, other: PagePerson): boolean {
  const meant = ({ name, roles, users }: PagePerson): string => JSON.stringify([name, roles, users]);
  return meant(one) === meant(other);
}
