// Who is signed in to the page: links that open a session once, and sessions by a token. Nothing here is written to a disk, so a restart
// ends all of them. Of links and tokens only a hash is kept. A link opens one session. A session holds only as long as the person is in the
// configuration with the same role, view and proofs.

import { randomBytes } from 'node:crypto';
import type { LinkOpener } from '../../gate/door/calls.js';
import { bounds } from '../../host/bounds/bounds.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import { sha256Hex } from '../../host/values/digest.js';

/** How somebody signed in. `oidc-group`: as one of the members of a group of the issuer, so the person's name is that of many people. */
export type SignInWay = 'link' | 'password' | 'certificate' | 'oidc' | 'oidc-group';

export interface PageSession {
  readonly name: string;
  readonly how: SignInWay;
  /** The address and the id at the issuer, as far as records can hold them; undefined: no issuer was asked. */
  readonly oidc?: readonly string[] | undefined;
  /** Who got the link; undefined: no link opened it. */
  readonly opener?: LinkOpener | undefined;
  /** Where the person signed in from, for records. */
  readonly address: string | undefined;
  /** Milliseconds of the wall clock. */
  readonly endsMs: number;
}

/** `used`: the link was used before, and its session is ended now; `own`: this request is of the link's own session, which goes on. */
export type Entered =
  | { readonly kind: 'entered'; readonly token: string; readonly session: PageSession }
  | { readonly kind: 'crowded' }
  /** `why`: in words for the person. */
  | { readonly kind: 'late'; readonly name: string; readonly why?: string }
  | { readonly kind: 'used' | 'own'; readonly name: string }
  | { readonly kind: 'unknown' };

export const isEntered = predicateOf<Entered>();

export type Found =
  | { readonly kind: 'live'; readonly session: PageSession }
  | { readonly kind: 'crowded'; readonly name: string }
  /** `why`: in words for the person, unless a reload, the session's age or a sign-out ended it. */
  | { readonly kind: 'ended'; readonly name: string; readonly why?: string }
  | { readonly kind: 'unknown' };

export interface SignIn extends Pick<PageSession, 'name' | 'how' | 'oidc' | 'opener' | 'address'> {
  /** Who counts as one person; default: the name. */
  readonly owner?: string;
  /** How long it may last; default: `sessionMs`. */
  readonly lifeMs?: number;
  /** False once the person is gone or has changed, or the proof no longer counts. */
  readonly isStill: () => boolean;
  /** Why it does not hold any more, in words for the person; undefined: nothing is to be said. */
  readonly whyOver?: (() => string | undefined) | undefined;
  /** Called once, when the session has ended. */
  readonly onEnd?: () => void;
}

export interface PageSessionParts {
  readonly clock: Clock;
  readonly random?: (bytes: number) => Buffer;
}

export const linkMs = 60_000;
export const sessionMs = bounds.pageSessionMs;
export const peopleMax = bounds.people;
/** Sessions of one person; a further one ends the one that was used least lately. */
export const sessionsPerPersonMax = 8;
/** Links of one person that were not used yet; a further one takes the place of the oldest. */
export const linksPerPersonMax = 4;
/** An open page asks more often than this, and has a stream of events. */
const activeMs = 60_000;
/** Ended sessions and old links that are told apart from guesses. */
const endedMax = 256;
const tokenBytes = 32;

interface Link {
  readonly name: string;
  readonly opener: LinkOpener;
  readonly untilMs: number;
  readonly isStill: () => boolean;
  readonly whyOver: SignIn['whyOver'];
}

interface Session extends PageSession {
  readonly owner: string;
  readonly hash: string;
  readonly link: string | undefined;
  readonly isStill: () => boolean;
  readonly whyOver: SignIn['whyOver'];
  readonly onEnd: (() => void) | undefined;
  readonly timer: Timer;
  usedMs: number;
  /** One for each running request: called when the session ends. */
  readonly running: Set<() => void>;
}

export function createPageSessions({ clock, random = randomBytes }: PageSessionParts) {
  /** By the hash of their token. The links of one person are in the order in which they were made. */
  const links = new Map<string, Link>();
  const sessions = new Map<string, Session>();
  /** By hash of an ended session or link. */
  const ended = new Map<string, { readonly name: string; readonly why?: string }>();

  function newToken(): { readonly token: string; readonly hash: string } {
    const token = random(tokenBytes).toString('base64url');
    return { token, hash: sha256Hex(token) };
  }

  function remember(hash: string, name: string, why?: string): void {
    ended.set(hash, { name, ...(why !== undefined && { why }) });
    const [oldest] = ended.keys();
    if (ended.size > endedMax && oldest !== undefined) ended.delete(oldest);
  }

  function end(session: Session, why?: string): void {
    if (!sessions.delete(session.hash)) return;
    session.timer.cancel();
    remember(session.hash, session.name, why ?? session.whyOver?.());
    if (session.link !== undefined) remember(session.link, session.name);
    session.onEnd?.();
    for (const onEnd of session.running) onEnd();
  }

  /** Ends the least recently used of these sessions if there are already `most` of them. */
  function makeRoom(among: readonly Session[], most: number): void {
    const [leastLately] = among.toSorted((one, other) => one.usedMs - other.usedMs);
    if (among.length >= most && leastLately !== undefined) end(leastLately);
  }

  function isActive({ running, usedMs }: Session): boolean {
    return running.size > 0 || clock.now() - usedMs < activeMs;
  }

  function activePeople(): ReadonlySet<string> {
    return new Set([...sessions.values()].filter(isActive).map((each) => each.owner));
  }

  function isCrowdedFor(owner: string): boolean {
    const people = activePeople();
    return !people.has(owner) && people.size >= peopleMax;
  }

  function open(signIn: SignIn, link?: string): Entered {
    const { name, how, oidc, opener, address, owner = name, lifeMs = sessionMs } = signIn;
    const { isStill, whyOver, onEnd } = signIn;
    if (isCrowdedFor(owner)) return { kind: 'crowded' };
    makeRoom(
      [...sessions.values()].filter((each) => each.owner === owner),
      sessionsPerPersonMax,
    );
    // A group can have any number of members.
    if (oidc !== undefined)
      makeRoom(
        [...sessions.values()].filter((each) => each.oidc !== undefined),
        100,
      );
    const { token, hash } = newToken();
    const session: Session = {
      name,
      how,
      oidc,
      opener,
      address,
      endsMs: clock.wallMs() + lifeMs,
      owner,
      hash,
      link,
      isStill,
      whyOver,
      onEnd,
      timer: clock.setTimer(lifeMs, () => end(session)),
      usedMs: clock.now(),
      running: new Set(),
    };
    sessions.set(hash, session);
    return { kind: 'entered', token, session };
  }

  function dropLateLinks(): void {
    for (const [hash, { name, untilMs }] of links) {
      if (untilMs > clock.now()) continue;
      links.delete(hash);
      remember(hash, name);
    }
  }

  return {
    count: (): number => activePeople().size,
    /** Makes a link for a person, handed to the process `opener`. Returns the part after `#`. */
    link(name: string, opener: LinkOpener, isStill: () => boolean, whyOver?: SignIn['whyOver']): string {
      dropLateLinks();
      const own = [...links].filter(([, each]) => each.name === name);
      const [oldest] = own;
      if (own.length >= linksPerPersonMax && oldest !== undefined) {
        links.delete(oldest[0]);
        remember(oldest[0], name);
      }
      const { token, hash } = newToken();
      links.set(hash, { name, opener, untilMs: clock.now() + linkMs, isStill, whyOver });
      return token;
    },

    /** A link that is used twice is known to two people: its session ends. `token`: the one that the request has. */
    redeem(text: string, address: string | undefined, token?: string): Entered {
      const hash = sha256Hex(text);
      dropLateLinks();
      const link = links.get(hash);
      if (link !== undefined) {
        if (!link.isStill()) {
          links.delete(hash);
          remember(hash, link.name);
          const why = link.whyOver?.();
          return { kind: 'late', name: link.name, ...(why !== undefined && { why }) };
        }
        const { name, opener, isStill, whyOver } = link;
        const entered = open({ name, how: 'link', opener, address, isStill, whyOver }, hash);
        // If there was no room, the link can be tried again.
        if (entered.kind === 'entered') links.delete(hash);
        return entered;
      }
      const opened = [...sessions.values()].find((each) => each.link === hash);
      if (opened !== undefined) {
        if (token !== undefined && sha256Hex(token) === opened.hash)
          return { kind: 'own', name: opened.name };
        end(opened);
        return { kind: 'used', name: opened.name };
      }
      const late = ended.get(hash);
      return late === undefined ? { kind: 'unknown' } : { kind: 'late', name: late.name };
    },

    enter(signIn: SignIn): Entered {
      return open(signIn);
    },

    /** The session of a token. The hash is looked up, so the time that takes reveals nothing about the token. */
    find(token: string): Found {
      const hash = sha256Hex(token);
      const session = sessions.get(hash);
      if (session === undefined) {
        const before = ended.get(hash);
        return before === undefined ? { kind: 'unknown' } : { kind: 'ended', ...before };
      }
      if (!session.isStill()) {
        end(session);
        return { kind: 'ended', name: session.name, ...ended.get(hash) };
      }
      if (!isActive(session) && isCrowdedFor(session.owner)) return { kind: 'crowded', name: session.name };
      session.usedMs = clock.now();
      return { kind: 'live', session };
    },

    /** Whether the session still holds; checked again before an answer is sent. */
    isLive(session: PageSession): boolean {
      for (const each of sessions.values()) if (each === session) return each.isStill();
      return false;
    },

    /** A request begins; undefined: too many run. What it returns ends it; `onEnd` is called if the session ends before. */
    begin(session: PageSession, most: number, onEnd: () => void): (() => void) | undefined {
      const found = [...sessions.values()].find((each) => each === session);
      if (found === undefined || found.running.size >= most) return undefined;
      found.running.add(onEnd);
      return () => {
        found.running.delete(onEnd);
        found.usedMs = clock.now();
      };
    },

    /** `why`: in words for the person, where it is not by their own wish. */
    leave(session: PageSession, why?: string): void {
      for (const each of sessions.values()) if (each === session) end(each, why);
    },

    /** Call after a reload: ends the sessions that no longer hold. */
    review(): void {
      for (const each of sessions.values()) if (!each.isStill()) end(each);
    },

    close(): void {
      links.clear();
      for (const each of sessions.values()) end(each);
    },
  };
}
