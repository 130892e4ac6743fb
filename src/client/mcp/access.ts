// Access on request: tools that ask a person for what the policy does not permit alone. Everything about it is here: the rows of `dovegate
// can` that announce it, the calls of `session.access`, and the form of their answers. A gate that announces nothing has no such tools.

import {
  accessArguments,
  accessVerbs,
  countMax,
  durationMax,
  optionOf,
  wantedOf,
} from '../../doveadm/verbs/verbs.js';
import { asText, isObject, isText } from '../../host/values/values.js';
import { moreOf, partsOf, requestableOfPart } from '../../rules/answers/read-answer.js';
import type { AnswerRow, Right } from '../../rules/answers/rights.js';
import { requestTermKeys, sayRequestTerms } from '../../rules/policy/policy.js';
import type { Access, AccessItem, AccessOptions, AccessRequest } from '../connect.js';
import type { Cells } from './answers.js';
import {
  type CommandTool,
  commandOf,
  reasonProperty,
  type Tool,
  unknownArgument,
  type Wrong,
  wrong,
} from './tools.js';

/** How `can` marks a rule that may be asked for, and the rows with its details. */
const announcement = 'on-request';
const details = ['effect', 'if', ...requestTermKeys];

/** The rules that may be asked for; empty: there are none, or the gate has no access on request. */
export function requestableRights(rows: readonly AnswerRow[]): readonly Right[] {
  return partsOf(rows, details)
    .filter(({ what }) => what === announcement)
    .map((part) => ({
      command: part.value,
      effect: moreOf(part, 'effect')[0] ?? '',
      says: [
        `only after request_access: ${sayRequestTerms(requestableOfPart(part).terms)}`,
        ...moreOf(part, 'if'),
      ],
    }));
}

const text = { type: 'string' } as const;

/** Further arguments of a request besides the call itself. Durations are in minutes here. */
const extras = accessVerbs.request.takes
  .filter((name) => name !== 'users' && name !== 'command')
  .map((name) => {
    const { help, shape } = accessArguments[name];
    const [option, description] = [optionOf(name), `${help}; default: as the rule says.`];
    if (shape === 'duration')
      return {
        name,
        key: `${option}_minutes`,
        unit: 60_000,
        property: { type: 'integer', minimum: 1, maximum: Math.floor(durationMax / 60_000), description },
      } as const;
    const property =
      shape === 'count'
        ? ({ type: 'integer', minimum: 1, maximum: countMax, description } as const)
        : ({ type: 'string', description } as const);
    return { name, key: option, unit: 1, property: name === 'reason' ? reasonProperty : property };
  });

const requestProperties: Tool['inputSchema']['properties'] = {
  tool: { ...text, description: 'Name of the tool.' },
  arguments: { type: 'object', description: 'The arguments of the call, without "reason".' },
  ...Object.fromEntries(extras.map(({ key, property }) => [key, property])),
};
const statusProperties: Tool['inputSchema']['properties'] = { id: text };

/** `names`: the tools whose calls may be asked for. */
export function accessTools(names: readonly string[]): readonly Tool[] {
  if (names.length === 0) return [];
  return [
    {
      name: 'request_access',
      title: 'request access',
      description: `Asks a person to approve one call that the policy does not permit alone, of: ${names.join(', ')}. The result has the id and the state of the request; "request_status" shows what became of it. Once it is "granted", make exactly the same call.`,
      inputSchema: {
        type: 'object',
        properties: requestProperties,
        required: ['tool', 'arguments', 'reason'],
        additionalProperties: false,
      },
      annotations: { readOnlyHint: false, destructiveHint: false },
    },
    {
      name: 'request_status',
      title: 'request status',
      description:
        'What became of the request with this id; without it, the open requests and live grants of this client.',
      inputSchema: {
        type: 'object',
        properties: statusProperties,
        required: [],
        additionalProperties: false,
      },
      annotations: { readOnlyHint: true, destructiveHint: false },
    },
  ];
}

export type AccessReading =
  | { readonly kind: 'request'; readonly request: AccessRequest }
  /** Without an id: all of them. */
  | { readonly kind: 'status'; readonly id: string | undefined }
  | Wrong;

/** Reads what a call asks the gate. A request is for the command that the tool itself would send. */
export function readAccess(
  name: string,
  given: Readonly<Record<string, unknown>>,
  tools: ReadonlyMap<string, CommandTool>,
): AccessReading {
  const { tool, arguments: asked, reason, id } = given;
  // A limit under an unknown name would be lost, and a person would be asked for more than the agent wants.
  const unknown = unknownArgument(given, name === 'request_status' ? statusProperties : requestProperties);
  if (unknown !== undefined) return unknown;
  if (name === 'request_status') {
    if (id !== undefined && !isText(id)) return wrong('value-type', 'id must be a string');
    return { kind: 'status', id };
  }
  const wanted = tools.get(asText(tool) ?? '');
  if (wanted === undefined) return wrong('value-type', 'tool must be the name of a tool for a command');
  if (!isObject(asked))
    return wrong('value-type', 'arguments must be the arguments of the call, as an object');
  const terms: Omit<AccessRequest, 'user' | 'name' | 'args'> = Object.fromEntries(
    extras.flatMap((each) => {
      const value = given[each.key];
      if (value === undefined) return [];
      return [[each.name, each.unit > 1 && Number.isInteger(value) ? Number(value) * each.unit : value]];
    }),
  );
  for (const { name: argument, key, unit } of extras) {
    const must = wantedOf(argument, terms[argument]);
    if (must !== undefined)
      return wrong('value-type', `${key} must be ${unit > 1 ? 'a whole number above 0' : must}`);
  }
  const reading = commandOf(wanted, { ...asked, reason });
  if (reading.kind === 'wrong') return reading;
  const { user, name: command, args = [] } = reading.command;
  return {
    kind: 'request',
    request: {
      ...terms,
      name: command,
      args,
      ...(user === undefined ? {} : { user }),
    },
  };
}

export async function askAccess(
  access: Access,
  reading: Exclude<AccessReading, Wrong>,
  options: Required<AccessOptions>,
): Promise<readonly AccessItem[]> {
  if (reading.kind === 'request') return [await access.request({ ...reading.request, ...options })];
  return reading.id === undefined ? access.list(options) : [await access.get(reading.id, options)];
}

/** A request or a grant as a row: what is no text is JSON. */
export function cellsOfItem(item: AccessItem): Cells {
  return Object.fromEntries(
    Object.entries(item).map(([key, each]) => [key, typeof each === 'string' ? each : JSON.stringify(each)]),
  );
}
