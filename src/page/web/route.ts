// The address bar is the state: which screen a path means, and the path of a screen.

export interface ScreenProps {
  readonly params: readonly string[];
  /** The query of the address bar; `go` changes it. */
  readonly query: URLSearchParams;
}

/** The parts for `:word`, decoded; undefined: it is another path. */
export function matchPath(pattern: string, path: string): string[] | undefined {
  const wanted = pattern.split('/');
  const found = (path.length > 1 ? path.replace(/\/$/, '') : path).split('/');
  if (wanted.length !== found.length) return undefined;
  const params: string[] = [];
  for (const [at, part] of wanted.entries()) {
    const given = found[at] ?? '';
    if (!part.startsWith(':')) {
      if (part !== given) return undefined;
      continue;
    }
    const decoded = decode(given);
    if (decoded === undefined || decoded === '') return undefined;
    params.push(decoded);
  }
  return params;
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** Encodes a part of an address. Unpaired surrogates, which records can have, are not possible there. */
export function encoded(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'));
}

/** The path for a pattern such as `/trail/:id`; the parts are encoded, so that none can lead to another path. */
export function pathOf(pattern: string, ...params: readonly string[]): string {
  let at = 0;
  return pattern.replace(/:[a-z]+/g, () => {
    const part = encoded(params[at] ?? '');
    at += 1;
    // Browsers take these two for steps in the tree, in any spelling.
    return part === '.' || part === '..' ? `%00${part}` : part;
  });
}
