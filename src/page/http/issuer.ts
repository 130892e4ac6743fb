// The issuer of OpenID Connect: its metadata, the address where people sign in, and whom it says that they are. Only this file uses the
// library, an optional package that is loaded when an issuer is asked. A person counts only by an ID token that is signed with the issuer's
// keys, for this client, unexpired, with the nonce of the browser. An address and groups that it lacks are asked for at the userinfo
// endpoint, for the same `sub`. No message of a fault holds a code or a token.

import type * as Library from 'openid-client';
import { bounds } from '../../host/bounds/bounds.js';
import { installCommand } from '../../host/machine/optional-packages.js';
import { messageOf } from '../../host/ports/faults.js';
import { createIssuerFetch, IssuerAwayFault, isSafeAddress } from './issuer-fetch.js';

export interface IssuerOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** PEM; undefined: the system's list. */
  readonly ca: string | undefined;
  /** Whether to ask for the groups of people, where the issuer has a scope for them. */
  readonly needsGroups: boolean;
}

/**
 * `away`: it does not answer, or not as an issuer does, or not to this client; `ended`: it does not renew the sign-in; `refused`: the
 * answer that the browser brought is not valid, or the token is not; `new-key`: the token is signed with a key that was not read yet. The
 * message is a sentence for people.
 */
export class IssuerFault extends Error {
  readonly kind: 'away' | 'ended' | 'refused' | 'new-key';
  constructor(kind: IssuerFault['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

/** Made by the browser, and kept there until it returns. */
export interface Challenge {
  readonly state: string;
  readonly nonce: string;
  /** SHA-256 of the verifier. */
  readonly challenge: string;
}

/** What the browser returned, and what it had kept. */
export interface Returned {
  /** The parameters, as in a query. */
  readonly response: string;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

export interface Identity {
  readonly sub: string;
  /** Only if the issuer has verified it. */
  readonly email: string | undefined;
  readonly groups: readonly string[];
  /** For the next renewal; undefined: there is none. */
  readonly refreshToken: string | undefined;
}

export interface Issuer {
  /** Where a browser signs out there (RP-Initiated Logout 1.0); undefined: it has no such place. */
  readonly signOut: string | undefined;
  /** The address for the browser. `redirect`: where the issuer sends it back to. `asksWho`: even a browser that it knows is asked. */
  address(challenge: Challenge, redirect: string, asksWho?: boolean): string;
  /** Rejects with an IssuerFault. */
  redeem(returned: Returned, redirect: string): Promise<Identity>;
  /** Rejects with an IssuerFault. */
  renew(refreshToken: string): Promise<Identity>;
}

/** The parameters of an answer that are used; the issuer may send others. */
const answerKeys = ['code', 'state', 'iss', 'error', 'error_description'];

/** Asks for the metadata. Rejects with an IssuerFault. */
export async function openIssuer(options: IssuerOptions): Promise<Issuer> {
  const library = await loadLibrary();
  const address = new URL(options.issuer);
  // No sign-in is running: a fault of the metadata is never the person's.
  const config = await asked(() => discover(library, address, options), noSentences);
  const metadata = config.serverMetadata();
  // The library is lenient with some well-known issuers.
  if (!URL.canParse(metadata.issuer) || new URL(metadata.issuer).href !== address.href)
    throw new IssuerFault(
      'away',
      `${address.host} says that it is another issuer than admin.page.oidc.issuer`,
    );
  const { authorization_endpoint: place = '', token_endpoint: token = '', jwks_uri: keys = '' } = metadata;
  for (const each of [place, token, keys])
    if (!URL.canParse(each) || !isSafeAddress(new URL(each)))
      throw new IssuerFault('away', `${address.host} has an endpoint without https, or lacks one`);
  // Verify signatures of ID tokens, not only the TLS connection that they came by.
  library.enableNonRepudiationChecks(config);
  const isOffered = (list: readonly unknown[] | undefined, what: string): boolean =>
    list?.includes(what) === true;
  const scopes = options.needsGroups && isOffered(metadata.scopes_supported, 'groups') ? ' groups' : '';
  // A fragment keeps the code out of the logs of proxies, and out of headers.
  const mode = isOffered(metadata.response_modes_supported, 'fragment') ? { response_mode: 'fragment' } : {};

  const { end_session_endpoint: end = '', prompt_values_supported: prompts } = metadata;
  // Every issuer must support `login` (OpenID Connect Core 1.0, 15.1), so it stands where the metadata does not list the better value.
  const isSelecting = Array.isArray(prompts) && isOffered(prompts, 'select_account');
  const asking = { prompt: isSelecting ? 'select_account' : 'login' };

  return {
    signOut:
      URL.canParse(end) && isSafeAddress(new URL(end)) ? library.buildEndSessionUrl(config).href : undefined,
    address: ({ state, nonce, challenge }, redirect, asksWho = false) =>
      library.buildAuthorizationUrl(config, {
        redirect_uri: redirect,
        scope: `openid email${scopes}`,
        state,
        nonce,
        code_challenge: challenge,
        code_challenge_method: 'S256',
        ...mode,
        ...(asksWho && asking),
      }).href,
    redeem: ({ response, state, nonce, verifier }, redirect) =>
      asked(async () => {
        const url = new URL(redirect);
        for (const [key, value] of new URLSearchParams(response))
          if (answerKeys.includes(key)) url.searchParams.append(key, value);
        const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier };
        return identityIn(
          await library.authorizationCodeGrant(config, url, { ...checks, idTokenExpected: true }),
          options,
          userInfo,
        );
      }),
    renew: (refreshToken) =>
      asked(async () => identityIn(await library.refreshTokenGrant(config, refreshToken), options, userInfo)),
  };

  /** The claims of the userinfo endpoint about the same `sub`; empty: the issuer has no such endpoint. */
  async function userInfo(accessToken: string, sub: string): Promise<Readonly<Record<string, unknown>>> {
    const { userinfo_endpoint: endpoint = '' } = metadata;
    if (!URL.canParse(endpoint) || !isSafeAddress(new URL(endpoint))) return {};
    return library.fetchUserInfo(config, accessToken, sub);
  }

  async function asked<Value>(ask: () => Promise<Value>, known = sentences): Promise<Value> {
    try {
      return await ask();
    } catch (fault) {
      throw faultOf(library, address.host, fault, known);
    }
  }
}

async function loadLibrary(): Promise<typeof Library> {
  try {
    return await import('openid-client');
  } catch (cause) {
    throw new IssuerFault(
      'away',
      `the library is not installed; run \`${installCommand('openid-client')}\``,
      cause,
    );
  }
}

function discover(
  library: typeof Library,
  address: URL,
  { clientId, clientSecret, ca }: IssuerOptions,
): Promise<Library.Configuration> {
  // `client_secret_basic`, the standard's default, unless the issuer's list lacks it.
  const byBasic = library.ClientSecretBasic(clientSecret);
  const byPost = library.ClientSecretPost(clientSecret);
  const authenticate: Library.ClientAuth = (server, ...rest) => {
    const { token_endpoint_auth_methods_supported: methods = ['client_secret_basic'] } = server;
    return (methods.includes('client_secret_basic') ? byBasic : byPost)(server, ...rest);
  };
  const client = { [library.clockTolerance]: clockToleranceS };
  return library.discovery(address, clientId, client, authenticate, {
    [library.customFetch]: createIssuerFetch(ca),
    timeout: bounds.oidcRequestMs / 1000,
    ...(address.protocol === 'http:' && { execute: [library.allowInsecureRequests] }),
  });
}

const clockToleranceS = 30;

async function identityIn(
  tokens: Library.TokenEndpointResponse & Library.TokenEndpointResponseHelpers,
  { clientId, needsGroups }: IssuerOptions,
  userInfo: (accessToken: string, sub: string) => Promise<Readonly<Record<string, unknown>>>,
): Promise<Identity> {
  const claims = tokens.claims();
  if (claims === undefined) throw new IssuerFault('ended', 'the issuer sent no ID token');
  const { sub, azp } = claims;
  // The library compares `azp` only where there are several audiences (OpenID Connect Core 1.0, 3.1.3.7).
  if (azp !== undefined && azp !== clientId)
    throw new IssuerFault('refused', 'the ID token of the issuer was made for another client (`azp`)');
  // The standard limits `sub`, and a session keeps it.
  if (sub.length > bounds.oidcSubChars)
    throw new IssuerFault(
      'refused',
      `the ID token of the issuer has a \`sub\` of more than ${bounds.oidcSubChars} characters`,
    );
  const { refresh_token: refreshToken, access_token: accessToken } = tokens;
  // `email` and `email_verified` must come from the same source.
  const hasAddress = claims['email'] !== undefined && claims['email_verified'] !== undefined;
  const hasGroups = !needsGroups || claims['groups'] !== undefined;
  const more = hasAddress && hasGroups ? {} : await userInfo(accessToken, sub);
  const { email, email_verified: isVerified } = hasAddress ? claims : more;
  const groups = claims['groups'] ?? more['groups'];
  return {
    sub,
    email: typeof email === 'string' && isVerified === true ? email : undefined,
    groups: Array.isArray(groups) ? groups.filter((each) => typeof each === 'string') : [],
    refreshToken:
      refreshToken !== undefined && refreshToken.length <= bounds.oidcTokenChars ? refreshToken : undefined,
  };
}

const newKey = 'OAUTH_KEY_SELECTION_FAILED';

/** Sentences for codes of the library that say that a sign-in does not count. */
const sentences: ReadonlyMap<string, string> = new Map([
  ['OAUTH_JWT_CLAIM_COMPARISON_FAILED', 'its ID token is for another client, nonce or issuer'],
  ['OAUTH_JWT_TIMESTAMP_CHECK_FAILED', 'its ID token has expired, or is not valid yet; compare the clocks'],
  ['OAUTH_INVALID_RESPONSE', 'its answer does not belong to this sign-in, or is malformed'],
  ['OAUTH_UNSUPPORTED_OPERATION', 'its token has a type or a signature that is not supported'],
  [
    'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
    'what it says of the person is of another one than its ID token',
  ],
  [newKey, 'its ID token is signed by a key that it did not publish when it was asked; sign in again'],
]);

const noSentences: typeof sentences = new Map();

function faultOf(
  library: typeof Library,
  host: string,
  fault: unknown,
  known: typeof sentences,
): IssuerFault {
  if (fault instanceof IssuerFault) return fault;
  // A failed connection, which the library wraps.
  for (let each: unknown = fault, deep = 0; each instanceof Error && deep < 4; each = each.cause, deep += 1)
    if (each instanceof IssuerAwayFault)
      return new IssuerFault('away', `the issuer cannot be asked: ${each.message}`, fault);
  if (fault instanceof library.AuthorizationResponseError)
    return new IssuerFault('refused', `${host} refused the sign-in: ${saidIn(fault)}`, fault);
  if (fault instanceof library.ResponseBodyError) {
    // Other refusals, such as of a wrong client secret, are not the person's fault.
    const kind = fault.error === 'invalid_grant' ? 'ended' : 'away';
    return new IssuerFault(kind, `${host} refused the sign-in: ${saidIn(fault)}`, fault);
  }
  const code = fault instanceof library.ClientError ? fault.code : undefined;
  const sentence = known.get(code ?? '');
  // The library's own words; it keeps values out of them.
  const detail =
    code !== undefined && fault instanceof Error && fault.cause instanceof Error
      ? ` (${shown(fault.cause.message)})`
      : '';
  if (sentence !== undefined)
    return new IssuerFault(code === newKey ? 'new-key' : 'refused', `${host}: ${sentence}${detail}`, fault);
  return new IssuerFault(
    'away',
    `${host} does not answer as an issuer does: ${shown(messageOf(fault))}${detail}`,
    fault,
  );
}

/** The issuer's own words for people: cut short, in visible characters. */
function saidIn(fault: { readonly error: string; readonly error_description?: string | undefined }): string {
  const more = fault.error_description === undefined ? '' : `, ${shown(fault.error_description)}`;
  return `${shown(fault.error)}${more}`;
}

function shown(text: string): string {
  return text.replace(/[\p{C}\p{Z}]+/gu, ' ').slice(0, 200);
}
