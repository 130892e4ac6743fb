// Requests of HTTP clients about access on request, as the lines of dovegate's own commands:
//
//   POST /dovegate/v1/request   {"users": ["bob@example.com"], "for": "1h", "reason": "ticket 4711", "command": ["fetch", "uid", "all"]}
//
// JSON gives words only. dovegate's own command judges them, so that a socket and HTTP accept the same.

import type { CommandLine } from '../../doveadm/protocol/command.js';
import {
  type AccessArgument,
  type AccessVerb,
  accessArguments,
  allArguments,
  allVerbs,
  isAccessVerb,
  memberOf,
  wordsOf,
} from '../../doveadm/verbs/verbs.js';
import { bounds } from '../../host/bounds/bounds.js';
import { asList, asText, asTexts, isObject, isText } from '../../host/values/values.js';
import { plainLine } from '../../rules/policy/assess.js';

export const accessBytesMax = bounds.httpAccessBytes;

/** `access` has no path of its own: `requests` with an id shows that one. */
export type AccessPath = Exclude<AccessVerb, 'access'>;

/** POST asks for a token for the report of one mailbox; GET on the page's own address returns the report itself. */
export const reportPath = 'mailbox-report';

export const accessPaths = allVerbs.filter(isAccessPath);

export function isAccessPath(name: string): name is AccessPath {
  return isAccessVerb(name) && name !== 'access';
}

/** The command that a body asks for. `tag`: the client's name for it, as in other commands; empty: none. */
export interface AccessBody {
  readonly line: CommandLine;
  readonly tag: string;
}

/** Returns the line of a request, or the text of its answer 400. */
export function readAccess(
  path: AccessPath | typeof reportPath,
  body: Buffer,
): AccessBody | { readonly bad: string } {
  let value: unknown = {};
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    if (text.trim() !== '') value = JSON.parse(text);
  } catch {
    return { bad: 'The body is not JSON in UTF-8' };
  }
  if (!isObject(value)) return { bad: 'The body is not an object' };
  const members = new Map<string, unknown>(Object.entries(value));
  const texts = new Map<AccessArgument, readonly string[]>();
  const user = members.get('user');
  if (path === reportPath) {
    if (!isText(user)) return { bad: '"user" is the name of one mailbox user' };
    members.delete('user');
  }
  for (const name of path === reportPath ? [] : allArguments) {
    const member = memberOf(name);
    const given = members.get(member);
    members.delete(member);
    if (given === undefined || given === null) continue;
    const isList = accessArguments[name].shape === 'texts';
    const list = isList ? listOf(given) : wordOf(given);
    if (list === undefined) return { bad: `"${member}" is ${isList ? 'a list of texts' : 'a text'}` };
    texts.set(name, list);
  }
  const tag = members.get('tag') ?? '';
  if (!isText(tag) || !/^[\w.:-]{0,64}$/.test(tag))
    return { bad: '"tag" is at most 64 letters, digits, "_", "-", "." and ":"' };
  members.delete('tag');
  const [unknown] = members.keys();
  // A typo must not ask for more than was meant.
  if (unknown !== undefined) return { bad: `There is no member "${unknown.slice(0, 64)}"` };
  if (path === reportPath)
    return { line: plainLine('', [`dovegate ${reportPath}`, `--user=${asText(user) ?? ''}`]), tag };
  const verb = path === 'requests' && texts.has('id') ? 'access' : path;
  return { line: plainLine('', [`dovegate ${verb}`, ...wordsOf(texts)]), tag };
}

function wordOf(value: unknown): readonly string[] | undefined {
  if (isText(value)) return [value];
  return Number.isSafeInteger(value) ? [String(value)] : undefined;
}

function listOf(value: unknown): readonly string[] | undefined {
  const all = asList(value) ?? [value];
  const texts = asTexts(all);
  return texts.length === all.length ? texts : undefined;
}
