// Owns what can be known about the process at the other end of an accepted transport, before anybody trusts it.
// Types only: who gathers these facts (kernel, TLS) is not known here.
// The rule: every field but `listener` may be missing, and a missing fact is never read as a permission.

/** Facts about a peer; each was told by the kernel or by a verified certificate, never by the peer itself. */
export interface Peer {
  /** Name of the listener that accepted it. */
  readonly listener: string;
  /** Ids as the kernel gave them for a UNIX socket, at the moment of connect. */
  readonly uid?: number;
  readonly gid?: number;
  readonly pid?: number;
  /** The system's name for `uid`, if it has one. */
  readonly user?: string;
  /** Ids of its supplementary groups, at the same moment. */
  readonly groups?: readonly number[];
  /** Only for records: the program, the unit, the login session's uid. Never an input of policy. */
  readonly exe?: string;
  readonly unit?: string;
  readonly loginUid?: number;
  /** Of a TCP peer: its address in text form, without the port. */
  readonly address?: string;
  /** Of a verified client certificate: the name that was matched. */
  readonly certificate?: string;
}
