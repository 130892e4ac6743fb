// What a key means on every screen: `g` and a letter goes to a screen, `/` searches, `j` and `k` walk rows, `?` helps.

export type KeyMeaning =
  | { readonly do: 'nothing' }
  | { readonly do: 'wait' }
  | { readonly do: 'go'; readonly key: string }
  | { readonly do: 'search' | 'help' | 'next' | 'previous' };

/** Longest time between `g` and its letter. */
export const secondKeyMs = 1500;

export interface KeyReader {
  /** `atMs`: of any clock that does not step back. */
  press(key: string, atMs: number): KeyMeaning;
}

export function createKeyReader(): KeyReader {
  let waitingSinceMs: number | undefined;
  return {
    press(key, atMs) {
      const isSecond = waitingSinceMs !== undefined && atMs - waitingSinceMs <= secondKeyMs;
      waitingSinceMs = undefined;
      if (isSecond && /^[a-z]$/.test(key)) return { do: 'go', key };
      if (key === 'g') {
        waitingSinceMs = atMs;
        return { do: 'wait' };
      }
      if (key === '/') return { do: 'search' };
      if (key === '?') return { do: 'help' };
      if (key === 'j') return { do: 'next' };
      if (key === 'k') return { do: 'previous' };
      return { do: 'nothing' };
    },
  };
}
