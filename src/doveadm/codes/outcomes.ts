// The outcomes of policy for one line. The kinds are the words of the keys `would` and `shadow` of a record, and are never renamed:
// journals hold them. Each has what a policy would do, for sentences as `the candidate would deny it`.

export const policyOutcomes = {
  served: 'serve it',
  depends: 'serve it, if few enough mails match',
  denied: 'deny it',
  'on-request': 'want a request for it',
  'no-reason': 'want a reason for it',
  'over-limit': 'refuse it, over a limit',
  unparsable: 'not understand it',
} as const satisfies Readonly<Record<string, string>>;

export type PolicyOutcome = keyof typeof policyOutcomes;

export function isPolicyOutcome(text: unknown): text is PolicyOutcome {
  return typeof text === 'string' && Object.hasOwn(policyOutcomes, text);
}

/** For a search: those that a record can hold. */
export const policyOutcomeWords: readonly string[] = Object.keys(policyOutcomes);

const voices = { would: 'the rules', shadow: 'the candidate' } as const;

/** `the rules would deny it`, of a policy that observes; `the candidate would serve it`; undefined: as it was done. */
export function wouldWords(key: keyof typeof voices, outcome: unknown): string | undefined {
  return isPolicyOutcome(outcome) ? `${voices[key]} would ${policyOutcomes[outcome]}` : undefined;
}
