// Reads `from` of a listener: the networks that may connect.
import { parseNetwork } from '../identity/peer.js';
import type { Cursor } from './cursor.js';

/** `from` of a listener, as written; what is no network is told. */
export function parseNetworks(at: Cursor): string[] {
  return at.words('from').map(({ text }, index) => {
    const network = parseNetwork(text);
    if (network === undefined) {
      at.error(
        ['from', index],
        'must be an address or a network, as 192.0.2.7, 192.0.2.0/24 or "2001:db8::/32"',
      );
    } else if (!network.isFirst) {
      at.error(['from', index], 'has bits set beyond its length; write the first address of the network');
    }
    return text;
  });
}
