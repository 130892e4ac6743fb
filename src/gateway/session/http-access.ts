// Requests of HTTP clients about access on request, as the lines of dovegate's own commands:
//
//   POST /dovegate/v1/request   {"users": ["bob@example.com"], "for": "1h", "reason": "ticket 4711", "command": ["fetch", "uid", "all"]}
//
// JSON gives words only. The own command judges them, so that a socket and HTTP accept the same.

import { bounds } from '../../bounds/bounds.js';
import { plainLine } from '../../domain/policy/assess.js';
import type { CommandLine } from '../../protocol/command.js';

export const accessBytesMax = bounds.httpAccessBytes;

export const accessPaths = ['request', 'requests', 'approve', 'refuse', 'revoke', 'review', 'grant'] as const;
export type AccessPath = (typeof accessPaths)[number];

/** The members of a body, each with the option that it becomes; `id` and `command` follow the options. */
const options = {
  after: '--after',
  to: '--to',
  users: '--user',
  for: '--for',
  uses: '--uses',
  reason: '--reason',
} as const;

/** What a body asks for. `tag`: the client's name for it, as in other commands; empty: none. */
export interface AccessBody {
  readonly line: CommandLine;
  readonly tag: string;
}

/** The line of a request; or the text of its 400. `requests` with an id shows that one. */
export function readAccess(path: AccessPath, body: Buffer): AccessBody | { readonly bad: string } {
  let value: unknown = {};
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    if (text.trim() !== '') value = JSON.parse(text);
  } catch {
    return { bad: 'The body is not JSON in UTF-8' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { bad: 'The body is not an object' };
  const words: string[] = [];
  const members = new Map<string, unknown>(Object.entries(value));
  for (const [name, option] of Object.entries(options)) {
    const given = members.get(name);
    members.delete(name);
    if (given === undefined || given === null) continue;
    const list = name === 'users' ? listOf(given) : [wordOf(given)];
    if (list === undefined || list.some((word) => word === undefined))
      return { bad: `"${name}" is ${name === 'users' ? 'a list of texts' : 'a text'}` };
    for (const word of list) words.push(`${option}=${word ?? ''}`);
  }
  const id = wordOf(members.get('id'));
  const command = members.get('command');
  const list = command === undefined ? undefined : listOf(command);
  if (members.has('id') && id === undefined) return { bad: '"id" is a text' };
  if (command !== undefined && list === undefined) return { bad: '"command" is a list of texts' };
  const tag = members.get('tag') ?? '';
  if (typeof tag !== 'string' || !/^[\w.:-]{0,64}$/.test(tag))
    return { bad: '"tag" is at most 64 letters, digits, "_", "-", "." and ":"' };
  for (const name of ['id', 'command', 'tag']) members.delete(name);
  const [unknown] = members.keys();
  // A typo must not ask for more than was meant.
  if (unknown !== undefined) return { bad: `There is no member "${unknown.slice(0, 64)}"` };
  if (id !== undefined) words.push('--', id);
  if (list !== undefined) words.push('--', ...list);
  const verb = path === 'requests' && id !== undefined ? 'access' : path;
  return { line: plainLine('', [`dovegate ${verb}`, ...words]), tag };
}

function wordOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : undefined;
}

function listOf(value: unknown): readonly string[] | undefined {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  const texts = all.filter((each) => typeof each === 'string');
  return texts.length === all.length ? texts : undefined;
}
