// A proof in words, for the terminal and the page. Texts are raw: callers make them harmless.

import type { Statement } from '../../rules/answers/statement.js';
import type { Proof, Witness } from './prove.js';

/** `lineOf` formats words as a person would type them. */
export function proofLines(
  proof: Proof,
  { isWithApproval }: Pick<Statement, 'isWithApproval'>,
  lineOf: (words: readonly string[]) => string,
  placeOf = ({ file, line }: NonNullable<Witness['rule']>): string => `${file}:${line}`,
): string[] {
  switch (proof.kind) {
    case 'holds': {
      const left = isWithApproval ? 'how many must approve' : 'what another person would have to approve';
      return [
        `holds${proof.notes.map((note) => `: ${note}`).join('')}`,
        `left out: limits, locks, who can open a socket, ${left}`,
      ];
    }
    case 'disproved': {
      const { who, policy, rule, user, words, effect, isGranted } = proof.witness;
      const by = rule === undefined ? 'which observes' : `by ${placeOf(rule)}`;
      const asked = isGranted ? ' on request' : '';
      return [
        `disproved: ${who} may run this${asked} (policy ${policy}, ${by}):`,
        `  ${lineOf(words)}${user === '' ? '' : ` for ${user}`} (effect ${effect})`,
      ];
    }
    case 'undecided':
      return [`undecided: ${proof.reason}`];
    default:
      return proof satisfies never;
  }
}
