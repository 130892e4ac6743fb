// Answers people who ask about the journal at the socket of the page: who they are, what their role permits, what they are shown; and a
// record of each look.
// The rule: no record, no answer. A reload that takes somebody out ends what they asked for.

import type { Operator } from '../adapters/admin/access.js';
import type { PersonalRequest } from '../adapters/admin/admin.js';
import { type Answer, plainAnswer } from '../adapters/admin/pages.js';
import type { OpenJournal } from '../adapters/journal/journal.js';
import type { Log } from '../adapters/telemetry/log.js';
import { LookRefused, type Looks } from '../adapters/views/looks.js';
import type { TrailAnswer } from '../adapters/views/read-trail.js';
import type { PagePerson } from '../domain/config/settings.js';
import { formatExtractHead, type SignedExtract } from '../domain/views/extract.js';
import {
  type Asked,
  looks as allLooks,
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
export interface PageParts {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Pick<Log, 'report'>;
  readonly journal: Pick<OpenJournal, 'appendDurable'>;
  readonly served: { readonly now: Pick<Served, 'personOf'> };
  readonly looks: Looks;
  /** Of the journal, as the daemon writes it. */
  readonly directory: string;
  /** The public key that signs it, in base64. */
  readonly ownKey: string;
  /** Base64 signature of a text by that key. */
  readonly sign: (text: string) => string;
}

/** Answers a request at the socket of the page. Rejects only with a bug of ours. */
export function createPageAnswers(parts: PageParts): (request: PersonalRequest) => Promise<Answer> {
  return async ({ path, body, who, signal }) => {
    const person = personOf(parts, who);
    if (person === undefined)
      return plainAnswer(
        403,
        `${who.by} is nobody in admin.page.people; the operators of dovegate can add this user`,
      );
    const look = lookAt(path);
    if (look === undefined) return plainAnswer(404, `there is ${allLooks.map(lookPath).join(' ')}`);
    if (!mayLook[look].includes(person.role))
      return plainAnswer(
        403,
        `${person.name} has the role "${person.role}", which may not ask for ${look}: that needs "${mayLook[look].join('" or "')}"`,
      );
    const asked = parseAsked(look, body);
    if (typeof asked === 'string') return plainAnswer(400, asked);
    try {
      return await answerLook(parts, asked, person, who, signal);
    } catch (fault) {
      if (fault instanceof LookRefused) return plainAnswer(503, fault.message);
      // Nobody is there to be answered.
      if (signal.aborted) return plainAnswer(503, 'given up');
      parts.log.report({ event: 'admin-failed', level: 'error', text: `${path}: ${messageOf(fault)}` });
      return plainAnswer(
        503,
        'the journal could not be read, or the look could not be recorded; the log of dovegate says why',
      );
    }
  };
}

async function answerLook(
  parts: PageParts,
  asked: Asked,
  person: PagePerson,
  who: Operator,
  signal: AbortSignal,
): Promise<Answer> {
  const { name, role, users } = person;
  if (asked.look === 'me') return { ...rows, body: `${JSON.stringify({ name, role, users })}\n` };
  const { looks, directory, ownKey } = parts;
  // Only auditors see what records say, also in the words of a fault.
  const seen = role === 'audit' ? users : [];
  const found = await looks.read({ directory, asked, users: seen, ownKey }, name, signal);
  // It may have been taken out, or been narrowed, while this was read.
  const now = personOf(parts, who);
  if (now === undefined || !isSame(now, person))
    return plainAnswer(403, 'the configuration was changed meanwhile; ask again');
  const { by: _by, ...peer } = who;
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
  return { ...rows, body: `${found.text}${signedLine(parts, asked, person, found)}` };
}

/** After the end of the answer; empty for what is not signed. */
function signedLine(
  { clock, ownKey: key, sign }: PageParts,
  asked: Asked,
  { name: by, users }: PagePerson,
  { rows: count, extract }: TrailAnswer,
): string {
  if (asked.look !== 'extract' || extract === undefined) return '';
  const filter = formatFilter(asked.filter);
  const head = formatExtractHead({ ...extract, timeMs: clock.wallMs(), by, users, filter, rows: count, key });
  const signed: SignedExtract = { head, signature: sign(head) };
  return `${JSON.stringify({ signed })}\n`;
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
  const after = asked.cursor === undefined ? [] : [`after=${asked.cursor.after}`];
  return [...formatFilter(asked.filter), ...after, ...view];
}

function personOf({ served }: PageParts, { uid }: Operator): PagePerson | undefined {
  return uid === undefined ? undefined : served.now.personOf(uid);
}

function isSame(one: PagePerson, other: PagePerson): boolean {
  const meant = ({ name, role, users }: PagePerson): string => JSON.stringify([name, role, users]);
  return meant(one) === meant(other);
}
