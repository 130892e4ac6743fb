// The place of a store as a configuration writes it: the URL of a bucket or a folder, and a prefix. For a gate's receiver and for the
// verifier.

import type { StorePlace } from '../../host/store/open-store.js';
import { count, parsed, text, urlOf } from './schema-parts.js';

export const storeExample = 'https://s3.example.com/audit-trail or file:///srv/trail';

/** The URL of a bucket without a trailing slash, or of a folder; or the error. */
function storeOf(written: string): URL | string {
  if (/^file:\/\/\/[^?#]*[^?#/]/.test(written) && URL.canParse(written)) return new URL(written);
  const url = urlOf(written, storeExample, 'use credentials');
  if (typeof url === 'string') return url;
  if (!/^\/[A-Za-z0-9][A-Za-z0-9.-]*\/?$/.test(url.pathname))
    return `must name one bucket, as ${storeExample}`;
  return url;
}

export const storeUrl = parsed(`a URL, as ${storeExample}`, storeOf);

export const storePrefix = text('a folder of the store')
  .refine((path) => path.split('/').every((part) => /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}$/.test(part)), {
    error: 'must be words of letters, digits, dots, dashes and underscores with slashes between, as dovegate',
  })
  .prefault('dovegate');

/** Objects a day that a gate may send, and that its verifier expects. */
export const dailyObjects = count(24, 8640).prefault(288);

export function isFolderUrl(url: URL): boolean {
  return url.protocol === 'file:';
}

/** `name`: for logs, metrics, and the file of a position. */
export function storePlaceOf(
  url: URL,
  prefix: string,
): { readonly name: string; readonly place: StorePlace } {
  if (isFolderUrl(url)) {
    const path = decodeURIComponent(url.pathname).replace(/\/+$/, '');
    return { name: `${path}/${prefix}`, place: { kind: 'folder', path } };
  }
  const bucket = url.pathname.replace(/\/$/, '');
  return {
    name: `${placeOf(url)}${bucket}/${prefix}`,
    place: { kind: 'bucket', url: `${url.origin}${bucket}` },
  };
}

/** `HOST:PORT`. */
export function placeOf({ hostname, port, protocol }: URL): string {
  return `${hostname}:${Number(port) || (protocol === 'https:' ? 443 : 80)}`;
}
