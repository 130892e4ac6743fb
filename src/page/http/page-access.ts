// Whether a request may come to the page at all, by its headers that say where it comes from; and which endpoint it is for. Pure. A page of
// another origin gets nothing and changes nothing, even if its host name was made to resolve to this host (DNS rebinding). Each header that
// matters must be there once. A token is read from `Authorization` only, which a browser sends for no other page.

import { createRoutes } from '../../host/http/routes.js';
import { type ForeignSource, foreignSource, type SourcePlace } from '../../host/http/source.js';
import { type Endpoint, endpoints } from '../answers/endpoints.js';

/** Headers as Node's `headersDistinct` has them: each with all its values. */
export type PageHeaders = Readonly<Record<string, readonly string[] | undefined>>;

export type SourceRefusal =
  | 'malformed' // a header twice, or a target that is no path
  | ForeignSource
  | 'cross-site'; // by the browser's Sec-Fetch headers

const single = ['host', 'origin', 'authorization', 'sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest'];

/** Undefined: it is accepted. `isApi`: it asks for data or changes something; else it asks for a file, to which other pages may link. */
export function refuseSource(
  place: SourcePlace,
  headers: PageHeaders,
  isApi: boolean,
): SourceRefusal | undefined {
  if (single.some((name) => (headers[name]?.length ?? 0) > 1)) return 'malformed';
  const host = headers['host']?.[0];
  if (host === undefined) return 'wrong-host';
  const foreign = foreignSource(place, host, headers['origin']?.[0]);
  if (foreign !== undefined) return foreign;
  const site = headers['sec-fetch-site']?.[0];
  // `none`: somebody typed the address.
  if (site === undefined || site === 'same-origin' || site === 'none') return undefined;
  const isVisit =
    !isApi && headers['sec-fetch-mode']?.[0] === 'navigate' && headers['sec-fetch-dest']?.[0] === 'document';
  return isVisit ? undefined : 'cross-site';
}

/** The token; undefined: none, or malformed. */
export function bearerOf(headers: PageHeaders): string | undefined {
  return /^Bearer +([A-Za-z0-9_-]{1,128}) *$/i.exec(headers['authorization']?.[0] ?? '')?.[1];
}

function isEndpoint(text: string): text is Endpoint {
  return Object.hasOwn(endpoints, text);
}

export const endpointAt = createRoutes(
  Object.keys(endpoints)
    .filter(isEndpoint)
    .map((endpoint) => [endpoints[endpoint].route, endpoint]),
);
