// Who may log in at one listener, as the configuration says it now: by a client certificate, by a name and a password, or by a key.
// The rules: what is answered, and when, does not depend on whether a name is an account's; a password is wiped when it was checked; a
// right key never waits, because it costs no more than a wrong one and cannot be guessed.

import { bounds } from '../../bounds/bounds.js';
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
import {
  isKey,
  type Key,
  type KeyAnswer,
  type KeyRefusal,
  KeyRing,
  shownPartOf,
} from '../../domain/keys/key.js';
import type { Clock } from '../../ports/machine.js';
import type { TlsPeer } from '../../ports/transport.js';
import { KeyUses } from './key-uses.js';
import {
  LoginPace,
  LoginQueue,
  type LoginSource,
  type PendingTry,
  type TryAnswer,
  UnauthenticatedTurns,
} from './login-queue.js';

/** What all listeners share, and what a reload leaves as it is: who waits, who failed, which logins are remembered. */
export type LoginGuard = ReturnType<typeof createLoginGuard>;

export function createLoginGuard(clock: Clock) {
  const pace = new LoginPace();
  return {
    clock,
    pace,
    queue: new LoginQueue(clock, pace),
    /** Of wrong keys: they take no time of a processor, and must not wait for passwords, which do. */
    keyQueue: new LoginQueue(clock, pace),
    keyUses: new KeyUses(),
    turns: new UnauthenticatedTurns(
      (network) => pace.rankOf(network, clock.now()),
      () => clock.nextTurn(),
      () => clock.now(),
    ),
    remembered: new RememberedLogins(),
    digest: createKeyedDigest(),
  };
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

/** A text that may be a key, as a peer said it. */
export interface KeyTry extends Pick<PasswordTry, 'address' | 'pauseMaxMs' | 'signal' | 'onSuspect'> {
  readonly text: string;
  /** The name that was said with it, which must be the key's; undefined: none was. */
  readonly name: string | undefined;
}

/** How a try ended; the names of the results are values of a metric. */
export type LoginAnswer =
  | { readonly result: 'ok' | 'remembered' | 'certificate'; readonly login: Login }
  | { readonly result: 'failed' | 'crowded' | 'gone'; readonly key?: FailedKey };

/** A key that was refused. */
export interface FailedKey {
  /** For people: the name of a key of this listener; or the first part of another text, where it has the form of a key. */
  readonly shown: string | undefined;
  /** Undefined: the listener has no such key. */
  readonly why: KeyRefusal | undefined;
}

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

/** What a name is cut to where it is counted. */
const nameMax = bounds.loginNameChars;

/** The accounts and the keys of one listener; their names differ. */
export class Logins {
  readonly #listener: string;
  readonly #accounts: readonly Account[];
  readonly #guard: LoginGuard;
  readonly #byName: ReadonlyMap<string, { readonly account: Account; readonly login: Login }>;
  readonly #decoys: readonly PasswordHash[];
  readonly #keys: KeyRing;

  constructor(listener: string, accounts: readonly Account[], guard: LoginGuard, keys: readonly Key[] = []) {
    this.#listener = listener;
    this.#accounts = accounts;
    this.#guard = guard;
    this.#byName = new Map(
      accounts.map((account) => [
        account.name,
        { account, login: { account: account.name, stamp: stampOf(account), authorities: undefined } },
      ]),
    );
    this.#keys = new KeyRing(keys);
    this.#decoys = accounts.flatMap(({ passwordHash }) =>
      passwordHash === undefined ? [] : [decoyOf(passwordHash)],
    );
  }

  /**
   * Resolves when it is the turn of an unauthenticated peer from there to have something costly done, or when `signal` is aborted.
   * `isLast`: after all others.
   */
  turnOf(address: string | undefined, signal?: AbortSignal, isLast = false): Promise<void> {
    return this.#guard.turns.take(placeOf(address), signal, isLast);
  }

  /** Whether a login from this network succeeded within the last hour. */
  isProven(network: string): boolean {
    return this.#guard.pace.rankOf(network, this.#guard.clock.now()) < 0;
  }

  /** Whose certificate it is. An account's proves as much of the network that it comes from as a password does. */
  byCertificate(certificate: TlsPeer, address: string | undefined): CertificateOwner {
    const { clock, pace, keyUses } = this.#guard;
    const [owner, ...others] = this.#accounts.filter((account) => isCertificateOf(account, certificate));
    if (owner === undefined) return { kind: 'nobody' };
    if (others.length > 0) return { kind: 'several', accounts: [owner, ...others].map(({ name }) => name) };
    const network = placeOf(address);
    pace.succeeded({ network, name: `${owner.name}@${this.#listener}` }, clock.now());
    keyUses.used(this.#listener, owner.name, clock.wallMs(), network);
    const { authorities, keyPin } = certificate;
    const login = { account: owner.name, stamp: stampOf(owner), authorities };
    return { kind: 'account', login, certificate: owner.certificateName ?? `sha256:${keyPin}` };
  }

  /** Rejects only when no hash can be computed at all. */
  async byPassword(said: PasswordTry): Promise<LoginAnswer> {
    try {
      return await this.#check(said);
    } finally {
      said.password.fill(0);
    }
  }

  /**
   * A right key is answered at once. A wrong one waits for what failures from there cost, as a wrong password does, but for a text that
   * has not even the form of a key.
   */
  async byKey(said: KeyTry): Promise<LoginAnswer> {
    const { clock, pace, keyUses } = this.#guard;
    const { text, name, address } = said;
    const nowMs = clock.wallMs();
    const network = placeOf(address);
    if (!isKey(text)) {
      pace.failed(this.#sourceOf(network, text), clock.now(), said.pauseMaxMs);
      return { result: 'failed', key: { shown: undefined, why: undefined } };
    }
    const found = this.#keys.find(text, { address, nowMs, name });
    if (found.kind !== 'right') return this.#refuse(said, network, found);
    const { key, stamp } = found;
    pace.succeeded({ network, name: `${key.name}@${this.#listener}` }, clock.now());
    keyUses.used(this.#listener, key.name, nowMs, network);
    return { result: 'ok', login: { account: key.name, stamp, authorities: undefined } };
  }

  async #refuse(
    { text, pauseMaxMs, signal, onSuspect }: KeyTry,
    network: string,
    found: Exclude<KeyAnswer, { kind: 'right' }>,
  ): Promise<LoginAnswer> {
    const { keyQueue, keyUses, digest } = this.#guard;
    const isKnown = found.kind === 'refused';
    if (isKnown) keyUses.refused(this.#listener, found.key.name);
    const pending = keyQueue.add({
      key: digest(['key', this.#listener, network, text]),
      source: isKnown
        ? { network, name: `${found.key.name}@${this.#listener}` }
        : this.#sourceOf(network, text),
      pauseMaxMs,
      judge: () => Promise.resolve(false),
      forget: () => undefined,
    });
    if (pending.isSuspect) onSuspect();
    const answer = await unlessAborted(pending, signal);
    const key = isKnown
      ? { shown: found.key.name, why: found.why }
      : { shown: shownPartOf(text), why: undefined };
    return { result: answer === 'crowded' || answer === 'gone' ? answer : 'failed', key };
  }

  /** Of a text that is no key: it counts by itself, so that a wrong key does not slow down another one from there. */
  #sourceOf(network: string, text: string): LoginSource {
    return { network, name: `${this.#guard.digest(['name', text])}@${this.#listener}` };
  }

  /**
   * The name of the policy of a peer that logged in, where certificates of clients count under these authorities now; undefined:
   * the account is gone or not what it was, or one of the authorities is gone under which its certificate was verified; the key is gone,
   * has expired, or does not hold at this address any more.
   */
  policyOf(login: Login, clientCa: readonly string[] | undefined, address?: string): string | undefined {
    const found = this.#byName.get(login.account);
    if (found === undefined)
      return this.#keys.stillRight(login.account, login.stamp, address, this.#guard.clock.wallMs())?.policy;
    const holds = found?.login.stamp === login.stamp && isTrustedBy(login, clientCa);
    return holds ? found.account.policy : undefined;
  }

  async #check({
    address,
    user,
    password,
    certified,
    pauseMaxMs,
    signal,
    onSuspect,
  }: PasswordTry): Promise<LoginAnswer> {
    const { clock, queue, remembered, digest, keyUses } = this.#guard;
    const listener = this.#listener;
    if (certified?.account === user) return { result: 'certificate', login: certified };
    const found = this.#byName.get(user);
    const network = placeOf(address);
    const real = certified === undefined ? found?.account.passwordHash : undefined;
    const hash = real ?? this.#decoyFor(user);
    const known = { listener, network, account: user, password, hash: hash?.text ?? '' };
    const isRemembered = remembered.has(known, clock.now());
    if (isRemembered && real !== undefined && found !== undefined) {
      keyUses.used(listener, user, clock.wallMs(), network);
      return { result: 'remembered', login: found.login };
    }
    // An equal try of another peer is checked with this one, and may still wait when this one is gone: so a copy is checked.
    const judged = Buffer.from(password);
    const pending = queue.add({
      key: digest(['try', listener, network, user, known.hash, String(real !== undefined), password]),
      source: { network, name: `${user.length > nameMax ? digest(['name', user]) : user}@${listener}` },
      pauseMaxMs,
      judge: async () => hash !== undefined && (await verifyPassword(hash, judged)) && real !== undefined,
      forget: () => void judged.fill(0),
    });
    if (pending.isSuspect) onSuspect();
    const answer = await unlessAborted(pending, signal);
    if (answer === 'crowded' || answer === 'gone') return { result: answer };
    if (answer === 'wrong' || found === undefined) {
      if (found !== undefined) keyUses.refused(listener, user);
      return { result: 'failed' };
    }
    remembered.remember(known, clock.now());
    keyUses.used(listener, user, clock.wallMs(), network);
    return { result: 'ok', login: found.login };
  }

  /** For a name, always the same one of them: where hashes differ in cost, a name that costs another time each time would tell. */
  #decoyFor(name: string): PasswordHash | undefined {
    const number = Buffer.from(this.#guard.digest(['decoy', this.#listener, name]), 'base64').readUInt32BE();
    return this.#decoys[number % Math.max(1, this.#decoys.length)];
  }
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

const holdsMs = bounds.loginRememberedMs;
/** Of one account from one place. A guess that is judged takes up to seconds; so many are what a day of those gives. */
const missesMax = bounds.loginMisses;
const loginsMax = bounds.loginsRemembered;

/**
 * Successful logins of the last minutes, as digests under a key of the process: the same password from the same place costs no
 * second hash. A guess that is answered at once must be worth no more than one that waits: after `missesMax` wrong
 * guesses from that place the account is not remembered there for a while. One for all listeners; outlives a reload.
 */
export class RememberedLogins {
  readonly #digest: KeyedDigest = createKeyedDigest();
  /** Oldest first, since each is held for as long. */
  readonly #logins = new Map<string, Remembered>();

  get size(): number {
    return this.#logins.size;
  }

  /** Whether this very login was right lately. A wrong one is counted, where there is a right one. */
  has(login: SaidLogin, nowMs: number): boolean {
    // Both digests always, so that the time does not tell whether there is anything.
    const [who, proof] = this.#digestsOf(login);
    const found = this.#logins.get(who);
    if (found === undefined || found.untilMs <= nowMs || found.misses >= missesMax) return false;
    if (found.digest === proof) return true;
    found.misses += 1;
    return false;
  }

  /** It was checked just now, and right. */
  remember(login: SaidLogin, nowMs: number): void {
    const [who, proof] = this.#digestsOf(login);
    const found = this.#logins.get(who);
    if (found !== undefined && found.untilMs > nowMs) {
      // What was missed stays: else each honest login would give a guesser as many again.
      found.digest = proof;
      return;
    }
    this.#logins.delete(who);
    this.#forgetOld(nowMs);
    this.#logins.set(who, { digest: proof, untilMs: nowMs + holdsMs, misses: 0 });
  }

  #digestsOf({ listener, network, account, hash, password }: SaidLogin): [who: string, proof: string] {
    return [this.#digest(['who', listener, network, account]), this.#digest(['proof', hash, password])];
  }

  #forgetOld(nowMs: number): void {
    for (const [who, { untilMs }] of this.#logins) {
      if (untilMs > nowMs && this.#logins.size < loginsMax) return;
      this.#logins.delete(who);
    }
  }
}
