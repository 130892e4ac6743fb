// Owns which policy of a listener holds for whom. Pure.
// It does not know how persons are written or told from another: that comes in (by the kernel's numbers at the accept, by
// names in policy tests). The rule: whom no line takes is not let in.

/** Who is let in at all, and the names of the policies with whose they are; absent: everybody. */
export interface Choices<Peers> {
  readonly peers?: Peers;
  readonly policies: readonly { readonly peers?: Peers; readonly policy: string }[];
}

/** Name of the policy for somebody; undefined: they are not let in. */
export function choosePolicy<Peers>(
  { peers, policies }: Choices<Peers>,
  isAmong: (peers: Peers) => boolean,
): string | undefined {
  if (peers !== undefined && !isAmong(peers)) return undefined;
  return policies.find((choice) => choice.peers === undefined || isAmong(choice.peers))?.policy;
}

/** Name of the policy for somebody who is let in and is nobody in particular; undefined: every policy is somebody's. */
export function policyOfAnybody<Peers>({ policies }: Choices<Peers>): string | undefined {
  return policies.find((choice) => choice.peers === undefined)?.policy;
}

/** Whether it matters who connects. */
export function demandsIdentity<Peers>({ peers, policies }: Choices<Peers>): boolean {
  return peers !== undefined || policies.some((choice) => choice.peers !== undefined);
}
