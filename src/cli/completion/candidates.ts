// What may come next on a command line, whoever knows it. The rule: only what goes on from what is typed is a candidate.

/** One word, and what it is for. */
export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** What may stand where the cursor is; files and directories are the shell's to know. */
export type Candidates =
  | { readonly kind: 'words'; readonly words: readonly Candidate[] }
  | { readonly kind: 'files' }
  | { readonly kind: 'directories' };

/** Nothing may come, or anything. */
export const nothing: Candidates = { kind: 'words', words: [] };

/** The words that begin as the last one does. */
export function wordsFrom(begun: string, words: readonly Candidate[]): Candidates {
  return { kind: 'words', words: words.filter(({ word }) => word.startsWith(begun)) };
}
