// Why a client wants its next command, as it says it: `TAB TAB OPTION TAB dovegate-reason=TEXT`. It does not know who needs
// to say so. It never goes upstream.

const option = 'dovegate-reason=';
const bytesMax = 512;

/** The reason in the name of an option, cut to its limit at a character; undefined: it is another option. */
export function statedReason(name: string): string | undefined {
  if (!name.startsWith(option)) return undefined;
  let text = name.slice(option.length);
  while (Buffer.byteLength(text) > bytesMax) text = text.slice(0, -1);
  return text;
}
