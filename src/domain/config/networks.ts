// Owns the networks that may connect: how they are written, and whether an address is in one of them.
// It does not know sockets. The rule: an IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`), as a socket for both gives it,
// is that IPv4 address; what is no address is in no network.
import { addressGroups } from '../identity/network-of.js';
import type { Cursor } from './written.js';

/** A network that was read: the eight groups of its first address, IPv4 mapped, and how many bits of them count. */
interface Network {
  readonly groups: readonly number[];
  readonly bits: number;
}

/** `from` of a listener, as written; what is no network is told. */
export function parseNetworks(at: Cursor): string[] {
  return at.words('from').map(({ text }, index) => {
    const network = parseNetwork(text);
    if (network === undefined) {
      at.error(
        ['from', index],
        'must be an address or a network, as 192.0.2.7, 192.0.2.0/24 or "2001:db8::/32"',
      );
    } else if (!isFirst(network)) {
      at.error(['from', index], 'has bits set beyond its length; write the first address of the network');
    }
    return text;
  });
}

/** Whether an address may connect. No network at all: every one may. */
export function createGate(networks: readonly string[]): (address: string | undefined) => boolean {
  const known = networks.flatMap((text) => parseNetwork(text) ?? []);
  if (networks.length === 0) return () => true;
  return (address) => {
    const groups = addressGroups((address ?? '').replace(/%.*$/s, ''));
    return groups !== undefined && known.some((network) => isIn(groups, network));
  };
}

function parseNetwork(text: string): Network | undefined {
  const [, address = '', length] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const groups = addressGroups(address);
  if (groups === undefined) return undefined;
  const isFour = !address.includes(':');
  // One number would be taken for the last group of an IPv6 address.
  if (isFour && !address.includes('.')) return undefined;
  const most = isFour ? 32 : 128;
  const bits = length === undefined ? most : Number(length);
  return bits > most ? undefined : { groups, bits: isFour ? bits + 96 : bits };
}

function isIn(groups: readonly number[], { groups: first, bits }: Network): boolean {
  return groups.every((group, index) => {
    const counting = Math.min(16, Math.max(0, bits - index * 16));
    return group >> (16 - counting) === (first[index] ?? 0) >> (16 - counting);
  });
}

function isFirst({ groups, bits }: Network): boolean {
  return groups.every((group, index) => {
    const counting = Math.min(16, Math.max(0, bits - index * 16));
    return (group & (0xffff >> counting)) === 0;
  });
}
