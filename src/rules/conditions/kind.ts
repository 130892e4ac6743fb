// The interface of a kind of comparison. Matching, sentences, `explain`, `prove`, `suggest`, the schema and the parser of rules all use it.
// A kind is one object in a file of its own, and one line in the table of `value-test.ts` or `query-test.ts`.

import type { GlobList } from '../../doveadm/names/glob.js';
import type { Cursor } from '../config/cursor.js';
import type { Regex } from '../policy/regex.js';

/** A part of a condition, as a configuration has it. */
export type Written = string | boolean | readonly Written[] | WrittenMap;
export interface WrittenMap {
  readonly [key: string]: Written;
}

/** The texts that a comparison accepts: single texts, those that match patterns, and those that match an expression. */
export type Language = readonly (string | GlobList | Regex)[];

export interface Description<Test> {
  write(test: Test): WrittenMap;
  /** What a value must be: `uid or guid`, `at least 5`. */
  words(test: Test): string;
  /** What a value that fails must do, in one line of a log: `match a+`; if absent, `be` and its words. */
  demand?(test: Test): string;
  /** Values that pass; `fill` makes texts of a pattern. */
  examples(test: Test, fill: (pattern: string) => readonly string[]): readonly (readonly string[])[];
  /** The texts and patterns that it names, if that is how it compares. */
  texts?(test: Test): readonly string[];
  /** Absent: its values are no set of texts, and `isWithin` compares them. */
  language?(test: Test): Language;
  /** Whether each value that passes also passes another one of its kind. */
  isWithin?(test: Test, other: Test): boolean;
}

/** How the texts of a rule become comparable with the values of a command. */
export interface Compared {
  readonly fold: (text: string) => string;
  readonly globs: (texts: readonly string[]) => GlobList;
}

/** A comparison of the values of a parameter. */
export interface Kind<Test> extends Description<Test> {
  /** Its keys in a configuration, and the form of their values; one of them at least must be there. */
  readonly keys: Readonly<Record<string, 'words' | 'text' | 'bound'>>;
  /** `cursor` stands at the condition. Undefined: faults, which are reported. */
  read(cursor: Cursor, compared: Compared): Test | undefined;
  /** Its texts are the whole list of values, and have no wildcards. */
  readonly isExact?: true;
  /** Whether an `allow` takes all of these values; at least one. `user`: of the command, for conditions on locations. */
  passes(test: Test, values: readonly string[], user: string | undefined): boolean;
  /** Whether a `deny` may mean one of them, whatever its case. `isMask`: `*`, `%` and `?` in them stand for other text. */
  strikes(test: Test, values: readonly string[], isMask: boolean): boolean;
  /** Whether a `deny` may mean the INBOX under a name that ends in INBOX. */
  meansInbox?(test: Test): boolean;
}

export function listOr(texts: readonly string[]): string {
  const last = texts.at(-1) ?? '';
  return texts.length < 2 ? last : `${texts.slice(0, -1).join(', ')} or ${last}`;
}
