// What operators did to the gate, in words: drains and reloads. Also for the browser.

/** Who took a backend out of service. Without `by`: the configuration. */
export interface Drain {
  readonly by?: string | undefined;
  /** RFC 3339. */
  readonly since?: string | undefined;
  readonly reason?: string | undefined;
}

/** Begins the sentence of a refused reload; the first problem follows. */
export const notReplaced = 'the configuration is not replaced';

/**
 * The key of the problem that the served policies may permit more than those that were seen last, with the hashes of both lists. The page
 * makes that problem, and nobody else.
 */
export function widerKey(seen: string, served = ''): string {
  return `wider ${seen} ${served}`.trimEnd();
}

/** How the served configuration was loaded: by the start, or by whose reload. */
export interface Loaded {
  /** RFC 3339. */
  readonly since: string;
  readonly by?: string | undefined;
  /** The changed files, with their owners and times; absent: not shown. */
  readonly files?: readonly string[] | undefined;
  /** The last change before it; only for a start, and for a reload for which no file had changed. */
  readonly before?: Omit<Loaded, 'before'> | undefined;
}

/**
 * `loaded {TIME} by a reload by anna; changed: dovegate.yaml: of uid 0, changed TIME`. A start changes no file, so the last change follows:
 * `loaded {TIME} by the start; no file had changed; the change before: loaded {TIME} by a reload by anna; ...`
 */
export function loadedWords({ since, by, files, before }: Loaded): string {
  const who = by === undefined ? 'the start' : `a reload ${drainWords({ by })}`;
  const own = `loaded {${since}} by ${who}${files === undefined ? '' : `; ${filesWords(files)}`}`;
  return before === undefined ? own : `${own}; the change before: ${loadedWords(before)}`;
}

export function filesWords(files: readonly string[]): string {
  return files.length === 0 ? 'no file had changed' : `changed: ${files.join('; ')}`;
}

/** `by anna since {TIME} (kernel update)` */
export function drainWords({ by, since, reason = '' }: Drain): string {
  const from = since === undefined ? '' : ` since {${since}}`;
  return `by ${by ?? 'the configuration'}${from}${reason === '' ? '' : ` (${reason})`}`;
}
