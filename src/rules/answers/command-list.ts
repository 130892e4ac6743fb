// What `GET /doveadm/v1` lists: the commands that a policy may ever allow and the parameters that it may ever be given with, in Dovecot's
// shape:
//
//     [{"command":"mailboxStatus","parameters":[{"name":"user","type":"string"},{"name":"field","type":"array"}]}]
//
// Defined by Dovecot in src/doveadm/client-connection-http.c (doveadm_http_server_send_api_v1). Everything that the policy could allow is
// in the list. Left out are commands and parameters that the policy excludes by their names alone, and commands whose reply has no JSON
// form.

import {
  allSeries,
  type Command,
  commandNamed,
  commandsOf,
  listOfText,
  type Parameter,
  type Series,
  textOfList,
} from '../../doveadm/commands/catalog.js';
import { jsonName } from '../../doveadm/commands/named.js';
import { hasJsonForm } from '../../doveadm/meaning/columns.js';
import { isValueTest } from '../conditions/value-test.js';
import { strikesAlways } from '../policy/match.js';
import type { Policy, Rule } from '../policy/policy.js';

interface ListedParameter {
  readonly name: string;
  readonly type: 'boolean' | 'integer' | 'array' | 'string';
}

export interface ListedCommand {
  readonly command: string;
  readonly parameters: readonly ListedParameter[];
}

const types = { bool: 'boolean', int: 'integer', array: 'array', str: 'string', istream: 'string' } as const;

/**
 * The commands of these series, those of the newest first, each once. A rule that has ended by `nowMs` (Unix milliseconds) does not count.
 * Empty only for a policy that allows nothing.
 */
export function listCommands(
  policy: Policy,
  nowMs: number,
  series: readonly Series[] = allSeries,
): readonly ListedCommand[] {
  const names = new Set(series.toReversed().flatMap((one) => commandsOf(one).map((command) => command.name)));
  return [...names].flatMap((name) => {
    const commands = series.toReversed().flatMap((one) => answerable(one, name) ?? []);
    const parameters = new Map<string, ListedParameter>();
    let mayRun = false;
    for (const command of commands) {
      const may = mayEver(policy, command, nowMs);
      if (may === undefined) continue;
      mayRun = true;
      for (const parameter of command.params) {
        // Dovecot does not show the second spelling of a list either.
        if (listOfText(command, parameter) !== undefined || !may(parameter)) continue;
        const listed = { name: jsonName(parameter.name), type: types[parameter.type] };
        if (!parameters.has(listed.name)) parameters.set(listed.name, listed);
      }
    }
    return mayRun ? [{ command: jsonName(name), parameters: [...parameters.values()] }] : [];
  });
}

function answerable(series: Series, name: string): Command | undefined {
  const command = commandNamed(series, name);
  if (command === undefined) return undefined;
  const bare = { kind: 'parsed', command, series, values: new Map(), query: undefined } as const;
  return hasJsonForm(bare) ? command : undefined;
}

/** Whether a policy may ever permit a command with a text (the `file` of `save` and `sieve put`). */
export function mayTakeText(policy: Policy, nowMs: number): boolean {
  return allSeries.some((series) =>
    commandsOf(series).some(
      (command) => command.input === 'dot' && mayEver(policy, command, nowMs) !== undefined,
    ),
  );
}

/** Which parameters a policy may allow the command with. Undefined: it never allows it. */
function mayEver(
  policy: Policy,
  command: Command,
  nowMs: number,
): ((parameter: Parameter) => boolean) | undefined {
  // JSON cannot carry a duplex stream.
  if (command.input === 'duplex') return undefined;
  const isDenied = policy.denyByCommand.get(command.name)?.some(strikesAlways) === true;
  const rules = (policy.allowByCommand.get(command.name) ?? []).filter(
    ({ expiresMs }) => expiresMs === undefined || nowMs < expiresMs,
  );
  const isObserved = policy.mode === 'observe' && command.grant !== 'never' && !command.isAdded;
  if (!isObserved && (isDenied || rules.length === 0)) return undefined;
  return (parameter) =>
    (isObserved && mayBeObserved(parameter, command)) ||
    (!isDenied && rules.some((rule) => mayBeGiven(rule, command, parameter)));
}

/** Whether an observing policy lets the parameter through without a rule, see `decide`. */
export function mayBeObserved({ caution, role, danger }: Parameter, { input }: Command): boolean {
  if (role === 'content-file') return input === 'dot';
  if (caution !== 'named') return caution === 'free';
  return (role === undefined || role === 'output-fields') && danger?.effect !== 'session';
}

/** Whether the rule could match with the parameter, see `matches`: cautious parameters need a test, and `where` must name every option. */
export function mayBeGiven(rule: Rule, command: Command, parameter: Parameter): boolean {
  const { name, caution, role, isPositional } = parameter;
  // The user of the line, and its text: no rule treats them as parameters.
  if (command.scope === 'user' && role === 'user') return true;
  if (role === 'content-file') return command.input === 'dot';
  if (caution === 'never') return false;
  if (caution === 'all-users') return rule.allUsers;
  const tests = rule.where?.filter((each) => each.parameter === name) ?? [];
  if (tests.some(({ test }) => isValueTest(test, 'absent'))) return false;
  if (tests.length > 0) return true;
  const isOperand = isPositional || textOfList(command, parameter) !== undefined;
  return caution === 'free' && (rule.where === undefined || isOperand);
}
