// Problems of a configuration: as values, as two lines of text, and their codes. A message names the fault and what to do, and never holds
// a secret (secrets are in files of their own).

import { commandNames, whyLocal } from '../../doveadm/commands/catalog.js';
import { nearestName } from '../../doveadm/names/nearest-name.js';
import { printable, withoutKeys } from '../../host/words/text.js';

/** An error keeps the configuration from being used; a warning does not. */
export type Severity = 'error' | 'warning';

/** One problem and its place. Lines and columns count from 1; columns in UTF-16 units. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The keys that lead there, as `listeners.support.mode`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  readonly severity: Severity;
  readonly code: ProblemCode;
}

export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Placed {
  readonly place: Place;
}

/** A problem that is found outside of the parser; its path says where it is. */
export type Finding = Omit<Problem, keyof Place>;

export function finding(severity: Severity, path: string, message: string, code: ProblemCode): Finding {
  return { path, message, severity, code };
}

/** Where the parts of a configuration stand, by their paths; '': the file. */
export type Places = ReadonlyMap<string, Place>;

/** The place of the part at a path, or of the nearest one above. */
export function placeIn(places: Places, path: string): Place {
  const place = places.get(path);
  if (place !== undefined || path === '') return place ?? { file: '', line: 1, column: 1 };
  return placeIn(places, path.replace(/\[\d+\]$|\.?[^.]*$/, ''));
}

/** Collects problems. Reading continues after each, so that all are reported at once. */
export class ProblemList {
  readonly #problems: Problem[] = [];

  error(place: Place, path: string, message: string, code: ProblemCode = 'invalid-value'): void {
    const { file, line, column } = place;
    this.#problems.push({ file, line, column, path, message, severity: 'error', code });
  }

  warning(place: Place, path: string, message: string, code: ProblemCode = 'doubtful'): void {
    const { file, line, column } = place;
    this.#problems.push({ file, line, column, path, message, severity: 'warning', code });
  }

  get hasErrors(): boolean {
    return this.#problems.some(({ severity }) => severity === 'error');
  }

  /** By file in the order of their reading, then by line and column; each text once. */
  sorted(): Problem[] {
    const files = [...new Set(this.#problems.map(({ file }) => file))];
    const byText = new Map<string, Problem>();
    for (const problem of this.#problems) {
      const text = `${problem.file}:${problem.line}:${problem.column}:${problem.message}`;
      if (!byText.has(text)) byText.set(text, problem);
    }
    return [...byText.values()].toSorted(
      (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
    );
  }
}

/**
 * `FILE:LINE:COLUMN: message`, and, with the file's text, the source line with a caret below the column. Long lines are cut around the
 * caret. Terminal controls are made visible; in the source line they are dots.
 */
export function formatProblem(problem: Problem, text?: string): string {
  const where = `${printable(problem.file)}:${problem.line}:${problem.column}`;
  const kind = problem.severity === 'warning' ? 'warning: ' : '';
  const path = problem.path === '' ? '' : `${printable(problem.path)}: `;
  const head = `${where}: ${kind}${path}${printable(problem.message)}`;
  const written = text?.split(/\r?\n/)[problem.line - 1];
  if (written === undefined || written.trim() === '') return head;
  // Secrets are removed before the line is cut: a part of a secret would not be recognized.
  const line = withoutSecrets(written);
  const at = Math.min(withoutSecrets(written.slice(0, problem.column - 1)).length, line.length);
  const from = line.length > lineShownMax ? Math.max(0, at - lineShownMax / 2) : 0;
  const shown = line
    .slice(from, from + lineShownMax)
    .replace(/[\p{C}\u2028\u2029]/gu, (character) => (character === '\t' ? ' ' : '.'));
  return `${head}\n    ${shown}\n    ${' '.repeat(at - from)}^`;
}

const lineShownMax = 100;

/** Without keys and hashes, and without the user and the password of a URL. */
function withoutSecrets(text: string): string {
  return withoutKeys(text)
    .replace(/:\/\/\S*@/g, '://...@')
    .replace(/\b(scrypt|sha256)\$[^\s"',}\]]+/g, '$1$...');
}

/** `; did you mean NAME?`, for the end of a sentence about an unknown name; `otherwise` if no name is near enough. */
export function meantBy(name: string, names: Iterable<string>, otherwise = ''): string {
  const nearest = nearestName(name, names);
  return nearest === undefined ? otherwise : `; did you mean ${nearest}?`;
}

/** The command with a name similar to the first words. */
export function commandMeant(words: readonly string[]): string | undefined {
  if (whyLocal(words) !== undefined) return undefined;
  const written = [3, 2, 1].map((count) => words.slice(0, count).join(' '));
  return written.map((text) => nearestName(text, commandNames())).find((name) => name !== undefined);
}

/** The sentence for an undefined name, with the most similar one, or all existing ones. */
export function unknownName(what: string, name: string, names: readonly string[]): string {
  const others = names.length === 0 ? '' : `; there are: ${names.join(', ')}`;
  return `there is no ${what} ${JSON.stringify(name)}${meantBy(name, names, others)}`;
}

/** The meaning of each code, and the advice; the first eleven are errors, the others usually warnings. */
export const problemCodes = {
  'not-yaml': [
    'the text is not YAML, or uses a part of it that is not accepted (anchors, tags, keys that are not text)',
    'write plain maps, lists and values; put patterns with `*` in quotes',
  ],
  'unreadable-file': [
    'a file that the configuration names cannot be read (a warning where only the service can tell)',
    'correct the path, or the permissions of the file',
  ],
  'unsafe-file': [
    'a user other than root and the daemon can change a file, or read a secret one (a warning if only a group can)',
    'change the mode or owner as the message says, also of directories above',
  ],
  'not-installed': [
    'a part of dovegate that is optional is needed here and not installed',
    'install it as the message says, or remove what needs it',
  ],
  'bad-certificate': [
    'a certificate, its key or its authorities cannot be used, or expire soon (a warning)',
    'replace it',
  ],
  'unknown-key': ['a key does not exist in this place', 'correct its spelling, or remove it'],
  'missing-key': ['a required key is missing', 'add it'],
  'unknown-name': ['a name (policy, backend, preset, command, parameter) is not defined', 'correct it'],
  'defined-twice': ['the same thing is defined in two places, or used by two', 'remove one of them'],
  'key-conflict': [
    'keys that exclude or require one another',
    'remove one, or add the other, as the message says',
  ],
  'invalid-value': ['the value is not accepted for this key', 'write a value as the message says'],
  'no-effect': ['a setting has no effect', 'remove it, or add what it needs'],
  'never-reached': ['an entry above it takes everything already', 'move it up, or remove it'],
  'too-open': ['more people than usual can connect, or see more', 'restrict it, unless that is intended'],
  'key-expiry': [
    'a key never expires, expires too late, expires soon or has expired',
    'set `expires`, or replace the key (`dovegate key new`)',
  ],
  'except-bypassed': ['an alias of a user under `except` avoids the exception', 'set `mail_users.resolve`'],
  'namespaces-unsaid': [
    'a backend does not list its namespaces, which some rules need',
    'set `shared_namespaces` (`[]` for none) or `namespaces`',
  ],
  'unknown-account': [
    'this machine has no such user or group, or the daemon may not give a socket to it',
    'create it, or correct the name',
  ],
  unused: ['something is defined and never used', 'use it, or remove it'],
  doubtful: ['accepted, but probably not what was meant', 'read the message'],
} as const;

export type ProblemCode = keyof typeof problemCodes;
export const knownCodes = Object.keys(problemCodes).filter(isCode);

function isCode(text: string): text is ProblemCode {
  return Object.hasOwn(problemCodes, text);
}

export const warningCodes: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'no-effect',
  'never-reached',
  'too-open',
  'except-bypassed',
  'namespaces-unsaid',
  'unused',
  'doubtful',
]);
