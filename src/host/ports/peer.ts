// The process at the other end of an accepted transport: its facts from the kernel or TLS, its network, its name in policy and records
// (`NAME@LISTENER`), and the policy that applies to it. A missing fact is never a permission, a peer without a matching line is refused,
// and two different people never get the same principal on one listener.
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';

/** Facts about a peer, all from the kernel or from a verified certificate, never from the peer itself. */
export interface Peer {
  readonly listener: string;
  /** Ids from the kernel for a UNIX socket, at the moment of connect. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly pid?: number | undefined;
  /** The system's name for `uid`, if it has one. */
  readonly user?: string | undefined;
  /** What the name service says of `uid`; absent: it was not asked. */
  readonly account?: AccountAnswer | undefined;
  /** The owners of the ranges of subordinate uids (/etc/subuid) that hold `uid`; absent: none does. `unknown`: that cannot be found out. */
  readonly rangeOwners?: readonly RangeOwner[] | 'unknown' | undefined;
  readonly groups?: readonly number[] | undefined;
  /** Only for records, never for policy. Unproven: the peer may have chosen it. The login only binds or forbids access on request. */
  readonly exe?: string | undefined;
  readonly exeUnproven?: string | undefined;
  readonly unit?: string | undefined;
  readonly unitUnproven?: string | undefined;
  readonly loginUid?: number | undefined;
  /** The system's name of the login uid, where it differs from `uid`. */
  readonly loginUser?: string | undefined;
  /** What the name service says of the login uid, where it differs from `uid`. */
  readonly loginAccount?: AccountAnswer | undefined;
  /** As `rangeOwners`, for the login uid: a process without a login can take any, also one of a container. */
  readonly loginOwners?: Peer['rangeOwners'];
  /** The kernel says that the process belongs to no login; false and undefined: it has one, or that is unknown. */
  readonly hasNoLogin?: boolean | undefined;
  /** For a TCP peer: its address in text form, without the port. */
  readonly address?: string | undefined;
  /** For a verified client certificate: the matched name. */
  readonly certificate?: string | undefined;
}

/** `user`: the name, where the range is written with one; `uid` is undefined while the name has none. */
export interface RangeOwner {
  readonly uid?: number | undefined;
  readonly user?: string | undefined;
  readonly isGone?: boolean | undefined;
}

/** Empty: no range holds its uid, or that is unknown. */
export function ownersOf({ rangeOwners }: Pick<Peer, 'rangeOwners'>): readonly RangeOwner[] {
  return rangeOwners === undefined || rangeOwners === 'unknown' ? [] : rangeOwners;
}

/**
 * Whether a uid has an account. `unanswered`: the name service was asked and did not answer in time. `crowded`: it was not asked, since too
 * many uids wait for that. In both cases the uid may have a name that is unknown now.
 */
export type AccountAnswer = 'found' | 'none' | 'unanswered' | 'crowded';

/**
 * The key under which an address is counted, equal for all spellings: an IPv4 address, or the /64 of an IPv6 one, because a host has all
 * addresses of its /64. `::ffff:192.0.2.1` counts as 192.0.2.1; an invalid address counts as written.
 */
export function networkOf(address: string): string {
  const bare = withoutZone(address).toLowerCase();
  const groups = isIPv6(bare) ? addressGroups(bare) : undefined;
  if (groups === undefined) return bare;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  const isMapped = f === 0xffff && a + b + c + d + e === 0;
  if (isMapped) return [g >> 8, g & 0xff, h >> 8, h & 0xff].join('.');
  return `${[a, b, c, d].map((group) => group.toString(16)).join(':')}::/64`;
}

/** Only addresses: a name such as localhost can be mapped to another machine. */
export function isLoopback(host: string): boolean {
  return host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** Where admin endpoints are permitted without TLS. `localhost` is the one name that resolvers must answer with a loopback address. */
export function isOfThisMachine(host: string): boolean {
  return host === 'localhost' || isLoopback(host);
}

export interface Network {
  readonly address: string;
  readonly bits: number;
  /** False: bits are set beyond its length. */
  readonly isFirst: boolean;
}

/** Reads an address or `ADDRESS/BITS`; undefined: the text is neither. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = '', length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const groups = addressGroups(address);
  if (groups === undefined) return undefined;
  const most = isIPv4(address) ? 32 : 128;
  const bits = length === undefined ? most : Number(length);
  if (bits > most) return undefined;
  // Counted in the mapped form, so that both kinds end at bit 128.
  const counting = (index: number) => Math.min(16, Math.max(0, bits + 128 - most - index * 16));
  const isFirst = groups.every((group, index) => (group & (0xffff >> counting(index))) === 0);
  return { address, bits, isFirst };
}

/**
 * Whether an address may connect; without networks all may. A socket for both families gives `::ffff:192.0.2.1`, which BlockList treats as
 * the IPv4 address. An invalid address is in no network.
 */
export function createGate(networks: readonly string[]): (address: string | undefined) => boolean {
  if (networks.length === 0) return () => true;
  const list = new BlockList();
  for (const network of networks) {
    const { address = '', bits = 0 } = parseNetwork(network) ?? {};
    if (address !== '') list.addSubnet(address, bits, isIPv4(address) ? 'ipv4' : 'ipv6');
  }
  return (address) => {
    const bare = withoutZone(address ?? '');
    return isIP(bare) !== 0 && list.check(bare, isIPv4(bare) ? 'ipv4' : 'ipv6');
  };
}

/** The eight numbers of an address without a zone, an IPv4 one as mapped into IPv6; undefined: it is invalid. */
function addressGroups(text: string): number[] | undefined {
  const six = isIPv4(text) ? `::ffff:${text}` : text;
  if (!isIPv6(six) || six.includes('%')) return undefined;
  // The URL parser writes every IPv6 address in hexadecimal, with at most one `::`.
  const halves = new URL(`http://[${six}]`).hostname.slice(1, -1).split('::');
  const [left = [], right = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const zeros = Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16));
}

function withoutZone(address: string): string {
  return address.replace(/%.*$/s, '');
}
