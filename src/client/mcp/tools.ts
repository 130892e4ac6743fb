// Commands that a policy permits as tools: one for each command that `dovegate can` lists, with the named parameters of the catalog as its
// schema; and a call of a tool as a command. A tool shows what may work and decides nothing. A command that is not permitted is refused by
// the gate.

import {
  allSeries,
  type Command,
  commandNamed,
  type Effect,
  listOfText,
  type Parameter,
  type Series,
  strongerEffect,
  textOfList,
} from '../../doveadm/commands/catalog.js';
import { numbersOf } from '../../doveadm/commands/getopt.js';
import { jsonName } from '../../doveadm/commands/named.js';
import { limitsOf, listWordsMax, parseNamed } from '../../doveadm/commands/parse.js';
import { canonicalArguments } from '../../doveadm/meaning/canonical.js';
import type { JsonValue, NamedParameter } from '../../doveadm/protocol/command.js';
import { bounds } from '../../host/bounds/bounds.js';
import { asList, asTexts, isText } from '../../host/values/values.js';
import type { Right, Rights } from '../../rules/answers/rights.js';
import type { Command as SentCommand } from '../connect.js';

/** An alias, because only those are accepted as JSON of the protocol. */
type Property = {
  readonly type: 'string' | 'integer' | 'boolean' | 'array' | 'object';
  readonly items?: { readonly type: 'string'; readonly maxLength?: number };
  readonly description?: string;
  /** What the gate demands. It counts bytes, and a schema characters, which are never more. */
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
};

export type Tool = {
  name: string;
  title?: string;
  description: string;
  inputSchema: {
    type: 'object';
    properties: Record<string, Property>;
    required: string[];
    additionalProperties: false;
  };
  annotations: { readOnlyHint: boolean; destructiveHint: boolean };
};

export interface CommandTool {
  readonly tool: Tool;
  readonly effect: Effect;
  /** The command as each series has it, newest first. */
  readonly commands: readonly { readonly series: Series; readonly command: Command }[];
}

/** Longer conditions are cut: `dovegate can` has them whole. */
const descriptionChars = 1500;

export const reasonProperty: Property = {
  type: 'string',
  description:
    'Why this call is made, in one line, for the audit record: the ticket, and the person who asked for it.',
  minLength: 1,
  maxLength: bounds.reasonBytes,
  pattern: String.raw`^[^\u0000-\u001f\u007f-\u009f]*$`,
};

/** `requestable`: rules that a person may grant; their commands are tools too, for calls under a grant. */
export function commandTools(rights: Rights, requestable: readonly Right[] = []): readonly CommandTool[] {
  const all = [...rights.allow, ...requestable];
  const names = [...new Set(all.map(({ command }) => command))].toSorted();
  return names.flatMap((name) => {
    const commands = allSeries.toReversed().flatMap((series) => {
      const command = commandNamed(series, name);
      // A connection in both directions has no result.
      return command === undefined || command.input === 'duplex' ? [] : [{ series, command }];
    });
    const rules = all.filter(({ command }) => command === name);
    return commands.length === 0 ? [] : [toolOf(name, commands, rules, rights)];
  });
}

function toolOf(
  name: string,
  commands: CommandTool['commands'],
  rules: readonly Right[],
  rights: Rights,
): CommandTool {
  const properties: Record<string, Property> = {};
  let effect: Effect = 'read';
  for (const { command } of commands) {
    effect = strongerEffect(effect, command.effect);
    for (const parameter of command.params) {
      if (!isOffered(command, parameter, rules)) continue;
      if (parameter.danger !== undefined) effect = strongerEffect(effect, parameter.danger.effect);
      properties[jsonName(parameter.name)] ??= propertyOf(command, parameter);
    }
  }
  const needed = Object.keys(properties).filter((key) =>
    commands.every(({ command }) => command.params.some((each) => isNeeded(command, each, key))),
  );
  const isChange = effect !== 'read';
  if (isChange)
    properties['dry_run'] = {
      type: 'boolean',
      description: 'true: nothing is changed; the result says what would happen, and to how many mails.',
    };
  properties['reason'] = reasonProperty;
  const denied = rights.deny.filter(({ command }) => command === name);
  const conditions = [
    ...rules.map(({ says }, at) => says.length > 0 && `permitted (rule ${at + 1}): ${says.join('; ')}`),
    ...denied.map(({ says }) => `never permitted: ${says.join('; ') || 'this command'}`),
  ].filter((each) => each !== false);
  const about = [
    `doveadm command "${name}" (effect: ${effect}), under policy "${rights.policy}"`,
    `for users ${rights.users.join(', ')}${rights.except.length > 0 ? ` except ${rights.except.join(', ')}` : ''}`,
    ...conditions,
  ].join('. ');
  return {
    effect,
    commands,
    tool: {
      name: name.replace(/[ -]/g, '_'),
      title: name,
      description: about.length > descriptionChars ? `${about.slice(0, descriptionChars)}...` : about,
      inputSchema: {
        type: 'object',
        properties,
        required: [...needed, 'reason'],
        additionalProperties: false,
      },
      // A change that adds or moves is not destructive; every effect beyond the mailbox of the user counts as destructive.
      annotations: { readOnlyHint: !isChange, destructiveHint: isChange && effect !== 'write' },
    },
  };
}

/** Whether a rule could permit the parameter, by the words of its conditions. Never `all-users`: a call is about one user. */
function isOffered(command: Command, parameter: Parameter, rules: readonly Right[]): boolean {
  const { name, role, caution, isPositional } = parameter;
  if (listOfText(command, parameter) !== undefined) return false;
  if (role === 'user' && command.scope === 'user') return true;
  if (role === 'content-file') return command.input === 'dot';
  if (caution === 'never' || caution === 'all-users') return false;
  const isOperand = isPositional || textOfList(command, parameter) !== undefined;
  return rules.some(({ says }) => {
    const condition = says.find((each) => each.startsWith(`${name}: `));
    if (condition !== undefined) return condition !== `${name}: absent`;
    return caution === 'free' && (isOperand || !says.includes('no other options'));
  });
}

function isNeeded(command: Command, parameter: Parameter, key: string): boolean {
  if (jsonName(parameter.name) !== key) return false;
  if (parameter.role === 'user' && command.scope === 'user') return true;
  if (parameter.role === 'content-file') return command.input === 'dot';
  const operand = textOfList(command, parameter) ?? parameter;
  return operand.isPositional && !operand.isOptional;
}

const abouts: Readonly<Partial<Record<NonNullable<Parameter['role']>, string>>> = {
  'search-query':
    'A search query of Dovecot, one word an entry: ["mailbox", "INBOX", "since", "2026-11-01"]. "all" is every mail.',
  'output-fields': 'Fields, one an entry: "uid", "flags", "date.received", "size.physical", "hdr.subject".',
  mailbox: 'Name of a mailbox, such as INBOX.',
  'mailbox-mask': 'Name of a mailbox; * and % are wildcards.',
  'content-file': 'The text itself, not the name of a file.',
};

function propertyOf(command: Command, parameter: Parameter): Property {
  const isUser = parameter.role === 'user' && command.scope === 'user';
  const about = parameter.role === 'user' ? 'One user, such as bob@example.com.' : aboutOf(parameter);
  const { valuesMax, bytesMax } = limitsOf(parameter);
  const long = bytesMax === Infinity ? {} : { maxLength: bytesMax };
  const described = about === undefined ? {} : { description: about };
  switch (parameter.type) {
    case 'bool':
      return { type: 'boolean', ...described };
    case 'int':
      return { type: 'integer', ...rangeOf(parameter), ...described };
    case 'array': {
      const most = textOfList(command, parameter) === undefined ? valuesMax : listWordsMax;
      const many = most === Infinity ? {} : { maxItems: most };
      return { type: 'array', items: { type: 'string', ...long }, ...many, ...described };
    }
    case 'str':
    case 'istream':
      return { type: 'string', ...long, ...(isUser && { minLength: 1, pattern: '^[^*?]+$' }), ...described };
    default:
      return parameter.type satisfies never;
  }
}

/** Limits beyond the safe integers are left out: JSON of a host cannot express such numbers exactly. */
function rangeOf(parameter: Parameter): Pick<Property, 'minimum' | 'maximum'> {
  const { least, most } = numbersOf(parameter);
  const [minimum, maximum] = [Number(least), Number(most)];
  return {
    ...(Number.isSafeInteger(minimum) && { minimum }),
    ...(Number.isSafeInteger(maximum) && { maximum }),
  };
}

function aboutOf({ role, danger }: Parameter): string | undefined {
  return danger === undefined ? role && abouts[role] : `It ${danger.why}.`;
}

/** The call cannot be a command; for the agent. */
export interface Wrong {
  readonly kind: 'wrong';
  readonly code: string;
  readonly text: string;
}

export type Reading = { readonly kind: 'command'; readonly command: SentCommand } | Wrong;

/** The command of a call, without its reason. Every value is checked as the gate does it, so that a mistake is explained. */
export function commandOf(tool: CommandTool, given: Readonly<Record<string, unknown>>): Reading {
  const { properties, required } = tool.tool.inputSchema;
  const missing = required.find((name) => !Object.hasOwn(given, name));
  if (missing !== undefined) return wrong('argument-missing', `"${missing}" is missing`);
  const unknown = unknownArgument(given, properties);
  if (unknown !== undefined) return unknown;
  const { reason: _, dry_run: dryRun = false, ...others } = given;
  if (typeof dryRun !== 'boolean') return wrong('value-type', 'dry_run must be true or false');
  const { user = '', file } = others;
  const isMail = tool.commands.some(({ command }) => command.scope === 'user');
  if (isMail && (!isText(user) || user === '' || /[*?]/.test(user)))
    return wrong('user-unknown', 'user must be one user, such as bob@example.com, without wildcards');
  if (isMail && Buffer.byteLength(String(user)) > bounds.userNameBytes)
    return wrong('user-unknown', `user has more than ${bounds.userNameBytes} bytes`);
  const takesText = tool.commands.some(({ command }) => command.input === 'dot');
  if (takesText && !isText(file)) return wrong('value-type', 'file must be a string');
  const named = Object.entries(others).map(
    ([name, value]): NamedParameter => ({
      name,
      value: takesText && name === 'file' ? { kind: 'span', from: 0, to: 0 } : jsonValueOf(value),
    }),
  );
  let fault: Wrong | undefined;
  for (const { series, command } of tool.commands) {
    const parsed = parseNamed(series, command, named);
    if (parsed.kind === 'parsed')
      return {
        kind: 'command',
        command: {
          name: command.name,
          args: canonicalArguments(parsed),
          dryRun,
          ...(isMail && isText(user) ? { user } : {}),
          ...(takesText && isText(file) ? { input: file } : {}),
        },
      };
    // A series without the option says nothing of its value.
    if (fault === undefined || fault.code === 'unknown-option') fault = wrong(parsed.code, parsed.message);
  }
  return fault ?? wrong('command-unknown', 'there is no such command');
}

export function unknownArgument(
  given: Readonly<Record<string, unknown>>,
  properties: Tool['inputSchema']['properties'],
): Wrong | undefined {
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(properties, name));
  if (unknown === undefined) return undefined;
  const all = Object.keys(properties).join(', ');
  return wrong('unknown-option', `there is no argument "${unknown.slice(0, 64)}"; there are: ${all}`);
}

export function wrong(code: string, text: string): Wrong {
  return { kind: 'wrong', code, text };
}

function jsonValueOf(value: unknown): JsonValue {
  if (isText(value)) return { kind: 'string', text: value };
  if (typeof value === 'number') return { kind: 'number', text: String(value) };
  if (typeof value === 'boolean') return { kind: value ? 'true' : 'false' };
  if (value === null) return { kind: 'null' };
  const list = asList(value);
  if (list === undefined) return { kind: 'other', what: 'object' };
  const items = asTexts(list);
  return items.length === list.length ? { kind: 'list', items } : { kind: 'other', what: 'list' };
}
