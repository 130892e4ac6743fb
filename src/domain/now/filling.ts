// The journal fills with records that must not be removed yet: what `dovegate status` and the page say of it.

export interface FillingFacts {
  /** Of audit.max_size. */
  readonly share: number;
  /** The largest writers, and their shares of these records; empty: they are not known. */
  readonly largest: readonly { readonly principal: string; readonly share: number }[];
}

export function sayFilling({ share, largest }: FillingFacts): {
  readonly text: string;
  readonly try: string;
} {
  const percent = (part: number): string => `${Math.round(100 * part)} %`;
  const names = largest.map((one) => `${one.principal} (${percent(one.share)})`).join(', ');
  const who =
    names === '' ? 'Who wrote them is not known.' : `The largest writers are refused first: ${names}.`;
  const [first = { principal: 'NAME' }] = largest;
  return {
    text: `Records younger than audit.keep_min fill ${percent(share)} of audit.max_size. ${who}`,
    try: `find out what they do in a loop (dovegate audit search --principal ${first.principal} --since 1h); raise audit.max_size, or lower audit.keep_min`,
  };
}
