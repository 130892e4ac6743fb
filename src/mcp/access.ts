// Access on request: tools that ask a person for what the policy does not permit alone. All that this program knows of it is here: the rows of
// `dovegate can` that announce it, and two wire commands. A gate that does not announce it has no such tools.

import type { Command } from '../client/connect.js';
import type { Tool } from './tools.js';
import { reasonProperty } from './tools.js';

/** What `can` names a rule that may be asked for. */
const announcement = 'on-request';

/** The commands that may be asked for; empty: there are none, or the gate has no access on request. */
export function requestable(rows: readonly (readonly string[])[]): readonly string[] {
  return [
    ...new Set(rows.flatMap(([what, value = '']) => (what === announcement ? [value] : []))),
  ].toSorted();
}

export function accessTools(commands: readonly string[]): readonly Tool[] {
  if (commands.length === 0) return [];
  const text = { type: 'string' } as const;
  return [
    {
      name: 'request_access',
      title: 'request access',
      description: `Asks a person to approve one command that the policy does not permit alone. It may be asked for: ${commands.join(', ')}. The result has the id of the request; "request_status" shows what became of it. When it is granted, make the call that was requested, with the same arguments.`,
      inputSchema: {
        type: 'object',
        properties: {
          user: { ...text, description: 'One user, such as bob@example.com.' },
          command: {
            type: 'array',
            items: text,
            description:
              'The command as for doveadm, one word an entry: ["fetch", "hdr.subject", "mailbox", "INBOX", "all"]. Only exactly this command is granted.',
          },
          for: { ...text, description: 'How long, such as 30m or 2h; default: what the rule permits.' },
          uses: { type: 'integer', description: 'How many times; default 1.' },
          reason: reasonProperty,
        },
        required: ['user', 'command', 'reason'],
        additionalProperties: false,
      },
      annotations: { readOnlyHint: false, destructiveHint: false },
    },
    {
      name: 'request_status',
      title: 'request status',
      description: 'The requests of this client, and what became of them.',
      inputSchema: {
        type: 'object',
        properties: { reason: reasonProperty },
        required: ['reason'],
        additionalProperties: false,
      },
      annotations: { readOnlyHint: true, destructiveHint: false },
    },
  ];
}

/** The wire command of a call. Undefined: it is another tool. A text: why the call is wrong. */
export function accessCommand(
  tool: string,
  given: Readonly<Record<string, unknown>>,
): Command | string | undefined {
  if (tool === 'request_status') return { name: 'dovegate requests' };
  if (tool !== 'request_access') return undefined;
  const { user, command, for: time, uses } = given;
  if (typeof user !== 'string' || user === '') return 'user must be one user, such as bob@example.com';
  if (!Array.isArray(command) || command.length === 0) return 'command must be a list of words';
  const words = command.filter((word) => typeof word === 'string');
  if (words.length !== command.length) return 'command must be a list of words';
  if (time !== undefined && typeof time !== 'string') return 'for must be a time, such as 30m';
  if (uses !== undefined && (typeof uses !== 'number' || !Number.isInteger(uses)))
    return 'uses must be a whole number';
  return {
    name: 'dovegate request',
    args: [
      '-u',
      user,
      ...(time === undefined ? [] : ['--for', time]),
      ...(uses === undefined ? [] : ['--uses', String(uses)]),
      '--',
      ...words,
    ],
  };
}
