// Collects findings. A fault that breaks every command must not fill the memory or the terminal, so each code has a limit.

export const codes = [
  'not-allowed',
  'not-admitted',
  'not-true',
  'open',
  'chain',
  'fleet',
  'verifier',
  'wrong-answer',
  'false-complete',
  'twice',
  'wrong-refusal',
  'lost',
  'unfair',
  'leak',
  'secret',
] as const;

export type Code = (typeof codes)[number];

const linesMax = 20;

export interface Report {
  add(code: Code, what: string, where: string): void;
  count(code: Code): number;
  total(): number;
  /** One line for each finding, then the number of those that are left out. */
  lines(): string[];
  toJson(): { code: Code; count: number; findings: { what: string; where: string }[] }[];
}

export function createReport(): Report {
  const kept = new Map<Code, { what: string; where: string }[]>();
  const counts = new Map<Code, number>();
  const count = (code: Code): number => counts.get(code) ?? 0;
  return {
    add(code, what, where) {
      counts.set(code, count(code) + 1);
      const list = kept.get(code) ?? [];
      kept.set(code, list);
      if (list.length < linesMax) list.push({ what: printable(what), where: printable(where) });
    },
    count,
    total: () => codes.reduce((sum, code) => sum + count(code), 0),
    lines() {
      return codes.flatMap((code) => {
        const list = kept.get(code) ?? [];
        const more = count(code) - list.length;
        const lines = list.map(({ what, where }) => `${code}: ${what}, ${where}`);
        return more > 0 ? [...lines, `${code}: ${more} more`] : lines;
      });
    },
    toJson: () =>
      codes
        .filter((code) => count(code) > 0)
        .map((code) => ({ code, count: count(code), findings: kept.get(code) ?? [] })),
  };
}

/** Evidence holds bytes of hostile clients: none of them may reach the terminal as a control character. */
function printable(value: string): string {
  const shown = value.length > 400 ? `${value.slice(0, 400)}...` : value;
  return shown.replace(
    /[^ -~]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
