// Access on request: `session.access`. Each call is one of dovegate's own commands, over a socket as words, over HTTP as JSON; each answers
// with the same objects. A person decides about a request, so nothing here waits for a decision.

import type { AccessItem } from '../domain/page/access.js';
import { SessionFault } from './client-command.js';

/** Of every call. */
export interface AccessOptions {
  /** As in `Command`. */
  readonly tag?: string;
  readonly signal?: AbortSignal;
}

/** Ask for less than the rule offers, never for more. */
export interface AccessTerms extends AccessOptions {
  readonly forMs?: number;
  readonly uses?: number;
}

export interface AccessRequest extends AccessTerms {
  /** The mailbox user; several only where the rule permits them. No masks. */
  readonly user?: string | readonly string[];
  /** As in `Command`. */
  readonly name: string;
  readonly args?: readonly string[];
  /** Why, at most 512 bytes. The approver reads it. */
  readonly reason?: string;
}

export interface AccessGrant extends AccessRequest {
  /** The principal that gets it: NAME@LISTENER. */
  readonly to: string;
}

/** Access on request. Each call rejects as `run` does. */
export interface Access {
  /** Asks for one command. Resolves once the request is recorded; with a rule without approvals it is granted at once. */
  request(request: AccessRequest): Promise<AccessItem>;
  /** The caller's own requests and grants, and those that the caller may approve. */
  list(options?: AccessOptions): Promise<AccessItem[]>;
  /** One of them. For an approver, the number of mails is counted again. */
  get(id: string, options?: AccessOptions): Promise<AccessItem>;
  approve(id: string, terms?: AccessTerms): Promise<AccessItem>;
  refuse(id: string, options: AccessOptions & { readonly reason: string }): Promise<AccessItem>;
  /** Ends a grant, and the commands that run under it; or withdraws the caller's own request. */
  revoke(id: string, options?: AccessOptions & { readonly reason?: string }): Promise<AccessItem>;
  /** Marks a grant without approval as reviewed. */
  review(id: string, options?: AccessOptions): Promise<AccessItem>;
  /** Grants without a request, by an approver. It counts as one approval. */
  grant(grant: AccessGrant): Promise<AccessItem>;
}

/** One call, before it is words or JSON. */
export interface AccessCall {
  readonly verb: 'request' | 'requests' | 'access' | 'approve' | 'refuse' | 'revoke' | 'review' | 'grant';
  readonly id?: string | undefined;
  /** Of a list: the last id that is known. */
  readonly after?: string | undefined;
  readonly to?: string | undefined;
  readonly users?: readonly string[] | undefined;
  readonly forMs?: number | undefined;
  readonly uses?: number | undefined;
  readonly reason?: string | undefined;
  readonly command?: readonly string[] | undefined;
  readonly tag?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** `ask` sends a call and resolves to the objects of its answer. */
export function createAccess(ask: (call: AccessCall) => Promise<readonly unknown[]>): Access {
  async function one(call: AccessCall): Promise<AccessItem> {
    checkCall(call);
    const [item] = await ask(call);
    return itemOf(item);
  }
  return {
    request: (request) => one({ verb: 'request', ...askedOf(request) }),
    async list({ tag, signal } = {}) {
      const items: AccessItem[] = [];
      for (;;) {
        const call = { verb: 'requests', after: items.at(-1)?.id, tag, signal } as const;
        checkCall(call);
        const page = await ask(call);
        const more = page.findIndex(isMore);
        items.push(...page.slice(0, more === -1 ? undefined : more).map(itemOf));
        if (more < 1) return items;
      }
    },
    get: (id, { tag, signal } = {}) => one({ verb: 'access', id: idOf(id), tag, signal }),
    approve: (id, { forMs, uses, tag, signal } = {}) =>
      one({ verb: 'approve', id: idOf(id), forMs, uses, tag, signal }),
    refuse: (id, { reason, tag, signal }) => one({ verb: 'refuse', id: idOf(id), reason, tag, signal }),
    revoke: (id, { reason, tag, signal } = {}) => one({ verb: 'revoke', id: idOf(id), reason, tag, signal }),
    review: (id, { tag, signal } = {}) => one({ verb: 'review', id: idOf(id), tag, signal }),
    grant: (grant) => one({ verb: 'grant', to: grant.to, ...askedOf(grant) }),
  };
}

/** The words after `dovegate VERB`; the tag is no word of it. */
export function wordsOfCall({
  id,
  after,
  to,
  users = [],
  forMs,
  uses,
  reason,
  command,
}: AccessCall): string[] {
  return [
    ...(after === undefined ? [] : ['--after', after]),
    ...(to === undefined ? [] : ['--to', to]),
    ...users.flatMap((user) => ['-u', user]),
    ...(forMs === undefined ? [] : ['--for', `${forMs}ms`]),
    ...(uses === undefined ? [] : ['--uses', String(uses)]),
    ...(reason === undefined ? [] : ['--reason', reason]),
    ...(id === undefined ? [] : ['--', id]),
    ...(command === undefined ? [] : ['--', ...command]),
  ];
}

/** The body of `POST /dovegate/v1/VERB`. */
export function bodyOfCall({ id, after, to, users, forMs, uses, reason, command, tag }: AccessCall): string {
  return JSON.stringify({ id, after, to, users, for: forMs && `${forMs}ms`, uses, reason, command, tag });
}

function isMore(object: unknown): boolean {
  return typeof object === 'object' && object !== null && 'more' in object && !('id' in object);
}

/** The objects in the rows of an answer, whose cells are `access` and JSON. */
export function objectsOfRows(rows: readonly (readonly string[])[]): unknown[] {
  return rows.flatMap(([what, value]) => {
    if (what !== 'access' || value === undefined) return [];
    try {
      return [JSON.parse(value) as unknown];
    } catch {
      throw unreadable();
    }
  });
}

function askedOf({ user, name, args = [], reason, forMs, uses, tag, signal }: AccessRequest) {
  const users = user === undefined ? [] : typeof user === 'string' ? [user] : user;
  return { users, reason, forMs, uses, tag, signal, command: [name, ...args] };
}

/** An id may come from anywhere; as another type it would be sent as that text. */
function idOf(id: unknown): string {
  if (typeof id !== 'string') throw new TypeError(`id must be a string, not a value of type ${typeof id}`);
  return id;
}

/** Programs without types get an error that names the key. */
function checkCall({ to, users = [], forMs, uses, reason, command = [], tag }: AccessCall): void {
  const check = (what: string, isRight: boolean, wanted: string): void => {
    if (!isRight) throw new TypeError(`${what} must be ${wanted}`);
  };
  const isText = (value: unknown): boolean => typeof value === 'string';
  const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) > 0;
  check('user', Array.isArray(users) && users.every(isText), 'a string, or an array of strings');
  check(
    'name and args',
    Array.isArray(command) && command.every(isText),
    'a string, and an array of strings',
  );
  check('to', to === undefined || isText(to), 'a string');
  check('reason', reason === undefined || isText(reason), 'a string');
  const isTag = typeof tag === 'string' && /^[\w.:-]{1,64}$/.test(tag);
  check('tag', tag === undefined || isTag, '1 to 64 letters, digits, _, -, . or :');
  check('forMs', forMs === undefined || isCount(forMs), 'a whole number of milliseconds above 0');
  check('uses', uses === undefined || isCount(uses), 'a whole number above 0');
  if (reason !== undefined && Buffer.byteLength(reason) > 512)
    throw new SessionFault('unsendable', 'a reason has at most 512 bytes');
}

const textKeys = ['id', 'state', 'to', 'policy', 'command', 'asked', 'until'] as const;
const listKeys = ['users', 'approved_by', 'may'] as const;

/** A newer dovegate may add keys; one without these is none that this library knows. */
function itemOf(value: unknown): AccessItem {
  if (!isItem(value)) throw unreadable();
  return value;
}

function isItem(value: unknown): value is AccessItem {
  if (typeof value !== 'object' || value === null) return false;
  const known: Readonly<Record<string, unknown>> = { ...value };
  return (
    textKeys.every((key) => typeof known[key] === 'string') &&
    listKeys.every((key) => Array.isArray(known[key]))
  );
}

function unreadable(): SessionFault {
  return new SessionFault(
    'unexpected-reply',
    'the server gave no readable answer about access',
    undefined,
    true,
  );
}
