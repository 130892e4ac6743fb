// Owns what counts as one place on the network: an IPv4 address, or the /64 of an IPv6 one, since who has one address there
// has all of them. Pure. It does not know who may come from where.

/**
 * The text under which an address is counted; one text for all spellings of one place. An IPv4 address in IPv6 clothes
 * (`::ffff:192.0.2.1`) counts as itself. What is no address counts as it is written.
 */
export function networkOf(address: string): string {
  const bare = address.replace(/%.*$/s, '').toLowerCase();
  if (!bare.includes(':')) return bare;
  const groups = groupsOf(bare);
  if (groups === undefined) return bare;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  const isMapped = f === 0xffff && a + b + c + d + e === 0;
  if (isMapped) return [g >> 8, g & 0xff, h >> 8, h & 0xff].join('.');
  return `${[a, b, c, d].map((group) => group.toString(16)).join(':')}::/64`;
}

/** The eight numbers of an address without a zone, an IPv4 one as mapped into IPv6; undefined: it is none. */
export function addressGroups(text: string): number[] | undefined {
  return groupsOf((text.includes(':') ? text : `::ffff:${text}`).toLowerCase());
}

/** The eight numbers of an IPv6 address; undefined: it is none. */
function groupsOf(text: string): number[] | undefined {
  const dotted = /^(.*:)(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const [, head = '', ...octets] = dotted ?? [];
  const [a = 0, b = 0, c = 0, d = 0] = octets.map(Number);
  if (Math.max(a, b, c, d) > 255) return undefined;
  const plain =
    dotted === null ? text : `${head}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  const halves = plain.split('::');
  if (halves.length > 2) return undefined;
  const [left = [], right = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - left.length - right.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...left, ...Array<string>(missing).fill('0'), ...right];
  return all.every((group) => /^[0-9a-f]{1,4}$/.test(group))
    ? all.map((group) => Number.parseInt(group, 16))
    : undefined;
}
