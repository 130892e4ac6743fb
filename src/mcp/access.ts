// Access on request: tools that ask a person for what the policy does not permit alone. All that this program knows of it is here: the rows of
// `dovegate can` that announce it, the wire commands, and the form of their answers. A gate that announces nothing has no such tools.

import type { Row } from '../client/connect.js';
import { type AnswerRow, moreOf, partsOf, type Right } from '../domain/answers/rights.js';
import type { Cells } from './answers.js';
import { type CommandTool, commandOf, type Reading, reasonProperty, type Tool, wrong } from './tools.js';

/** What `can` names a rule that may be asked for, and the rows that say more of it. */
const announcement = 'on-request';
const details = ['effect', 'if', 'approvals', 'for', 'scope', 'uses'];

/** The rules that may be asked for; empty: there are none, or the gate has no access on request. */
export function requestableRights(rows: readonly AnswerRow[]): readonly Right[] {
  return partsOf(rows, details)
    .filter(({ what }) => what === announcement)
    .map((part) => ({
      command: part.value,
      effect: moreOf(part, 'effect')[0] ?? '',
      says: [
        'only after request_access',
        ...moreOf(part, 'for').map((time) => `for ${time} at most`),
        ...moreOf(part, 'if'),
      ],
    }));
}

/** `names`: the tools whose calls may be asked for. */
export function accessTools(names: readonly string[]): readonly Tool[] {
  if (names.length === 0) return [];
  const text = { type: 'string' } as const;
  return [
    {
      name: 'request_access',
      title: 'request access',
      description: `Asks a person to approve one call that the policy does not permit alone, of: ${names.join(', ')}. The result has the id and the state of the request; "request_status" shows what became of it. Once it is "granted", make exactly the same call.`,
      inputSchema: {
        type: 'object',
        properties: {
          tool: { ...text, description: 'Name of the tool.' },
          arguments: { type: 'object', description: 'The arguments of the call, without "reason".' },
          for: { ...text, description: 'How long it is needed, such as 30m; default: as the rule says.' },
          uses: { type: 'integer', description: 'How many calls; default: as the rule says.' },
          reason: reasonProperty,
        },
        required: ['tool', 'arguments', 'reason'],
        additionalProperties: false,
      },
      annotations: { readOnlyHint: false, destructiveHint: false },
    },
    {
      name: 'request_status',
      title: 'request status',
      description: 'The requests of this client and what became of them, or the one with this id.',
      inputSchema: {
        type: 'object',
        properties: { id: text, reason: reasonProperty },
        required: ['reason'],
        additionalProperties: false,
      },
      annotations: { readOnlyHint: true, destructiveHint: false },
    },
  ];
}

/** The wire command of a call. */
export function accessCommand(
  name: string,
  given: Readonly<Record<string, unknown>>,
  tools: ReadonlyMap<string, CommandTool>,
): Reading {
  const { tool, arguments: asked, for: time, uses, reason, id } = given;
  if (name === 'request_status') {
    if (id !== undefined && typeof id !== 'string') return wrong('value-type', 'id must be a string');
    const command =
      id === undefined ? { name: 'dovegate requests' } : { name: 'dovegate access', args: ['--', id] };
    return { kind: 'command', command };
  }
  const wanted = typeof tool === 'string' ? tools.get(tool) : undefined;
  if (wanted === undefined) return wrong('value-type', 'tool must be the name of a tool for a command');
  if (typeof asked !== 'object' || asked === null || Array.isArray(asked))
    return wrong('value-type', 'arguments must be the arguments of the call, as an object');
  if (time !== undefined && typeof time !== 'string')
    return wrong('value-type', 'for must be a time, such as 30m');
  if (uses !== undefined && (typeof uses !== 'number' || !Number.isSafeInteger(uses)))
    return wrong('value-type', 'uses must be a whole number');
  const reading = commandOf(wanted, { ...asked, reason });
  if (reading.kind === 'wrong') return reading;
  const { command } = reading;
  const args = [
    ...(command.user === undefined ? [] : ['-u', command.user]),
    ...(time === undefined ? [] : ['--for', time]),
    ...(uses === undefined ? [] : ['--uses', String(uses)]),
    '--reason',
    String(reason),
    '--',
    command.name,
    ...(command.args ?? []),
  ];
  return { kind: 'command', command: { name: 'dovegate request', args } };
}

/** Rows `access` hold a request or a grant each, as JSON; others are left out. */
export function accessCells(rows: readonly Row[]): readonly Cells[] {
  return rows.flatMap(([what, value = '']): Cells[] => {
    if (what !== 'access') return [];
    const item: unknown = JSON.parse(value);
    if (typeof item !== 'object' || item === null) return [];
    return [
      Object.fromEntries(
        Object.entries(item).map(([key, each]) => [
          key,
          typeof each === 'string' ? each : JSON.stringify(each),
        ]),
      ),
    ];
  });
}
