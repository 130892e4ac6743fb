// The logins of one listener under the present configuration: by client certificate, by name and password, or by key. Neither the answer
// nor its time shows whether an account exists. A password is wiped after its check. A valid key never waits, because its check is cheap
// and it cannot be guessed.

import { TokenBuckets } from '../../host/concurrency/limits.js';
import { pause } from '../../host/concurrency/waiting.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import type { Clock } from '../../host/ports/machine.js';
import { networkOf } from '../../host/ports/peer.js';
import type { TlsPeer } from '../../host/ports/transport.js';
import { sha256Hex } from '../../host/values/digest.js';
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
} from '../../rules/identity/credentials.js';
import {
  isKey,
  isKeyAnswer,
  type Key,
  type KeyAnswer,
  type KeyRefusal,
  KeyRing,
  shownPartOf,
} from '../../rules/keys/key.js';
import { KeyUses } from './key-uses.js';
import { failureLimits, LoginHistory, LoginQueue, UnauthenticatedTurns } from './login-queue.js';

/** Shared by all listeners and kept over a reload: waiting tries, failures, remembered logins. */
export type LoginGuard = ReturnType<typeof createLoginGuard>;

export function createLoginGuard(clock: Clock) {
  const history = new LoginHistory();
  return {
    clock,
    history,
    queue: new LoginQueue(clock, history),
    /** Apart from wrong passwords: a program with an old key must not slow down the logins of its network. */
    wrongKeys: new TokenBuckets(failureLimits),
    keyUses: new KeyUses(),
    turns: new UnauthenticatedTurns(
      (network) => history.isTrusted(network, clock.now()),
      () => clock.nextTurn(),
      () => clock.now(),
    ),
    remembered: new RememberedLogins(),
    digest: createKeyedDigest(),
  };
}

export interface PasswordTry {
  /** Undefined: unknown origin; all such tries count as one network. */
  readonly address: string | undefined;
  readonly user: string;
  /** Overwritten at the end. */
  readonly password: Buffer;
  /** The account of its client certificate: the name must be this one, and the password is not checked. */
  readonly certified: Login | undefined;
  readonly signal: AbortSignal;
}

export interface KeyTry extends Pick<PasswordTry, 'address' | 'signal'> {
  readonly text: string;
  /** The name sent with it, which must be the key's; undefined: none. */
  readonly name: string | undefined;
}

/** How a try ended; the names of the results are values of a metric. */
export type LoginAnswer =
  | { readonly result: 'ok' | 'remembered' | 'certificate'; readonly login: Login }
  | { readonly result: 'failed' | 'crowded' | 'gone'; readonly key?: FailedKey };

export interface FailedKey {
  /** For people: the name of a key of this listener; or the first part of another text, where it has the form of a key. */
  readonly shown: string | undefined;
  readonly why: KeyRefusal | undefined;
}

/** The account of a certificate, and how it was matched: by a name in it, or by its key. */
export interface Certified {
  readonly kind: 'account';
  readonly login: Login;
  readonly certificate: string;
}

/** The result for a certificate. A certificate that fits several accounts proves none of them. */
export type CertificateOwner =
  | Certified
  | { readonly kind: 'nobody' }
  | { readonly kind: 'several'; readonly accounts: readonly string[] };

export const isCertificateOwner = predicateOf<CertificateOwner>();

const nameMax = 128;

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

  /** Resolves when it is this unauthenticated peer's turn for expensive work, or when `signal` is aborted. `isLast`: after all others. */
  turnOf(address: string | undefined, signal?: AbortSignal, isLast = false): Promise<void> {
    return this.#guard.turns.take(placeOf(address), signal, isLast);
  }

  isProven(network: string): boolean {
    return this.#guard.history.isKnown(network, this.#guard.clock.now());
  }

  /** The account of a certificate. A match proves the peer's network as a password does. */
  byCertificate(certificate: TlsPeer, address: string | undefined): CertificateOwner {
    const { clock, history, keyUses } = this.#guard;
    const [owner, ...others] = this.#accounts.filter((account) => isCertificateOf(account, certificate));
    if (owner === undefined) return { kind: 'nobody' };
    if (others.length > 0) return { kind: 'several', accounts: [owner, ...others].map(({ name }) => name) };
    const network = placeOf(address);
    history.succeeded({ network, name: `${owner.name}@${this.#listener}` }, clock.now());
    keyUses.used(this.#listener, owner.name, clock.wallMs(), network);
    const { authorities, fingerprint } = certificate;
    const stamp = stampOf(owner);
    const login = { account: owner.name, stamp, shown: sha256Hex(`${stamp} ${fingerprint}`), authorities };
    return { kind: 'account', login, certificate: owner.certificateName ?? '' };
  }

  /** Rejects only if no hash can be computed at all. */
  async byPassword(said: PasswordTry): Promise<LoginAnswer> {
    try {
      return await this.#check(said);
    } finally {
      said.password.fill(0);
    }
  }

  /** A right key is answered at once; a wrong one too, while its network has tokens, and then only after a wait. */
  async byKey({ text, name, address, signal }: KeyTry): Promise<LoginAnswer> {
    const { clock, history, wrongKeys, keyUses } = this.#guard;
    const nowMs = clock.wallMs();
    const network = placeOf(address);
    const hasForm = isKey(text);
    const found: KeyAnswer = hasForm ? this.#keys.find(text, { address, nowMs, name }) : { kind: 'unknown' };
    if (isKeyAnswer(found, 'right')) {
      const { key, stamp } = found;
      history.succeeded({ network, name: `${key.name}@${this.#listener}` }, clock.now());
      keyUses.used(this.#listener, key.name, nowMs, network);
      return { result: 'ok', login: { account: key.name, stamp, authorities: undefined, isKey: true } };
    }
    const isRefused = isKeyAnswer(found, 'refused');
    if (isRefused) keyUses.refused(this.#listener, found.key.name, nowMs, network);
    const waitMs = wrongKeys.take(network, clock.now());
    if (waitMs !== undefined) {
      await pause(clock, waitMs, signal);
      wrongKeys.take(network, clock.now());
    }
    const key = isRefused
      ? { shown: found.key.name, why: found.why }
      : { shown: hasForm ? shownPartOf(text) : undefined, why: undefined };
    return { result: signal.aborted ? 'gone' : 'failed', key };
  }

  /**
   * The name of the policy of a logged-in peer. `clientCa`: the authorities that count for client certificates now. Undefined: the account
   * is gone or changed, or an authority that its certificate was verified under is gone; the key is gone, expired, or not valid at this
   * address any more.
   */
  policyOf(login: Login, clientCa: readonly string[] | undefined, address?: string): string | undefined {
    const found = this.#byName.get(login.account);
    if (found === undefined)
      return this.#keys.stillRight(login.account, login.stamp, address, this.#guard.clock.wallMs())?.policy;
    const holds = found?.login.stamp === login.stamp && isTrustedBy(login, clientCa);
    return holds ? found.account.policy : undefined;
  }

  async #check({ address, user, password, certified, signal }: PasswordTry): Promise<LoginAnswer> {
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
    // An equal try of another peer shares this check and may outlive this one, so a copy is checked.
    const judged = Buffer.from(password);
    const counted = user.length > nameMax ? digest(['name', user]) : user;
    const login = {
      key: digest(['try', listener, network, user, known.hash, String(real !== undefined), password]),
      source: { network, name: `${counted}@${listener}` },
      judge: async () => hash !== undefined && (await verifyPassword(hash, judged)) && real !== undefined,
      forget: () => void judged.fill(0),
    };
    const answer = await queue.check(login, signal);
    if (answer === 'crowded' || answer === 'gone') return { result: answer };
    if (answer === 'wrong' || found === undefined) {
      if (found !== undefined) keyUses.refused(listener, user, clock.wallMs(), network);
      return { result: 'failed' };
    }
    remembered.remember(known, clock.now());
    keyUses.used(listener, user, clock.wallMs(), network);
    return { result: 'ok', login: found.login };
  }

  /** Always the same decoy for a name: hashes differ in cost, and a changing cost would show that there is no such account. */
  #decoyFor(name: string): PasswordHash | undefined {
    const number = Buffer.from(this.#guard.digest(['decoy', this.#listener, name]), 'base64').readUInt32BE();
    return this.#decoys[number % Math.max(1, this.#decoys.length)];
  }
}

function placeOf(address: string | undefined): string {
  return networkOf(address ?? '-');
}

/** A name and a password from one network, with the present hash: after a change of the hash it is another login. */
export interface SaidLogin {
  readonly listener: string;
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

const holdsMs = 300_000;
/** For one account from one network. Only some 300 checked guesses fit into that time once the tokens of the network are used up. */
const missesMax = 1024;
const loginsMax = 4096;

/**
 * Successful logins of the last minutes, as digests under a key of the process: the same password from the same network costs no second
 * hash. Fast guesses must gain nothing over checked ones: after `missesMax` wrong guesses from that network, the account is not remembered
 * there for a while. Shared by all listeners; outlives a reload.
 */
export class RememberedLogins {
  readonly #digest: KeyedDigest = createKeyedDigest();
  /** Oldest first; all are held equally long. */
  readonly #logins = new Map<string, Remembered>();

  get size(): number {
    return this.#logins.size;
  }

  /** Whether this login succeeded lately. A wrong password is counted, if a successful login is remembered. */
  has(login: SaidLogin, nowMs: number): boolean {
    // Always computes both digests, so that the time does not show whether there is an entry.
    const [who, proof] = this.#digestsOf(login);
    const found = this.#logins.get(who);
    if (found === undefined || found.untilMs <= nowMs || found.misses >= missesMax) return false;
    if (found.digest === proof) return true;
    found.misses += 1;
    return false;
  }

  remember(login: SaidLogin, nowMs: number): void {
    const [who, proof] = this.#digestsOf(login);
    const found = this.#logins.get(who);
    if (found !== undefined && found.untilMs > nowMs) {
      // Wrong guesses stay counted: otherwise each honest login would allow as many again.
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
