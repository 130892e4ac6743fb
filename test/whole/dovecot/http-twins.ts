// What the comparisons over HTTP share: a policy for all that generated requests can ask for, spellings of names, and rows without what is
// of one run or one world.
import { allSeries, type Command, commandNamed } from '../../../src/doveadm/commands/catalog.js';
import { jsonName } from '../../../src/doveadm/commands/named.js';
import type { Random } from '../../kit/plain/chunkings.js';

/** Their answers are about the machine, or about what runs on it at that moment. */
export const onlyKind: ReadonlySet<string> = new Set(
  'log errors|stats dump|service status|process status|who|penalty|proxy list|instance list|indexer list'.split(
    '|',
  ),
);
/** They answer in the order of a directory. */
const unordered = new Set(['sieve list', 'mailbox list', 'mailbox status']);

/** The lines of a policy that allows these commands with all parameters that a rule can name. */
export function policyFor(names: readonly string[]): string {
  const rules = names.map((name) => {
    const commands = allSeries.flatMap((series) => commandNamed(series, name) ?? []);
    const named = commands.flatMap(({ params, scope }) =>
      params.filter(({ caution, name: each, isPositional }) => {
        if (each === 'source-type' || (isPositional && ['fieldstr', 'flagstr'].includes(each))) return false;
        return (caution === 'free' && !(scope === 'user' && each === 'user')) || caution === 'named';
      }),
    );
    const where = [...new Set(named.map((parameter) => parameter.name))].map((each) => `"${each}": any`);
    const root = commands.some(({ grant }) => grant === 'never') ? ', root_equivalent: true' : '';
    return `      - { command: ${name}, all_users: true, masks: true, content: true, shared: true${root}, where: { ${where.join(', ')} } }`;
  });
  return `\n    users: ["*"]\n    allow:\n${rules.join('\n')}`;
}

/** A name in one of its spellings. */
export function spell(random: Random, name: string): string {
  const roll = random();
  if (roll < 0.75) return jsonName(name);
  return roll < 0.9 ? name : name.replaceAll('-', ' ');
}

/**
 * The rows as text, one each. Paths of its folder are the same in both worlds; INBOX and names of users are sent in one spelling, whatever
 * the client's was.
 */
export function comparable(command: Command, data: unknown): readonly string[] {
  const rows = (Array.isArray(data) ? data : [data]).map((row: unknown) =>
    JSON.stringify(row, (key, value: unknown) => (/guid|modseq|date|time|saved|id$/i.test(key) ? '-' : value))
      .replaceAll(/\/[^"]*\/dg-\w{6}/g, '')
      .replaceAll(/inbox|alice@example\.org/gi, (word) => word.toLowerCase()),
  );
  return unordered.has(command.name) ? rows.toSorted() : rows;
}
