// The connections of the page: how many there are at once, whose they are, and which one is closed for a new one.

import type { Socket } from 'node:net';
import { bounds } from '../../bounds/bounds.js';
import { networkOf } from '../../domain/identity/peer.js';
import type { TlsPeer } from '../../ports/transport.js';
import { peopleMax } from './page-sessions.js';

/** The other end of a connection. */
export interface PagePeer {
  readonly address: string | undefined;
  /** Its certificate, verified; undefined: it showed none. */
  readonly certificate: TlsPeer | undefined;
}

/** Browsers have some six connections each at most; beside them there is room for those who sign in. */
export const pageConnectionsMax = bounds.pageConnections;
/** What is everybody's where all want some; whoever has more loses one where there is no other room. */
const connectionsEach = pageConnectionsMax / peopleMax;
/** Requests of one connection that were not answered yet. */
const pipelinedMax = bounds.pagePipelined;

/** A connection: who is there. */
interface Kept {
  readonly plain: Socket;
  readonly address: string | undefined;
  certificate: TlsPeer | undefined;
  /** Undefined: a stranger's. */
  person: string | undefined;
  /** Requests that run: they are aborted with it, since Node does not tell one that waits behind another of the end. */
  readonly running: Set<AbortController>;
}

/**
 * The connections of the page. When there are too many, one of a stranger is closed for the new one, so that people who are signed in
 * never lose theirs: the oldest one of the network with most of them. Where all are people's, one of the person who has the most; where all have few, the new one is closed.
 */
export class PageConnections {
  /** By the socket that HTTP runs over, in the order of their accept. */
  readonly #open = new Map<Socket, Kept>();

  accepted(plain: Socket, socket: Socket): void {
    if (this.#open.size >= pageConnectionsMax) {
      const going = this.#leastWanted(placeOf(plain.remoteAddress));
      if (going === undefined) {
        plain.destroy();
        return;
      }
      this.#open.delete(going[0]);
      going[1].plain.destroy();
    }
    this.#keep(socket, {
      plain,
      address: plain.remoteAddress,
      certificate: undefined,
      person: undefined,
      running: new Set(),
    });
  }

  /** HTTP runs over `socket` from now on. */
  secured(plain: Socket, socket: Socket, certificate: TlsPeer | undefined): void {
    const kept = this.#open.get(plain);
    this.#open.delete(plain);
    if (kept === undefined) {
      // It was closed for another one meanwhile.
      plain.destroy();
      return;
    }
    kept.certificate = certificate;
    this.#keep(socket, kept);
  }

  peerOf(socket: Socket): PagePeer {
    const kept = this.#open.get(socket);
    return { address: kept?.address ?? socket.remoteAddress, certificate: kept?.certificate };
  }

  /** A request begins, which is aborted with its connection; what is returned ends it. */
  asked(socket: Socket, gone: AbortController): () => void {
    const kept = this.#open.get(socket);
    if (kept === undefined) return () => undefined;
    kept.running.add(gone);
    // Browsers wait for an answer before they ask again; answers to requests that do not would pile up here.
    if (kept.running.size > pipelinedMax) kept.plain.destroy();
    return () => void kept.running.delete(gone);
  }

  known(socket: Socket, person: string): void {
    const kept = this.#open.get(socket);
    if (kept !== undefined) kept.person = person;
  }

  /** Closes all. */
  end(): void {
    for (const { plain } of this.#open.values()) plain.destroy();
    this.#open.clear();
  }

  /** `newcomer`: the network that gets one more. */
  #leastWanted(newcomer: string): readonly [Socket, Kept] | undefined {
    const byPerson = new Map<string | undefined, (readonly [Socket, Kept])[]>();
    for (const each of this.#open) {
      const { person } = each[1];
      const own = byPerson.get(person);
      if (own === undefined) byPerson.set(person, [each]);
      else own.push(each);
    }
    const [most = []] = [...byPerson.values()].toSorted((one, other) => other.length - one.length);
    const strangers = byPerson.get(undefined);
    const those =
      strangers === undefined ? (most.length > connectionsEach ? most : []) : ofCrowd(strangers, newcomer);
    return those.find(([, { running }]) => running.size === 0) ?? those[0];
  }

  #keep(socket: Socket, kept: Kept): void {
    this.#open.set(socket, kept);
    socket.once('close', () => {
      this.#open.delete(socket);
      for (const gone of kept.running) gone.abort(new Error('the client has gone'));
    });
    // A socket that was destroyed before may have told so already.
    if (socket.destroyed) this.#open.delete(socket);
  }
}

/** Those of the network with most of them; of equal networks the one with the oldest. */
function ofCrowd(
  strangers: readonly (readonly [Socket, Kept])[],
  newcomer: string,
): readonly (readonly [Socket, Kept])[] {
  const byNetwork = new Map<string, (readonly [Socket, Kept])[]>();
  for (const each of strangers) {
    const network = placeOf(each[1].address);
    const own = byNetwork.get(network);
    if (own === undefined) byNetwork.set(network, [each]);
    else own.push(each);
  }
  const countOf = ([network, own]: readonly [string, readonly unknown[]]): number =>
    own.length + (network === newcomer ? 1 : 0);
  const [crowd] = [...byNetwork].toSorted((one, other) => countOf(other) - countOf(one));
  return crowd?.[1] ?? [];
}

function placeOf(address: string | undefined): string {
  return address === undefined ? '' : networkOf(address);
}
