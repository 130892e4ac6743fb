// Owns what a rule can name: the parameters of a command in every series, and which of them no rule may speak of.
// It does not read rules.
import { allSeries, commandNamed, type Parameter } from '../commands/catalog.js';
import { cautionOf } from '../commands/dangerous.js';

/** The parameters of a command, of every series that has it, by name. Where series differ, the newest one's. */
export function parametersOf(command: string): ReadonlyMap<string, Parameter> {
  const all = allSeries.flatMap((series) => commandNamed(series, command)?.params ?? []);
  return new Map(all.map((parameter) => [parameter.name, parameter]));
}

/** Why a rule for the command cannot name the parameter, and what to write instead; undefined: it can, or there is none. */
export function whyUnnamable(command: string, name: string): string | undefined {
  if (name === 'fieldstr' || name === 'flagstr')
    return `write ${name.slice(0, -3)}, which covers every spelling of it`;
  if (name === 'source-type') return 'write source-user; the word before it is part of it';
  for (const series of allSeries) {
    const found = commandNamed(series, command);
    const parameter = found?.params.find((each) => each.name === name);
    if (found === undefined || parameter === undefined) continue;
    const caution = cautionOf(found, parameter);
    if (caution === 'never') return 'is never allowed, and no rule can change that; take it out';
    if (caution === 'all-users') return 'write all_users: true beside command: instead';
    if (name === 'user' && found.scope === 'user') {
      return 'the user of a mail command is judged by users and except; take it out';
    }
  }
  return undefined;
}
