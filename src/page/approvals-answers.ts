// Requests for access on the page: the list, and each step of one. The daemon decides; here only the form of a step is checked.

import { type AccessStep } from '../doveadm/verbs/verbs.js';
import { usesAmong } from '../evidence/story/row.js';
import type { DoorAccess, PersonCall } from '../gate/door/calls.js';
import { bounds } from '../host/bounds/bounds.js';
import { asObject, parseLine, type StoredRecord } from '../host/values/values.js';
import type { Approvals, Uses } from './answers/api.js';
import type { AskedOf } from './answers/endpoints.js';
import type { Daemon } from './daemon.js';
import {
  jsonReply,
  type PageCaller,
  type PageHandler,
  type PageHandlers,
  Refusal,
} from './http/page-request.js';
import { lookInto, type TrailParts } from './trail-answers.js';

export interface ApprovalParts extends Omit<TrailParts, 'daemon'> {
  readonly daemon: TrailParts['daemon'] & Pick<Daemon, 'access'>;
}

export function createApprovalHandlers(parts: ApprovalParts): PageHandlers {
  const take =
    (step: AccessStep): PageHandler<AskedOf[AccessStep]> =>
    async ({ params: [id = ''], who }, decided) =>
      jsonReply(200, await ask(who, { step, id, ...decided }));
  return {
    approve: take('approve'),
    refuse: take('refuse'),
    revoke: take('revoke'),
    review: take('review'),
    approvals: async ({ who }) => jsonReply(200, await ask(who, { step: 'list', id: '' })),
    // Only uses of a request that the daemon lists to this person; nothing else of the journal.
    async uses({ params, who, isStill, signal }) {
      const { items, decided = [] } = await ask(who, { step: 'list', id: '' });
      const item = [...items, ...decided].find(({ id }) => id === params[0]);
      // No error: the screen asks for the list at the same time, and sees there that the request does not exist.
      if (item === undefined) return jsonReply(200, { uses: [] } satisfies Uses);
      const asked = { look: 'show', wanted: item.id } as const;
      const text = await lookInto(parts, { asked, person: who, seen: item.users, isStill, signal });
      return jsonReply(200, { uses: usesIn(text) } satisfies Uses);
    },
  };

  async function ask(who: PageCaller, asked: Omit<DoorAccess, keyof PersonCall>): Promise<Approvals> {
    const done = await parts.daemon.access(who, asked);
    if ('items' in done) return done;
    throw new Refusal(statuses[done.code] ?? (done.isPassing ? 503 : 409), done.text);
  }
}

const usesMax = bounds.accessListed;
const keysOfUses = ['time', 'event', 'id', 'command', 'args', 'user', 'outcome', 'grant'] as const;

/** The first admissions in an answer about a request. */
function usesIn(text: string): StoredRecord[] {
  const found = text.split('\n').flatMap((line) => {
    const record = asObject(asObject(parseLine(line)?.['found'])?.['record']);
    return record === undefined ? [] : [record];
  });
  return usesAmong(found)
    .slice(0, usesMax)
    .map((use) => Object.fromEntries(keysOfUses.map((key) => [key, use[key]])));
}

/** HTTP statuses by the code that the daemon refuses a step with. */
const statuses: Readonly<Partial<Record<string, number>>> = {
  'access-invalid': 400,
  'access-denied': 403,
  'access-unknown': 404,
  'access-changed': 409,
};
