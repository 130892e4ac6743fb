// Who may log in at one listener, as the configuration says it now: by a client certificate, or by a name and a password.
// The rules: what is answered, and when, does not depend on whether a name is an account's; a
// password is wiped when it was judged.

import {
  type Account,
  createKeyedDigest,
  decoyOf,
  isCertificateOf,
  isTrustedBy,
  type KeyedDigest,
  type Login,
  type PasswordHash,
  stampOf,
  verifyPassword,
} from '../../domain/identity/credentials.js';
import { networkOf } from '../../domain/identity/peer.js';
import type { Clock } from '../../ports/clock.js';
import type { TlsPeer } from '../../ports/transport.js';
import { LoginPace } from './login-pace.js';
import { createLoginQueue, type LoginQueue, type PendingTry, type TryAnswer } from './login-queue.js';
import { UnauthenticatedTurns } from './unauthenticated-turns.js';

/** What all listeners share, and what a reload leaves as it is: who waits, who failed, who is remembered. */
export interface LoginGuard {
  readonly clock: Clock;
  readonly pace: LoginPace;
  readonly queue: LoginQueue;
  readonly turns: UnauthenticatedTurns;
  readonly remembered: RememberedLogins;
  readonly digest: KeyedDigest;
}

/** A name and a password, as a peer said them. */
export interface PasswordTry {
  /** Undefined: nothing is known of where it comes from; all those count together. */
  readonly address: string | undefined;
  readonly user: string;
  /** Overwritten in the end. */
  readonly password: Buffer;
  /** The account of its client certificate: then it must be this one, and its password is not asked for. */
  readonly certified: Login | undefined;
  /** The longest pause that its failure may cost the next one. */
  readonly pauseMaxMs: number;
  /** Nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Called once it waits behind others' failures from there: where room is needed, it goes. */
  readonly onSuspect: () => void;
}

/** How a try ended; the names are values of a metric. */
export type PasswordAnswer =
  | { readonly result: 'ok' | 'remembered' | 'certificate'; readonly login: Login }
  | { readonly result: 'failed' | 'crowded' | 'gone' };

/** Whose certificate was shown, and by what it was known: a name in it, or its key. */
export interface Certified {
  readonly kind: 'account';
  readonly login: Login;
  readonly certificate: string;
}

/** Whose a certificate is. One that fits several accounts proves none of them: which one is meant, nobody said. */
export type CertificateOwner =
  | Certified
  | { readonly kind: 'nobody' }
  | { readonly kind: 'several'; readonly accounts: readonly string[] };

/** The accounts of one listener. */
export interface Logins {
  /** Resolves when it is the turn of an unauthenticated peer from there to have something done that costs. */
  turnOf(address: string | undefined): Promise<void>;
  /** Whether somebody from there, a place on the network, proved to be an account within the last hour. */
  isProven(network: string): boolean;
  /** Whose certificate it is. An account's proves as much of the place that it comes from as a password does. */
  byCertificate(certificate: TlsPeer, address: string | undefined): CertificateOwner;
  /** Rejects only when no hash can be computed at all. */
  byPassword(said: PasswordTry): Promise<PasswordAnswer>;
  /**
   * The name of the policy of somebody who logged in, where certificates of clients count under these authorities now; undefined:
   * the account is gone or not what it was, or one of the authorities is gone under which its certificate was verified.
   */
  policyOf(login: Login, clientCa: readonly string[] | undefined): string | undefined;
}

/** Nobody waits, nobody failed. */
export function createLoginGuard(clock: Clock): LoginGuard {
  const pace = new LoginPace();
  const queue = createLoginQueue({ clock, pace });
  const turns = new UnauthenticatedTurns(
    (network) => pace.rankOf(network, clock.now()),
    () => clock.nextTurn(),
  );
  return { clock, pace, queue, turns, remembered: new RememberedLogins(), digest: createKeyedDigest() };
}

/** What a name is cut to where it is counted. */
const nameMax = 128;

/** The accounts of `listener`; their names differ. */
export function createLogins(listener: string, accounts: readonly Account[], guard: LoginGuard): Logins {
  const { clock, pace, queue, turns, remembered, digest } = guard;
  const byName = new Map(
    accounts.map((account) => [
      account.name,
      { account, login: { account: account.name, stamp: stampOf(account), authorities: undefined } },
    ]),
  );
  const decoys = accounts.flatMap(({ passwordHash }) =>
    passwordHash === undefined ? [] : [decoyOf(passwordHash)],
  );

  /** For a name, always the same one of them: where hashes differ in cost, a name that costs another time each time would tell. */
  function decoyFor(name: string): PasswordHash | undefined {
    const at =
      Buffer.from(digest(['decoy', listener, name]), 'base64').readUInt32BE() % Math.max(1, decoys.length);
    return decoys[at];
  }

  async function byPassword(said: PasswordTry): Promise<PasswordAnswer> {
    const { user, password, certified, signal } = said;
    const found = byName.get(user);
    if (certified?.account === user) return { result: 'certificate', login: certified };
    const network = placeOf(said.address);
    const real = certified === undefined ? found?.account.passwordHash : undefined;
    const hash = real ?? decoyFor(user);
    const known = { listener, network, account: user, password, hash: hash?.text ?? '' };
    const isRemembered = remembered.has(known, clock.now());
    if (isRemembered && real !== undefined && found !== undefined)
      return { result: 'remembered', login: found.login };
    // Who says the same is judged with it, and may still wait when this one is gone: so a copy is judged.
    const judged = Buffer.from(password);
    const pending = queue.add({
      key: digest(['try', listener, network, user, hash?.text ?? '', String(real !== undefined), password]),
      source: { network, name: `${user.length > nameMax ? digest(['name', user]) : user}@${listener}` },
      pauseMaxMs: said.pauseMaxMs,
      judge: async () => hash !== undefined && (await verifyPassword(hash, judged)) && real !== undefined,
      forget: () => void judged.fill(0),
    });
    if (pending.isSuspect) said.onSuspect();
    const answer = await unlessAborted(pending, signal);
    if (answer === 'wrong') return { result: 'failed' };
    if (answer !== 'right') return { result: answer };
    if (found === undefined) return { result: 'failed' };
    remembered.remember(known, clock.now());
    return { result: 'ok', login: found.login };
  }

  return {
    turnOf: (address) => turns.take(placeOf(address)),
    isProven: (network) => pace.rankOf(network, clock.now()) < 0,
    byCertificate: (certificate, address) => {
      const [owner, ...others] = accounts.filter((account) => isCertificateOf(account, certificate));
      if (owner === undefined) return { kind: 'nobody' };
      if (others.length > 0) return { kind: 'several', accounts: [owner, ...others].map(({ name }) => name) };
      pace.succeeded({ network: placeOf(address), name: `${owner.name}@${listener}` }, clock.now());
      const { authorities, keyPin } = certificate;
      const login = { account: owner.name, stamp: stampOf(owner), authorities };
      return { kind: 'account', login, certificate: owner.certificateName ?? `sha256:${keyPin}` };
    },
    byPassword: async (said) => {
      try {
        return await byPassword(said);
      } finally {
        said.password.fill(0);
      }
    },
    policyOf(login, clientCa) {
      const found = byName.get(login.account);
      const holds = found?.login.stamp === login.stamp && isTrustedBy(login, clientCa);
      return holds ? found.account.policy : undefined;
    },
  };
}

function placeOf(address: string | undefined): string {
  return networkOf(address ?? '-');
}

/** The answer, or `gone` as soon as nobody waits for it. */
async function unlessAborted(pending: PendingTry, signal: AbortSignal): Promise<TryAnswer> {
  let giveUp: (() => void) | undefined;
  const aborted = new Promise<'gone'>((resolve) => {
    giveUp = () => {
      pending.takeBack();
      resolve('gone');
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
  try {
    return await Promise.race([pending.answer, aborted]);
  } finally {
    if (giveUp !== undefined) signal.removeEventListener('abort', giveUp);
  }
}

/** A name and a password from one place, with the text of the hash that counts now: a changed hash is another login. */
export interface SaidLogin {
  readonly listener: string;
  /** A place on the network. */
  readonly network: string;
  readonly account: string;
  readonly password: Buffer;
  readonly hash: string;
}

interface Remembered {
  digest: string;
  readonly untilMs: number;
  misses: number;
}

const holdsMs = 5 * 60_000;
/** Of one account from one place. A guess that is judged takes up to seconds; so many are what a day of those gives. */
const missesMax = 1024;
const loginsMax = 4096;

/**
 * Successful logins of the last minutes, as digests under a key of the process: the same password from the same network costs no
 * second hash. A guess that is answered at once must be worth no more than one that waits: after `missesMax` wrong
 * guesses from that network the account is not remembered there for a while. One for all listeners; outlives a reload.
 */
export class RememberedLogins {
  readonly #digest = createKeyedDigest();
  /** Oldest first, since each is held for as long. */
  readonly #logins = new Map<string, Remembered>();

  /** Whether this very login was right lately. A wrong one is counted, where there is a right one. */
  has(login: SaidLogin, nowMs: number): boolean {
    // Both digests always, so that the time does not show whether there is anything.
    const { who, proof } = this.#digests(login);
    const found = this.#logins.get(who);
    if (found === undefined || found.untilMs <= nowMs || found.misses >= missesMax) return false;
    if (found.digest === proof) return true;
    found.misses += 1;
    return false;
  }

  /** It was judged just now, and right. */
  remember(login: SaidLogin, nowMs: number): void {
    const { who, proof } = this.#digests(login);
    const found = this.#logins.get(who);
    if (found !== undefined && found.untilMs > nowMs) {
      // What was missed stays: else each honest login would give a guesser as many again.
      found.digest = proof;
      return;
    }
    this.#logins.delete(who);
    for (const [other, { untilMs }] of this.#logins) {
      if (untilMs > nowMs && this.#logins.size < loginsMax) break;
      this.#logins.delete(other);
    }
    this.#logins.set(who, { digest: proof, untilMs: nowMs + holdsMs, misses: 0 });
  }

  get size(): number {
    return this.#logins.size;
  }

  #digests({ listener, network, account, hash, password }: SaidLogin) {
    return {
      who: this.#digest(['who', listener, network, account]),
      proof: this.#digest(['proof', hash, password]),
    };
  }
}
