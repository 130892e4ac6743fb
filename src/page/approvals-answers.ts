// Requests for access on the page: the list, and each step of one. The daemon decides; here only the form of a step is looked at.

import { accessSteps } from '../doveadm/verbs/verbs.js';
import { usesAmong } from '../evidence/story/row.js';
import { DoorFault } from '../gate/door/door-client.js';
import { type DoorAccess, type PersonCall, parseDecision } from '../gate/door/parse.js';
import { bounds } from '../host/bounds/bounds.js';
import { asObject, parseLine, type StoredRecord } from '../host/values/values.js';
import type { Approvals, Endpoint, Uses } from './answers/api.js';
import type { Daemon } from './daemon.js';
import {
  jsonReply,
  type PageHandler,
  type PageReply,
  type PageRequest,
  refusedReply,
} from './http/page-request.js';
import { lookInto, type TrailParts } from './trail-answers.js';

export interface ApprovalParts extends Omit<TrailParts, 'daemon'> {
  readonly daemon: TrailParts['daemon'] & Pick<Daemon, 'access'>;
}

export function createApprovalHandlers(parts: ApprovalParts): Partial<Record<Endpoint, PageHandler>> {
  const handlers: Partial<Record<Endpoint, PageHandler>> = {
    approvals: (request) => ask(request, { step: 'list', id: '' }),
    // Of what the gate lists to this person, and nothing else of the journal.
    uses: (request) =>
      ask(request, { step: 'list', id: '' }, async ({ items, decided = [] }) => {
        const { params, who, isStill, signal } = request;
        const item = [...items, ...decided].find(({ id }) => id === params[0]);
        // The screen asks for its uses beside the list, and the list says whether there is such a request.
        if (item === undefined) return jsonReply(200, { uses: [] } satisfies Uses);
        const asked = { look: 'show', wanted: item.id } as const;
        const look = { asked, person: who, seen: item.users, isStill, signal };
        const { status, text } = await lookInto(parts, look);
        return status === 200
          ? jsonReply(200, { uses: usesIn(text) } satisfies Uses)
          : refusedReply(status, text);
      }),
  };
  for (const step of accessSteps)
    handlers[step] = (request) => {
      const [id = ''] = request.params;
      const decision = parseDecision(request.body === '' ? '{}' : request.body);
      return typeof decision === 'string'
        ? Promise.resolve(refusedReply(400, decision))
        : ask(request, { step, id, ...decision });
    };
  return handlers;

  async function ask(
    { who }: PageRequest,
    asked: Omit<DoorAccess, keyof PersonCall>,
    then = (done: Approvals): PageReply | Promise<PageReply> => jsonReply(200, done),
  ): Promise<PageReply> {
    try {
      const done = await parts.daemon.access(who, asked);
      if ('items' in done) return await then(done);
      return refusedReply(statuses[done.code] ?? (done.isPassing ? 503 : 409), done.text);
    } catch (fault) {
      if (!(fault instanceof DoorFault)) throw fault;
      return refusedReply(statuses[fault.code] ?? 503, fault.message);
    }
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

/** By the code of the desk, and of the door. */
const statuses: Readonly<Partial<Record<string, number>>> = {
  'access-invalid': 400,
  'access-denied': 403,
  'access-unknown': 404,
  'access-changed': 409,
  malformed: 400,
  person: 403,
  stale: 409,
};
