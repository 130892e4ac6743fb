// Explanations as `explain` prints them for people. It does not know where they come from; where rules were written is shown only if
// whoever asks has read it from the files himself.

import type { RuleInWords } from '../../domain/policy/answer.js';
import type { Explanation } from '../../domain/policy/explanation.js';
import { formatCanonical, formatColumns, plain } from './output.js';

/** Where rules were written, safe to show. */
export interface ExplanationPlaces {
  readonly rule: string | undefined;
  readonly nearest: string | undefined;
}

/** Several lines, without the last LF; `meant`: the command whose name an unknown one nearly is. */
export function formatExplanation(
  explanation: Explanation,
  meant: string | undefined,
  places?: ExplanationPlaces,
): string {
  const { principal, command, sent, concerns, effect, terms, later } = explanation;
  const rows = [
    ['asked by', plain(principal)],
    ...(command === undefined ? [] : [['command', plain(command)]]),
    ...(sent.length === 0 ? [] : [['sent as', formatCanonical(sent)]]),
    ...(concerns === undefined ? [] : [['concerns', plain(concerns)]]),
    ...(effect === undefined || sent.length === 0 ? [] : [['effect', plain(effect)]]),
    ['backend', backendOf(explanation)],
    ...(terms.length === 0 ? [] : [['on terms', plain(terms.join('; '))]]),
    ...later.map((text) => ['not yet', plain(text)]),
  ];
  return [
    headlineOf(explanation, meant, places?.rule),
    formatColumns(rows, '  '),
    // Whoever is told the line can look it up.
    ...(explanation.rule === undefined || places?.rule !== undefined
      ? []
      : [`the rule:\n${sayRule(explanation.rule)}`]),
    ...nearestOf(explanation, places?.nearest),
    ...(explanation.differs.length === 0 ? [] : [`the series differ:\n${indent(explanation.differs)}`]),
  ].join('\n\n');
}

function headlineOf(explanation: Explanation, meant: string | undefined, place: string | undefined): string {
  const { decision, reason, would, policy, obstacle, noBackend } = explanation;
  const by = place === undefined ? '' : ` by ${place}`;
  switch (decision) {
    case 'unparsable': {
      const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
      return plain(`refused, it cannot be read: ${reason}${hint}`);
    }
    case 'deny':
      return `denied${by}: ${plain(reason)}`;
    case 'allow': {
      if (obstacle !== undefined) {
        return `allowed${by}, and it cannot be carried out: ${plain(noBackend ?? obstacle)}`;
      }
      if (would !== undefined)
        return `allowed, since ${plain(reason)}; enforced, it would be denied: ${plain(would)}`;
      const rule = explanation.rule === undefined ? plain(reason) : `a rule of policy ${plain(policy)}`;
      return by === '' ? `allowed: ${rule}` : `allowed${by}, ${rule}`;
    }
    default:
      return decision satisfies never;
  }
}

function backendOf({ backends, noBackend, series }: Explanation): string {
  const read = plain(series.join(' and as '));
  if (noBackend === undefined) return `${plain(backends.join(', '))} (read as Dovecot ${read})`;
  return `none: ${plain(noBackend)}${read === '' ? '' : ` (read as ${read})`}`;
}

function nearestOf({ nearest }: Explanation, place: string | undefined): string[] {
  if (nearest === undefined) return [];
  const missing = indent(nearest.missing.map((text) => `  ${text}`));
  return [
    `nearest rule${place === undefined ? '' : `, ${place}`}:\n${sayRule(nearest)}\nwhat is missing:\n${missing}`,
  ];
}

function sayRule({ command, says }: RuleInWords): string {
  return indent([command, ...says.map((text) => `  ${text}`)]);
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `  ${plain(line)}`).join('\n');
}
