// Which request may come to the page at all, by what a browser says of where it comes from; and which endpoint it is for. Pure.
// The rules: a page of another origin gets nothing and changes nothing, whatever name it made point here; each header that matters is
// there once; a token comes in `Authorization` only, which a browser sends for no other page.

import { type Endpoint, endpoints } from '../../domain/page/api.js';

/** Headers as Node has them, each as often as it came. */
export type PageHeaders = Readonly<Record<string, readonly string[] | undefined>>;

/** Where the page is. */
export interface PagePlace {
  readonly hasTls: boolean;
  /** Whether a name, in lower case and without a port, is one of ours: that of the socket, or of the certificate. */
  readonly isOwnName: (name: string) => boolean;
}

/** Why not. */
export type SourceRefusal =
  | 'malformed' // a header twice, or a target that is no path
  | 'wrong-host' // a name that is not ours: a page whose name was made to point here
  | 'wrong-origin' // a page of another origin
  | 'cross-site'; // the same, by the word of the browser

const single = ['host', 'origin', 'authorization', 'sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest'];

/**
 * Undefined: it may come. `isApi`: it asks for data, or changes something; else it is for a file of the page, which a link of another page may
 * lead to, and nothing else of that page may load.
 */
export function refuseSource(
  place: PagePlace,
  headers: PageHeaders,
  isApi: boolean,
): SourceRefusal | undefined {
  if (single.some((name) => (headers[name]?.length ?? 0) > 1)) return 'malformed';
  const host = headers['host']?.[0];
  if (host === undefined || !isOwnHost(place, host)) return 'wrong-host';
  const origin = headers['origin']?.[0];
  if (origin !== undefined && origin !== `${place.hasTls ? 'https' : 'http'}://${host.toLowerCase()}`)
    return 'wrong-origin';
  const site = headers['sec-fetch-site']?.[0];
  // `none`: somebody typed the address.
  if (site === undefined || site === 'same-origin' || site === 'none') return undefined;
  const isVisit =
    !isApi && headers['sec-fetch-mode']?.[0] === 'navigate' && headers['sec-fetch-dest']?.[0] === 'document';
  return isVisit ? undefined : 'cross-site';
}

/** An address cannot be made to point elsewhere; so every address passes, `localhost`, and the names that are ours. */
function isOwnHost(place: PagePlace, header: string): boolean {
  const name = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?$/i.exec(header)?.[1]?.toLowerCase();
  if (name === undefined) return false;
  const isAddress = name.startsWith('[') || /^[0-9]{1,3}(\.[0-9]{1,3}){3}$/.test(name);
  return isAddress || name === 'localhost' || place.isOwnName(name);
}

/** The token; undefined: none, or not as it is sent. */
export function bearerOf(headers: PageHeaders): string | undefined {
  return /^Bearer +([A-Za-z0-9_-]{1,128}) *$/i.exec(headers['authorization']?.[0] ?? '')?.[1];
}

/** An endpoint and the parts of its path for `:word`; `method`: the path is there, for this method only. */
export type EndpointFound =
  | { readonly kind: 'found'; readonly endpoint: Endpoint; readonly params: readonly string[] }
  | { readonly kind: 'method'; readonly method: string }
  | undefined;

const paramCharsMax = 512;

interface Pattern {
  readonly endpoint: Endpoint;
  readonly method: string;
  readonly parts: readonly string[];
}

function isEndpoint(text: string): text is Endpoint {
  return Object.hasOwn(endpoints, text);
}

const patterns: readonly Pattern[] = Object.entries(endpoints).flatMap(([endpoint, line]): Pattern[] => {
  const [method = '', path = ''] = line.split(' ');
  return isEndpoint(endpoint) ? [{ endpoint, method, parts: path.split('/') }] : [];
});

/** Finds the endpoint of a path without its query. */
export function endpointAt(method: string, path: string): EndpointFound {
  const written = path.split('/');
  let other: string | undefined;
  for (const { endpoint, method: wanted, parts } of patterns) {
    const params = paramsOf(parts, written);
    if (params === undefined) continue;
    if (wanted === method) return { kind: 'found', endpoint, params };
    other = wanted;
  }
  return other === undefined ? undefined : { kind: 'method', method: other };
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
