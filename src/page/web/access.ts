// Who may do what, as rows of the screen "access": accounts and keys that differ in their name alone stand in one row.

import type { AccessTable } from '../answers/api.js';

export interface AccessRow extends Omit<AccessTable['rows'][number], 'name'> {
  readonly names: readonly string[];
}

/** In the order of the configuration, each with all names that have the same rights in the same place. */
export function accessRows({ rows }: Pick<AccessTable, 'rows'>): AccessRow[] {
  const found = new Map<string, AccessRow & { readonly names: string[] }>();
  for (const { name, ...row } of rows) {
    const key = JSON.stringify([row.kind, row.listener, row.policy, row.people]);
    const known = found.get(key);
    if (known === undefined) found.set(key, { ...row, names: [name] });
    else if (!known.names.includes(name)) known.names.push(name);
  }
  return [...found.values()];
}

/** Whether nobody in the rows may do anything of an effect, at once or on request. */
export function isNone({ rows, policies }: Pick<AccessTable, 'rows' | 'policies'>, at: number): boolean {
  return policies
    .filter(({ name }) => rows.some(({ policy }) => policy === name))
    .every(
      ({ isObserving, cells: { [at]: cell } }) =>
        !isObserving && (cell === undefined || cell.commands.length + cell.onRequest.length === 0),
    );
}

export function rowsWith(rows: readonly AccessRow[], text: string): readonly AccessRow[] {
  return rows.filter(({ kind, listener, policy, people = '', names }) =>
    hasWords(text, [kind, listener, policy, people, ...names].join(' ')),
  );
}

/** Whether each word of `wanted` is in the text, in any case. */
export function hasWords(wanted: string, text: string): boolean {
  const all = text.toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}
