/** The texts in these lines, which have `|` between them. */
export function listed(...lines: readonly string[]): string[] {
  return lines.flatMap((line) => line.split('|'));
}
