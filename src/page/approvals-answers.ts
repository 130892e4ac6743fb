// Requests for access on the page: the list, and each step of one. The daemon decides; here only the form of a step is looked at.

import { DoorFault } from '../adapters/page/door-client.js';
import {
  jsonReply,
  type PageHandler,
  type PageReply,
  type PageRequest,
  refusedReply,
} from '../adapters/page/page-request.js';
import { isObject, parseRequest } from '../domain/audit/record.js';
import type { DoorAccess } from '../domain/door/parse.js';
import type { Endpoint } from '../domain/page/api.js';
import type { Daemon } from './daemon.js';

export function createApprovalHandlers(
  daemon: Pick<Daemon, 'access'>,
): Partial<Record<Endpoint, PageHandler>> {
  return {
    approvals: (request) => ask(request, { step: 'list', id: '' }),
    approve: (request) => decide(request, 'approve'),
    refuse: (request) => decide(request, 'refuse'),
    revoke: (request) => decide(request, 'revoke'),
    review: (request) => decide(request, 'review'),
  };

  async function decide(request: PageRequest, step: DoorAccess['step']): Promise<PageReply> {
    const {
      params: [id = ''],
      body,
    } = request;
    const value = body === '' ? {} : parseRequest(body);
    if (typeof value === 'string' || !isObject(value)) return refusedReply(400, 'this is no decision');
    const { forMs, uses, reason } = value;
    // Their values are the daemon's to judge.
    if (!isNumber(forMs) || !isNumber(uses)) return refusedReply(400, 'forMs, uses: must be numbers');
    if (reason !== undefined && typeof reason !== 'string')
      return refusedReply(400, 'reason: must be a text');
    return ask(request, { step, id, forMs, uses, reason });
  }

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

function isNumber(value: unknown): value is number | undefined {
  return value === undefined || typeof value === 'number';
}
