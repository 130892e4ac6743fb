// Who can help where a command was denied or failed: the first thing that a person on call has to know. Also for the browser.

/** Writers of policies, the requester, operators who drain, kill, lock and hold, the people of the mail server, or of dovegate's host. */
export type TroubleOwner = 'policy' | 'requester' | 'operator' | 'server' | 'gate';

/**
 * Codes of the keys `error` and `denial`; one that is in no list is a matter of dovegate's own host. Codes of look-ups begin with
 * `lookup-`, those of broken replies with `reply-`.
 */
const ofServer = new Set(
  (
    'dial-refused,dial-timeout,tls-failed,auth-rejected,version-unsupported,closed-early,early-answer,' +
    'not-all-backends,backend-failed,over-quota'
  ).split(','),
);
const ofRequester = new Set(
  (
    'user-unknown,exists,client-gone,client-stall,client-slow,over-share,input-cut,input-late,' +
    'input-too-long,input-command-like,grant-over,access-unknown,access-invalid,' +
    'no-user,no-reason,reason-short,too-many-matches,grant-withheld,grant-used-up,grant-revoked,grant-ended'
  ).split(','),
);
const ofPolicy = new Set(['denied', 'over-limit']);
const ofOperator = new Set(['killed', 'backend-drained', 'locked', 'held']);
/** Codes of a backend's status: the thing that was asked for does not exist, or cannot. */
const statusesOfRequester = new Set(['NOUSER', 'NOTFOUND', 'DATAERR', 'USAGE', 'EXPIRED', 'CHANGED']);

export function ownerWords(
  owner: TroubleOwner,
  {
    policy = '',
    backend = '',
  }: { readonly policy?: string | undefined; readonly backend?: string | undefined },
): string {
  switch (owner) {
    case 'policy':
      return policy === '' ? 'a policy' : `policy ${policy}`;
    case 'requester':
      return 'the requester';
    case 'operator':
      return 'an operator of dovegate';
    case 'server':
      return `the mail server${backend && ` ${backend}`}`;
    case 'gate':
      return 'dovegate or its host';
    default:
      return owner satisfies never;
  }
}

export function ownerOf(ended: {
  readonly outcome: string;
  readonly denial: string | undefined;
  readonly error: string | undefined;
  readonly status: string;
}): TroubleOwner {
  const { outcome, denial, error, status } = ended;
  if (error !== undefined && ofOperator.has(error)) return 'operator';
  if (outcome === 'denied') return ofRequester.has(denial ?? error ?? '') ? 'requester' : 'policy';
  const [, word = ''] = /^-([A-Z]{1,12})(?:\t|$)/.exec(status) ?? [];
  if (error === undefined) return statusesOfRequester.has(word) ? 'requester' : 'server';
  if (ofPolicy.has(error)) return 'policy';
  if (outcome === 'unparsable' || ofRequester.has(error)) return 'requester';
  return ofServer.has(error) || /^(lookup|reply)-/.test(error) ? 'server' : 'gate';
}
