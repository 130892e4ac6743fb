// The commands that a doveadm-server of each series takes over the wire, found by name. Knows no policy, and nothing of how
// arguments are read. A command that is not here does not exist: whoever asks must refuse it.
import {
  allEffects,
  allGrants,
  allInputKinds,
  allParameterTypes,
  allRoles,
  type CatalogData,
  type Command,
  type Parameter,
} from './command.js';
import { data23, data24 } from './data.js';
import { allSeries, type Series } from './series.js';

export type { Command, Effect, Grant, InputKind, Parameter, ParameterType, Role } from './command.js';

const dataOf: Readonly<Record<Series, CatalogData>> = { '2.3': data23, '2.4': data24 };
const parameterWord =
  /^(?<positional><)?(?:(?<short>[A-Za-z0-9])\/)?(?<name>[a-z0-9-]+):(?<type>[a-z]+)(?<optional>\?)?(?<unsigned>\+)?(?:@(?<key>[a-z]+))?(?:=(?<role>[a-z-]+))?$/;

const byName = new Map<Series, ReadonlyMap<string, Command>>();
const inOrder = new Map<Series, readonly Command[]>();
for (const series of allSeries) {
  const commands = dataOf[series].commands.map((entry) => commandOf(entry, dataOf[series].mailParams));
  inOrder.set(series, Object.freeze(commands));
  byName.set(series, new Map(commands.map((command) => [command.name, command])));
}

/** Names the tables that commands were judged by: half of each series' SHA-256, in hex. */
export const catalogHash: string = allSeries
  .map((series) => dataOf[series].hash.slice(0, 64 / allSeries.length))
  .join('');

/** The Dovecot releases that the tables of a series come from, for people. */
export function catalogSource(series: Series): string {
  return dataOf[series].dovecot;
}

/** The command of exactly this full name (`mailbox cache purge`), case and blanks included. */
export function commandNamed(series: Series, name: string): Command | undefined {
  return byName.get(series)?.get(name);
}

/** Every command of the series, by name. */
export function commandsOf(series: Series): readonly Command[] {
  return inOrder.get(series) ?? [];
}

/** The parameter of that long name. */
export function parameterNamed(command: Command, name: string): Parameter | undefined {
  return command.params.find((parameter) => parameter.name === name);
}

/**
 * The list option that a text positional is another spelling of: `fetch` takes `--field uid --field flags` and `"uid flags"`
 * in front of its query. Undefined for every other parameter.
 */
export function listOfText(command: Command, parameter: Parameter): Parameter | undefined {
  if (parameter.name !== 'fieldstr' && parameter.name !== 'flagstr') return undefined;
  return parameter.isPositional ? parameterNamed(command, parameter.name.slice(0, -'str'.length)) : undefined;
}

function commandOf(entry: CatalogData['commands'][number], mailParams: string): Command {
  const [name, traits, params] = entry;
  const [scope, effect, grant, input, order] = traits.split(' ');
  if (scope !== 'user' && scope !== 'server') throw new Error(`catalog data: scope of ${name}`);
  const all = scope === 'user' ? `${mailParams} ${params}` : params;
  return Object.freeze({
    name,
    words: Object.freeze(name.split(' ')),
    scope,
    effect: oneOf(allEffects, effect, name),
    grant: oneOf(allGrants, grant, name),
    input: oneOf(allInputKinds, input, name),
    params: Object.freeze(all.split(' ').filter(Boolean).map(parameterOf)),
    permutes: order !== 'ordered',
  });
}

function parameterOf(word: string): Parameter {
  const parts = parameterWord.exec(word)?.groups;
  const name = parts?.['name'];
  if (parts === undefined || name === undefined) throw new Error(`catalog data: parameter ${word}`);
  return Object.freeze({
    name,
    short: parts['short'],
    type: oneOf(allParameterTypes, parts['type'], name),
    isPositional: parts['positional'] !== undefined,
    isOptional: parts['optional'] !== undefined,
    isUnsigned: parts['unsigned'] !== undefined,
    key: parts['key'],
    role: parts['role'] === undefined ? undefined : oneOf(allRoles, parts['role'], name),
  });
}

function oneOf<T extends string>(all: readonly T[], word: string | undefined, where: string): T {
  const found = all.find((one) => one === word);
  if (found === undefined) throw new Error(`catalog data: ${word} in ${where}`);
  return found;
}
