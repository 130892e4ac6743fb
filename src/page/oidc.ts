// Sign-in at an issuer of OpenID Connect: which of the page's people the issuer says that somebody is, and for how long. The secrets of a
// sign-in stay in the browser, so a stolen address of the way back opens no session. Tokens are in memory only. A sign-in holds for an
// hour, and longer only if the issuer renews it.

import * as z from 'zod';
import type { Log } from '../gate/telemetry/log.js';
import { bounds } from '../host/bounds/bounds.js';
import { TokenBuckets } from '../host/concurrency/limits.js';
import { pause } from '../host/concurrency/waiting.js';
import { readSmallFile } from '../host/machine/small-file.js';
import { messageOf } from '../host/ports/faults.js';
import type { Clock } from '../host/ports/machine.js';
import { networkOf } from '../host/ports/peer.js';
import { text as textOf } from '../host/values/shape.js';
import { foldAscii } from '../host/words/text.js';
import type { PagePerson, PageSettings } from '../rules/config/settings.js';
import type { OidcBegun, OidcWay } from './answers/api.js';
import { type Identity, type Issuer, IssuerFault, type IssuerOptions, openIssuer } from './http/issuer.js';
import type { SignIn } from './http/page-sessions.js';
import type { People } from './people.js';

export interface OidcParts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'report'>;
  readonly people: Pick<People, 'page'>;
}

/** Why the sign-in is refused. `recorded`: text for the record; undefined: no record, since nobody is at fault. */
export interface OidcRefused {
  readonly status: 400 | 401 | 404 | 429 | 503;
  readonly text: string;
  readonly recorded?: string;
}

export interface OidcProved {
  readonly person: PagePerson;
  readonly signIn: Required<Pick<SignIn, 'how' | 'owner' | 'lifeMs'>> & Pick<SignIn, 'oidc'>;
  /** The claims that a session keeps for its renewal; no other ones, since a list of groups may be long. */
  readonly sub: string;
  /** Words for the record of the sign-in. */
  readonly words: readonly string[];
  readonly refreshToken: string | undefined;
  readonly isStill: () => boolean;
}

/** How long an answer of the issuer or a failure is reused: strangers can cause one request in this time. */
const knownMs = 5_000;
/** How long the first screen waits for the issuer. */
const patienceMs = 1_500;
/** So long before its end a sign-in is renewed; repeated while the issuer is away. */
const earlyMs = 300_000;
const againMs = 30_000;

const tryRate = {
  burst: 20,
  refillMs: 3_000,
  sourcesMax: 1000,
} as const;

export function createOidc({ clock, log, people }: OidcParts) {
  let known:
    | { readonly key: string; readonly atMs: number; readonly issuer: Issuer }
    | { readonly key: string; readonly atMs: number; readonly fault: IssuerFault }
    | undefined;
  /** The logged reason why it is away; undefined: it is not, or its return was logged. */
  let away: string | undefined;
  let asking: { readonly key: string; readonly issuer: Promise<Issuer> } | undefined;
  const tries = new TokenBuckets(tryRate);
  let running = 0;

  function keyOf(page: PageSettings | undefined): string | undefined {
    return page?.oidc && JSON.stringify([page.oidc, needsGroups(page)]);
  }

  /** Makes one request at a time, and reuses the answer for a while. Rejects with an IssuerFault. */
  function issuerNow(page: PageSettings): Promise<Issuer> {
    const key = keyOf(page) ?? '';
    if (known?.key === key && clock.now() - known.atMs < knownMs)
      return 'issuer' in known ? Promise.resolve(known.issuer) : Promise.reject(known.fault);
    if (asking?.key !== key) {
      const issuer = ask(page, key).finally(() => {
        if (asking?.issuer === issuer) asking = undefined;
      });
      asking = { key, issuer };
    }
    return asking.issuer;
  }

  async function ask(page: PageSettings, key: string): Promise<Issuer> {
    try {
      const issuer = await openIssuer(await optionsOf(page));
      if (away !== undefined)
        log.report({ event: 'issuer-back', level: 'info', text: 'the issuer can be asked again' });
      away = undefined;
      if (keyOf(people.page) === key) known = { key, atMs: clock.now(), issuer };
      return issuer;
    } catch (cause) {
      const fault = cause instanceof IssuerFault ? cause : new IssuerFault('away', messageOf(cause), cause);
      if (keyOf(people.page) === key) known = { key, atMs: clock.now(), fault };
      if (fault.message !== away) log.report({ event: 'issuer-away', level: 'warn', text: fault.message });
      away = fault.message;
      throw fault;
    }
  }

  /** Forgets the answer, such as after a change of the secret, or of the issuer's keys. */
  function doubt(fault: unknown): void {
    if (fault instanceof IssuerFault && (fault.kind === 'away' || fault.kind === 'new-key'))
      known = undefined;
  }

  function provedBy(page: PageSettings, identity: Identity): OidcProved | undefined {
    const found = personBy(page.people, identity);
    const who = [identity.email, identity.sub].flatMap((each) =>
      each !== undefined && isWord(each) ? [each] : [],
    );
    if (found === undefined || who.length === 0) return undefined;
    const key = keyOf(page);
    const { person, isGroup } = found;
    const { sub, refreshToken } = identity;
    return {
      person,
      signIn: {
        how: isGroup ? 'oidc-group' : 'oidc',
        oidc: who,
        owner: isGroup ? `${person.name} ${sub}` : person.name,
        lifeMs: refreshToken !== undefined ? bounds.pageSessionMs : bounds.oidcRenewMs,
      },
      sub,
      words: [
        `issuer=${page.oidc?.issuer ?? ''}`,
        `sub=${sub}`,
        ...(isGroup ? [`group=${person.oidc?.group ?? ''}`] : []),
      ],
      refreshToken,
      isStill: () => keyOf(people.page) === key,
    };
  }

  async function renewed(page: PageSettings, refreshToken: string): Promise<OidcProved | undefined> {
    const issuer = await issuerNow(page);
    return provedBy(page, await issuer.renew(refreshToken));
  }

  async function redeemed(
    page: PageSettings,
    body: Readonly<Record<string, unknown>>,
    redirect: string,
  ): Promise<OidcProved | OidcRefused> {
    const secrets = z.object({ state: secret, nonce: secret, verifier: secret }).safeParse(body).data;
    const response = textOf(bounds.oidcTokenChars).safeParse(body['response']).data;
    if (secrets === undefined) return refused('this sign-in did not begin in this tab; sign in again');
    if (response === undefined) return refused('the answer of the issuer is too long');
    if (body['issuer'] !== page.oidc?.issuer)
      return refused('this sign-in began at another issuer; sign in again');
    try {
      const issuer = await issuerNow(page);
      const identity = await issuer.redeem({ response, ...secrets }, redirect);
      const proved = provedBy(page, identity);
      if (proved !== undefined && proved.isStill()) return proved;
      const { sub, email = 'none that is verified' } = identity;
      return {
        status: 401,
        text: 'you are signed in at the issuer, but admin.page.people has nobody with your verified address, id or group',
        recorded: `nobody: sub=${sub}, address: ${email}`,
      };
    } catch (fault) {
      doubt(fault);
      if (!(fault instanceof IssuerFault)) throw fault;
      return fault.kind === 'away' ? { status: 503, text: fault.message } : refused(fault.message);
    }
  }

  return {
    /** Undefined: this way to sign in is not configured. Never rejects. */
    async way(): Promise<OidcWay | undefined> {
      const { page } = people;
      const key = keyOf(page);
      if (
        page?.oidc === undefined ||
        key === undefined ||
        !page.people.some((each) => each.oidc !== undefined)
      )
        return undefined;
      const asked = issuerNow(page).catch(() => undefined);
      const isDown = known?.key === key && 'fault' in known;
      // Other ways in must not wait for an issuer that is down.
      if (!isDown) await Promise.race([asked, pause(clock, patienceMs)]);
      const answer = known?.key === key ? known : undefined;
      const signOut = answer && 'issuer' in answer ? answer.issuer.signOut : undefined;
      return {
        at: new URL(page.oidc.issuer).host,
        ...(answer && 'fault' in answer && { text: answer.fault.message }),
        ...(signOut !== undefined && { signOut }),
      };
    },

    /** `origin`: of the page, as the browser has it. */
    async begin(body: Readonly<Record<string, unknown>>, origin: string): Promise<OidcBegun | OidcRefused> {
      const { page } = people;
      const secrets = z.object({ state: secret, nonce: secret, challenge: secret }).safeParse(body).data;
      if (page?.oidc === undefined) return noIssuer;
      if (secrets === undefined)
        return { status: 400, text: 'state, nonce, challenge: must be 43 characters of base64url each' };
      try {
        const issuer = await issuerNow(page);
        return {
          address: issuer.address(secrets, redirectOf(origin), body['asksWho'] === true),
          issuer: page.oidc.issuer,
        };
      } catch (fault) {
        if (!(fault instanceof IssuerFault)) throw fault;
        return { status: 503, text: fault.message };
      }
    },

    async finish(
      body: Readonly<Record<string, unknown>>,
      origin: string,
      address: string | undefined,
    ): Promise<OidcProved | OidcRefused> {
      const { page } = people;
      if (page?.oidc === undefined) return noIssuer;
      if (tries.take(networkOf(address ?? '-'), clock.now()) !== undefined)
        return { status: 429, text: 'too many sign-ins from your network; try again in a minute' };
      if (running >= 8)
        return { status: 503, text: 'too many people sign in at once; try again in a few seconds' };
      running += 1;
      try {
        return await redeemed(page, body, redirectOf(origin));
      } finally {
        running -= 1;
      }
    },

    /** Renews a sign-in until its session ends. Resolves to why the session must end, or to undefined once it has ended. Never rejects. */
    async keep(
      { person, signIn, sub, refreshToken: first, isStill }: OidcProved,
      signal: AbortSignal,
    ): Promise<string | undefined> {
      let refreshToken = first;
      while (refreshToken !== undefined) {
        await pause(clock, bounds.oidcRenewMs - earlyMs, signal);
        const untilMs = clock.now() + earlyMs;
        let isRenewed = false;
        while (!isRenewed) {
          const { page } = people;
          if (signal.aborted || page === undefined || !isStill()) return undefined;
          try {
            const next = await renewed(page, refreshToken);
            // A new token replaces the old one; without a new one the old one stays valid.
            refreshToken = next?.refreshToken ?? refreshToken;
            const isSame = next?.sub === sub && next.person.name === person.name;
            if (!isSame || next.signIn.how !== signIn.how)
              return 'by the word of the issuer it is not this person any more';
            isRenewed = true;
          } catch (fault) {
            doubt(fault);
            if (fault instanceof IssuerFault && fault.kind === 'ended') return fault.message;
            if (clock.now() >= untilMs) return messageOf(fault);
            await pause(clock, againMs, signal);
          }
        }
      }
      return undefined;
    },
  };
}

const noIssuer: OidcRefused = { status: 404, text: 'nobody signs in at an issuer here' };

function refused(text: string): OidcRefused {
  return { status: 401, text, recorded: text };
}

function redirectOf(origin: string): string {
  return `${origin}/sign-in`;
}

const secret = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/** Whether a text can be a word of a record. */
function isWord(text: string): boolean {
  return /^[^\s\p{C}]{1,256}$/u.test(text);
}

function needsGroups({ people }: PageSettings): boolean {
  return people.some((each) => each.oidc?.group !== undefined);
}

/** The id decides before the address, and both before a group; of several groups, the person listed first. */
function personBy(
  people: readonly PagePerson[],
  { sub, email, groups }: Identity,
): { readonly person: PagePerson; readonly isGroup: boolean } | undefined {
  const address = email && foldAscii(email);
  const own =
    people.find(({ oidc }) => oidc?.sub === sub) ??
    people.find(({ oidc }) => oidc?.email !== undefined && foldAscii(oidc.email) === address);
  if (own !== undefined) return { person: own, isGroup: false };
  const person = people.find(({ oidc }) => oidc?.group !== undefined && groups.includes(oidc.group));
  return person && { person, isGroup: true };
}

/** Reads the files of the settings. Rejects with an IssuerFault. */
async function optionsOf(page: PageSettings): Promise<IssuerOptions> {
  const { issuer = '', clientId = '', clientSecretFile = '', caFile } = page.oidc ?? {};
  const read = async (file: string, key: string): Promise<string> => {
    const found = await readSmallFile(file, 1024 ** 2);
    const unusable = (why: string): IssuerFault =>
      new IssuerFault('away', `the file of admin.page.oidc.${key} cannot be used: it ${why}`);
    switch (found.kind) {
      case 'text':
        if (found.text.trim() === '') throw unusable('is empty');
        return found.text;
      case 'fault':
        throw unusable(found.text);
      case 'absent':
      case 'forbidden':
      case 'no-file':
      case 'too-large':
        throw unusable(`is ${found.kind}`);
      default:
        return found satisfies never;
    }
  };
  return {
    issuer,
    clientId,
    clientSecret: (await read(clientSecretFile, 'client_secret_file')).replace(/\r?\n$/, ''),
    ca: caFile === undefined ? undefined : await read(caFile, 'ca'),
    needsGroups: needsGroups(page),
  };
}
