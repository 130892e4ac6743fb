// The replies of our own commands: rows of two cells, what and value, so that any doveadm client can print them. A row that says
// more of another follows it: the conditions of a rule come behind its name. It does not know what is answered.
// The rule: who reads an answer skips rows that it does not know, since later versions may say more.

/** One row: `allow` and `quota get`. */
export type AnswerRow = readonly [what: string, value: string];

/** A rule in words. */
export interface RuleInWords {
  readonly command: string;
  /** What must hold for it, a sentence each. */
  readonly says: readonly string[];
}

/** A rule as rows: `what` with its command, then `if` with each of its conditions. */
export function rowsOfRule(what: string, { command, says }: RuleInWords): AnswerRow[] {
  return [[what, command], ...says.map((text): AnswerRow => ['if', text])];
}

/** Rows by what they are about, as they were told: a head, and those that say more of it. */
export interface AnswerPart {
  readonly what: string;
  readonly value: string;
  readonly more: readonly AnswerRow[];
}

/** Groups the rows; `details` are those that belong to the row before. */
export function partsOf(rows: readonly AnswerRow[], details: readonly string[]): AnswerPart[] {
  const parts: { what: string; value: string; more: AnswerRow[] }[] = [];
  for (const row of rows) {
    const [what, value] = row;
    const last = parts.at(-1);
    if (details.includes(what) && last !== undefined) last.more.push(row);
    else parts.push({ what, value, more: [] });
  }
  return parts;
}

/** The values of all rows of that name. */
export function valuesOf(
  rows: readonly { readonly what: string; readonly value: string }[],
  what: string,
): string[] {
  return rows.flatMap((row) => (row.what === what ? [row.value] : []));
}

/** The values of the rows of that name that say more of this one. */
export function moreOf({ more }: AnswerPart, what: string): string[] {
  return more.flatMap(([name, value]) => (name === what ? [value] : []));
}
