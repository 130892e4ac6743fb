// Access on request: `session.access`. Each call is one of dovegate's own commands, over a socket as words, over HTTP as JSON; each answers
// with the same objects. A person decides about a request, so nothing here waits for a decision.

import {
  type AccessArgument,
  type AccessValues,
  type AccessVerb,
  accessArguments,
  allArguments,
  memberOf,
  type ValuesOf,
  verbRow,
  wantedOf,
  wordsOf,
} from '../doveadm/verbs/verbs.js';
import type { AccessItem } from '../gate/access/access-item.js';
import { type SessionFault, unexpectedReply, unsendable } from './client-command.js';

export interface AccessOptions {
  /** As in `Command`. */
  readonly tag?: string;
  readonly signal?: AbortSignal;
}

/** `forMs`, `uses`: less than the rule offers, never more. */
export interface AccessTerms extends AccessOptions, Omit<ValuesOf<'approve'>, 'id'> {}

/** `reason`: why, at most 512 bytes; the approver reads it. */
export interface AccessRequest extends AccessOptions, Omit<ValuesOf<'request'>, 'users' | 'command'> {
  /** The mailbox user; several only where the rule permits them. No masks. */
  readonly user?: string | readonly string[];
  /** As in `Command`. */
  readonly name: string;
  readonly args?: readonly string[];
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
  /** One request or grant. For an approver, the number of mails is counted again. */
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
export interface AccessCall extends AccessOptions {
  readonly verb: AccessVerb;
  readonly values: AccessValues;
}

/** `ask` sends a call and resolves to the objects of its answer. */
export function createAccess(ask: (call: AccessCall) => Promise<readonly unknown[]>): Access {
  /** Sends those of the values that the verb takes. */
  async function send(verb: AccessVerb, given: AccessValues & AccessOptions): Promise<readonly unknown[]> {
    const { tag, signal } = given;
    const values = Object.fromEntries(verbRow(verb).takes.map((name) => [name, given[name]]));
    checkCall(values, tag);
    return ask({ verb, values, ...(tag !== undefined && { tag }), ...(signal && { signal }) });
  }
  async function one(verb: AccessVerb, given: AccessValues & AccessOptions): Promise<AccessItem> {
    const [item] = await send(verb, given);
    return itemOf(item);
  }
  const decide =
    (verb: AccessVerb) =>
    (id: string, options: AccessValues & AccessOptions = {}): Promise<AccessItem> =>
      one(verb, { ...options, id: idOf(id) });
  return {
    request: (request) => one('request', askedOf(request)),
    async list(options = {}) {
      const items: AccessItem[] = [];
      for (;;) {
        const page = await send('requests', { ...options, after: items.at(-1)?.id });
        const more = page.findIndex(isMore);
        items.push(...page.slice(0, more === -1 ? undefined : more).map(itemOf));
        if (more < 1) return items;
      }
    },
    get: decide('access'),
    approve: decide('approve'),
    refuse: decide('refuse'),
    revoke: decide('revoke'),
    review: decide('review'),
    grant: (grant) => one('grant', askedOf(grant)),
  };
}

function textsOfCall({ values }: AccessCall): ReadonlyMap<AccessArgument, readonly string[]> {
  const given = allArguments.flatMap((name) => {
    const value = values[name];
    return value === undefined ? [] : [[name, textsOf(name, value)] as const];
  });
  return new Map(given);
}

/** The words after `dovegate VERB`; the tag is not one of them. */
export function wordsOfCall(call: AccessCall): string[] {
  return wordsOf(textsOfCall(call));
}

/** The body of `POST /dovegate/v1/VERB`. */
export function bodyOfCall(call: AccessCall): string {
  const members = [...textsOfCall(call)].map(([name, texts]) => {
    const isDuration = accessArguments[name].shape === 'duration';
    return [memberOf(name), isDuration ? texts[0] : call.values[name]];
  });
  return JSON.stringify({ ...Object.fromEntries(members), tag: call.tag });
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

function askedOf({ user, name, args = [], ...more }: AccessRequest): AccessValues & AccessOptions {
  const users = typeof user === 'string' ? [user] : user;
  return { ...more, users, command: [name, ...args] };
}

/** An id may come from anywhere. A value of another type would be sent as its text. */
function idOf(id: unknown): string {
  if (typeof id !== 'string') throw new TypeError(`id must be a string, not a value of type ${typeof id}`);
  return id;
}

/** Programs without types get an error that names the key. */
function checkCall(values: AccessValues, tag: unknown): void {
  for (const name of allArguments) {
    const wanted = wantedOf(name, values[name]);
    if (wanted === undefined) continue;
    if (name === 'reason' && typeof values.reason === 'string')
      throw unsendable(`a reason must be ${wanted}`);
    throw new TypeError(`${name} must be ${wanted}`);
  }
  const isTag = typeof tag === 'string' && /^[\w.:-]{1,64}$/.test(tag);
  if (tag !== undefined && !isTag) throw new TypeError('tag must be 1 to 64 letters, digits, _, -, . or :');
}

const textKeys = ['id', 'state', 'to', 'policy', 'command', 'asked', 'until'] as const;
const listKeys = ['users', 'approved_by', 'may'] as const;

/** A newer dovegate may add keys. An object without these keys is not readable for this library. */
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
  return unexpectedReply('the server gave no readable answer about access');
}

export function textsOf(name: AccessArgument, value: AccessValues[AccessArgument]): readonly string[] {
  if (value === undefined) return [];
  if (typeof value === 'object') return value;
  return [accessArguments[name].shape === 'duration' ? `${value}ms` : String(value)];
}
