// Sign-in at an issuer of OpenID Connect: the way there, and back. Its secrets stay in this tab until the end, so an address of the way
// back is worth nothing elsewhere.

import type { OidcBegun, OidcFinish } from '../answers/api.js';
import type { Api } from './api.js';

const keptName = 'dovegate-oidc';

const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes)).replace(/[+/=]/g, (each) => ({ '+': '-', '/': '_' })[each] ?? '');

/** Leaves this page. `asksWho`: the issuer must ask who it is, since somebody signed out here. Rejects with an AskFault. */
export async function goToIssuer(api: Api, asksWho: boolean): Promise<void> {
  const [state = '', nonce = '', verifier = ''] = [1, 2, 3].map(() =>
    base64url(crypto.getRandomValues(new Uint8Array(32))),
  );
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  const body = { state, nonce, challenge: base64url(new Uint8Array(digest)), asksWho };
  const { address, issuer } = await api.json<OidcBegun>('POST /api/oidc/begin', { body });
  const kept = { state, nonce, verifier, issuer, back: window.location.href };
  window.sessionStorage.setItem(keptName, JSON.stringify(kept));
  window.location.assign(address);
}

/** Takes the issuer's answer out of the address bar and the history before any request. Undefined: there is none. */
export function takeReturned(): Partial<OidcFinish> | undefined {
  const { pathname, hash, search } = window.location;
  if (pathname !== '/sign-in') return undefined;
  const { back = '/', ...kept }: Partial<OidcFinish> & { readonly back?: string } = JSON.parse(
    window.sessionStorage.getItem(keptName) ?? '{}',
  );
  window.sessionStorage.removeItem(keptName);
  window.history.replaceState(null, '', back);
  return { ...kept, response: (hash || search).slice(1) };
}
