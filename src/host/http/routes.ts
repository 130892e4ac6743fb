// Which endpoint the method and path of a request mean. Pure.

/** `found`: the endpoint of a path, and its parts for `:word`; `method`: the path exists, but only for this method. */
export type RouteFound<T> =
  | { readonly kind: 'found'; readonly endpoint: T; readonly params: readonly string[] }
  | { readonly kind: 'method'; readonly endpoint: T; readonly method: string }
  | undefined;

const paramCharsMax = 512;

export function pathOf({ url }: { readonly url?: string | undefined }): string {
  return (url ?? '').split('?', 1).join('');
}

/** `route`: such as `GET /path/:word`. */
export function createRoutes<T>(
  table: Iterable<readonly [route: string, endpoint: T]>,
): (method: string, path: string) => RouteFound<T> {
  const routes = Array.from(table, ([route, endpoint]) => {
    const [method = '', path = ''] = route.split(' ');
    return { endpoint, method, parts: path.split('/') };
  });
  return (asked, path) => {
    const written = path.split('/');
    let other: RouteFound<T>;
    for (const { endpoint, method, parts } of routes) {
      const params = paramsOf(parts, written);
      if (params === undefined) continue;
      if (method === asked) return { kind: 'found', endpoint, params };
      other = { kind: 'method', endpoint, method };
    }
    return other;
  };
}

function paramsOf(parts: readonly string[], written: readonly string[]): string[] | undefined {
  if (parts.length !== written.length) return undefined;
  const params: string[] = [];
  for (const [index, part] of parts.entries()) {
    const here = written[index] ?? '';
    if (!part.startsWith(':')) {
      if (part !== here) return undefined;
      continue;
    }
    const param = decoded(here);
    if (param === '' || param.length > paramCharsMax) return undefined;
    params.push(param);
  }
  return params;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}
