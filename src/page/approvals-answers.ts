// Requests for access on the page: the list, and each step of one. The daemon decides; here only the form of a step is looked at.

import { DoorFault } from '../adapters/page/door-client.js';
import {
  jsonReply,
  type PageHandler,
  type PageReply,
  type PageRequest,
  refusedReply,
} from '../adapters/page/page-request.js';
import { type DoorAccess, parseDecision } from '../domain/admin/door/parse.js';
import type { Endpoint } from '../domain/admin/page/api.js';
import { accessSteps } from '../domain/language/verbs/verbs.js';
import type { Daemon } from './daemon.js';

export function createApprovalHandlers(
  daemon: Pick<Daemon, 'access'>,
): Partial<Record<Endpoint, PageHandler>> {
  const handlers: Partial<Record<Endpoint, PageHandler>> = {
    approvals: (request) => ask(request, { step: 'list', id: '' }),
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
    asked: Omit<DoorAccess, 'as' | 'from' | 'opener'>,
  ): Promise<PageReply> {
    const { from, opener } = who;
    try {
      const done = await daemon.access(who, { ...asked, from, opener });
      if ('items' in done) return jsonReply(200, done);
      return refusedReply(statuses[done.code] ?? (done.isPassing ? 503 : 409), done.text);
    } catch (fault) {
      if (!(fault instanceof DoorFault)) throw fault;
      return refusedReply(statuses[fault.code] ?? 503, fault.message);
    }
  }
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
