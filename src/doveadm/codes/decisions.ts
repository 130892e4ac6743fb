// The decisions of policy, in one table: the `code` of a decision, and the key `denial` of the completion of a refused command. Codes are
// never renamed: journals hold them. The client's sentence is that of the code that it got (`codes.ts`).

export const decisionCodes = {
  allowed: ['a rule allows it'],
  granted: ['a grant allows it: a rule of `on_request`, approved for a time'],
  observed: ['no rule allows it, and the policy only observes'],
  'no-user': ['it names no mailbox user where one is needed', 'name one'],
  user: ['a user that the policy does not hold for', 'widen `users`, or ask elsewhere'],
  except: ['a user under `except`'],
  never: ['something that no rule can allow'],
  'deny-rule': ['a line of `deny`'],
  'no-rule': ['no rule names the command', 'add one'],
  'rule-misses': ['a rule allows this command, but not like this', 'see `missing`'],
  // Reasons that apply only after a rule has allowed the command.
  'no-reason': [
    'its rule asks for a reason, and the client gave none',
    'say why: `dovegate send --reason TEXT`',
  ],
  'reason-short': [
    'its rule asks for a reason, and the given one says nothing',
    'say why, in words: `dovegate send --reason TEXT`',
  ],
  'too-many-matches': ['more mails match than its rule or its grant permits', 'narrow the query'],
  'not-served': ['its peer is not served any more since a reload'],
  'grant-used-up': ['the access that was given for it is used up', 'ask for access again'],
  'grant-revoked': ['the access that was given for it was revoked', 'ask for access again'],
  'grant-ended': ['the access that was given for it is over', 'ask for access again'],
  'grant-withheld': [
    'its grant, given without a request, is not for processes without a login',
    'log in, or ask for access',
  ],
} as const satisfies Readonly<Record<string, readonly [means: string, ask?: string]>>;

export type DecisionCode = keyof typeof decisionCodes;

export function isDecisionCode(text: unknown): text is DecisionCode {
  return typeof text === 'string' && Object.hasOwn(decisionCodes, text);
}
