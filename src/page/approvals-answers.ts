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
import type { DoorAccess } from '../domain/door/door.js';
import type { Endpoint } from '../domain/page/api.js';
import { type Daemon, isUnknownCall } from './daemon.js';

const olderText =
  'dovegate is older than the page and has no requests for access: install the same version of both';

export function createApprovalHandlers(
  daemon: Pick<Daemon, 'access' | 'away'>,
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
    const number = (given: unknown): number | undefined => (typeof given === 'number' ? given : undefined);
    return ask(request, {
      step,
      id,
      forMs: number(forMs),
      uses: number(uses),
      reason: typeof reason === 'string' ? reason : undefined,
    });
  }

  async function ask({ who }: PageRequest, asked: Omit<DoorAccess, 'as' | 'from'>): Promise<PageReply> {
    try {
      const done = await daemon.access(who, { ...asked, from: who.from });
      if ('items' in done) return jsonReply(200, done);
      return refusedReply(done.isPassing ? 503 : 409, done.text);
    } catch (fault) {
      if (!(fault instanceof DoorFault)) throw fault;
      if (daemon.away === undefined && isUnknownCall(fault)) return refusedReply(503, olderText);
      return refusedReply(fault.code === 'stale' ? 409 : 503, fault.message);
    }
  }
}
