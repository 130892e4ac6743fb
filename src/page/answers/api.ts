// The interface between the page in the browser and the daemon: the shapes of the answers. The endpoints are in ./endpoints. A name of a
// mail user occurs only in answers for `audit`.

import type { TrailContent } from '../../evidence/story/row.js';
import type { MailboxDeed, ReachWay } from '../../evidence/views/reach.js';
import type { AccessListed } from '../../gate/access/access-item.js';
import type { Now } from '../../gate/now/now.js';
import type { StoredRecord } from '../../host/values/values.js';
import type { PageRole } from '../../rules/identity/roles.js';

/** The requests for access that the daemon lists to this person, or the one that was just decided. */
export type Approvals = AccessListed;

/** The first commands admitted under a grant, with `time`, `id`, `command`, `args`, `user`. */
export interface Uses {
  readonly uses: readonly StoredRecord[];
}

/** The body of every answer that is not 200. */
export interface Refused {
  /** A sentence: what happened, and what to do. */
  readonly text: string;
}

export interface Ways {
  readonly link: boolean;
  readonly password: boolean;
  readonly certificate: boolean;
  readonly oidc?: OidcWay;
}

export interface OidcWay {
  /** The issuer's host. */
  readonly at: string;
  /** Why this way to sign in cannot be used. */
  readonly text?: string;
  /** Where this browser signs out there. */
  readonly signOut?: string;
}

/** A sign-in at the issuer begins. Each value is 43 characters of base64url; the verifier stays in the browser until `oidc-finish`. */
export interface OidcBegin {
  readonly state: string;
  readonly nonce: string;
  /** SHA-256 of the verifier. */
  readonly challenge: string;
  /** Whether the issuer must ask who signs in, even in a browser that it knows. */
  readonly asksWho?: boolean;
}

export interface OidcBegun {
  readonly address: string;
  readonly issuer: string;
}

/** Back from the issuer: the values sent with `oidc-begin`, their verifier, and the issuer's answer. */
export interface OidcFinish extends Pick<OidcBegun, 'issuer'>, Pick<OidcBegin, 'state' | 'nonce'> {
  readonly verifier: string;
  /** The parameters after `#` or `?` in the address that the issuer sent the browser to. */
  readonly response: string;
}

/** Empty: sign in by the certificate of the connection. */
export interface Login {
  readonly name?: string;
  readonly password?: string;
}

/** A session has begun; send `Authorization: Bearer TOKEN` from now on. */
export interface Entered {
  readonly token: string;
  /** RFC 3339. */
  readonly ends: string;
}

export interface Me {
  readonly name: string;
  readonly roles: readonly PageRole[];
  /** Patterns of mail users; absent: all. */
  readonly users?: readonly string[];
  /** The person signed in at the issuer (OpenID Connect). */
  readonly isByIssuer: boolean;
  /** When the session ends; RFC 3339. */
  readonly ends: string;
  readonly host: string;
  readonly version: string;
}

export interface Done {
  readonly text: string;
}

/** While the daemon does not answer: the data of the event `away`, once or more a second. */
export interface Away {
  readonly text: string;
}

/** The parts that changed, each of them whole. */
export type NowChange = Pick<Now, 'at'> & Partial<Now>;

export interface RuleShown {
  readonly command: string;
  readonly says: readonly string[];
  /** FILE:LINE. */
  readonly place?: string;
}

export interface Explained {
  /** The words of `expect` in policy tests. `obstacle`: the policy allows the command, but it could not be carried out. */
  readonly decision: 'allow' | 'deny' | 'unparsable' | 'obstacle';
  readonly text: string;
  readonly principal: string;
  readonly policy: string;
  readonly rule?: RuleShown;
  readonly nearest?: RuleShown & { readonly missing: readonly string[] };
  /** For a denial: the lines to paste, the list that they belong to, its FILE:LINE, and a sentence for whatever else they permit. */
  readonly toAllow?: readonly {
    readonly into: string;
    readonly place: string;
    /** Where the lines go, in words. */
    readonly edit: string;
    readonly lines: readonly string[];
    readonly also: readonly string[];
  }[];
  readonly cannotAllow?: string;
  /** The command in its canonical form: the name and the arguments as they would be sent. Empty: it cannot be read. */
  readonly sent: readonly string[];
  readonly concerns?: string;
  readonly effect?: string;
  readonly content?: TrailContent;
  readonly backends: readonly string[];
  readonly noBackend?: string;
  readonly series: readonly string[];
  readonly terms: readonly string[];
  readonly later: readonly string[];
  /** A sentence for each difference in the answer between Dovecot series. */
  readonly differs: readonly string[];
  /** A case for `dovegate test`, as YAML; absent: no test can express it. */
  readonly test?: string;
}

export interface SuggestedGroup {
  /** `rule`: may be ticked; `once`: seen once, not harmless; `root`, `everybody`: permits too much; `refused`: denied in the policy. */
  readonly kind: 'rule' | 'once' | 'root' | 'everybody' | 'refused';
  readonly command: string;
  /** The rule as lines of YAML with its comments, without indentation; empty where no rule would do, or a preset has it. */
  readonly yaml: readonly string[];
  readonly effect: string;
  readonly content?: TrailContent;
  readonly seen: number;
  /** At most 20 principals, and how many there are. */
  readonly byWhom: readonly string[];
  readonly byCount: number;
  readonly usersCount: number;
  /** RFC 3339. */
  readonly last: string;
  readonly example: readonly string[];
  readonly exampleUser?: string;
  readonly why?: string;
  /** The rule of the policy, as FILE:LINE, that allows all of these already. */
  readonly allowedBy?: string;
}

export interface LookedThrough {
  readonly records: number;
  /** RFC 3339, of the first and the last of these commands. */
  readonly from?: string;
  readonly to?: string;
  /** False: time ran out, and records after `readTo` were not read. `readTo` is absent if none was read. */
  readonly isAll: boolean;
  readonly readTo?: string;
  /** Damage, and records that cannot be evaluated, a sentence each. */
  readonly notes: readonly string[];
}

export interface Suggested {
  readonly policy: string;
  readonly place: string;
  readonly looked: LookedThrough;
  /** The text around the rules: up to `allow`, and after them. */
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly groups: readonly SuggestedGroup[];
}

export interface Checked {
  readonly problems: readonly {
    readonly severity: 'error' | 'warning';
    readonly line: number;
    readonly column: number;
    readonly text: string;
  }[];
}

export interface Replayed extends Checked {
  /** Absent: the text has errors. */
  readonly result?: {
    readonly looked: LookedThrough;
    readonly allowToDeny: number;
    readonly denyToAllow: number;
    /** For the statement that nobody may do more than before, and for the one that the person asked about. */
    readonly proofs: readonly Proved[];
    /** Commands refused for another reason than then, or whose decision depends on how many mails match. */
    readonly otherwise: number;
    /** The most frequent first, at most 50. */
    readonly changes: readonly {
      readonly from: string;
      readonly to: string;
      readonly words: readonly string[];
      readonly count: number;
      readonly users: number;
      readonly by: string;
      readonly last: string;
      readonly reason: string;
    }[];
  };
}

/** The texts are raw: the reader makes them harmless. */
export interface Proved {
  readonly statement: string;
  readonly lines: readonly string[];
}

/** Who reaches a mailbox through the gate. */
export interface MailboxAccess {
  /** The mail user in canonical form; or a pattern, which stands for any user that it matches. */
  readonly user: string;
  readonly rows: readonly {
    /** "key modoboa at api" */
    readonly who: string;
    readonly policy: string;
    readonly place: string;
    /** Who decides about the requester's requests for access, in words. */
    readonly approvers: readonly string[];
    readonly rules: readonly ReachingRule[];
  }[];
  /** Requesters that do not reach the mailbox. */
  readonly others: readonly string[];
  /** What is unknown or not covered here, a sentence each. */
  readonly notes: readonly string[];
}

export interface ReachingRule extends RuleShown {
  readonly way: ReachWay;
  readonly deeds: readonly MailboxDeed[];
  /** Deeds of which no command line was found, with why. */
  readonly perhaps: readonly { readonly deed: MailboxDeed; readonly why: string }[];
}

export interface PolicyHistory {
  readonly looked: LookedThrough;
  /** Each start and reload that changed the policies, the last one first; at most 200. */
  readonly periods: readonly {
    /** The number of the record of the start or reload. */
    readonly seq: number;
    /** RFC 3339; `until` absent: they are in force. */
    readonly time: string;
    readonly until?: string;
    /** In force since before the oldest record: what it changed is not known. */
    readonly isOlder: boolean;
    /** Words: "reload by root (uid 0, login uid 1000)". */
    readonly began: string;
    /** `+` permits more, `-` permits less, `~` may be either. */
    readonly changes: readonly { readonly sign: '+' | '-' | '~'; readonly words: string }[];
    readonly notes: readonly string[];
    /** The changed files, with their owners and times. */
    readonly files: readonly string[];
    /** The numbers below in words. */
    readonly counts: readonly string[];
    /** The kinds of commands that the policies before would have denied. */
    readonly newly: readonly string[];
    readonly commands: number;
    readonly denied: number;
    readonly redacted: number;
    readonly unjudged: number;
    readonly unlisted: number;
  }[];
}

/** Rows: listeners, accounts and keys; columns: classes of effect; the cells are those of the row's policy. */
export interface AccessTable {
  readonly effects: readonly { readonly name: string; readonly commands: number }[];
  readonly rows: readonly {
    readonly kind: 'listener' | 'account' | 'key';
    readonly listener: string;
    readonly name: string;
    /** For a listener: the people of this host that the policy is for; absent: everybody who may connect. */
    readonly people?: string;
    readonly policy: string;
  }[];
  readonly policies: readonly AccessPolicy[];
  /** People of the page with the role `approve` decide about requests, too. */
  readonly approvesOnPage: boolean;
}

export interface AccessPolicy {
  readonly name: string;
  readonly place: string;
  readonly isObserving: boolean;
  /** FILE:LINE of its shadow: a candidate policy that is evaluated and recorded, but not enforced. */
  readonly shadow?: string;
  readonly users: readonly string[];
  readonly except: readonly string[];
  readonly limits: readonly string[];
  /** One for each class of effect. `mayAll`: a command of the cell may be run for all users at once. */
  readonly cells: readonly AccessCell[];
  /** Commands that may show or search what is in mails, whatever their effect. */
  readonly content: AccessCell;
  readonly allow: readonly RuleOfPolicy[];
  readonly deny: readonly RuleOfPolicy[];
  /** Commands that may be requested. The words of each begin with what its grant needs and permits. */
  readonly onRequest: readonly RuleOfPolicy[];
  /** `approvers`: policies whose people decide about these requests; `approve`: policies about whose requests this one's people decide. */
  readonly approvers: readonly string[];
  readonly approve: readonly string[];
}

export interface AccessCell {
  readonly commands: readonly string[];
  /** Commands that may be requested. */
  readonly onRequest: readonly string[];
  readonly mayAll: boolean;
}

export interface RuleOfPolicy extends RuleShown {
  readonly effect: string;
  readonly content?: TrailContent;
}

export interface KeysTable {
  /** Since when uses are known: the start of the daemon. */
  readonly since: string;
  /** The earliest end first, rows without an end last. */
  readonly rows: readonly {
    readonly kind: 'account' | 'key' | 'certificate';
    /** For a certificate: its listener or backend. */
    readonly name: string;
    readonly listener?: string;
    readonly policy?: string;
    /** How the account or key authenticates, or what the certificate is for; may be empty. */
    readonly what: string;
    /** RFC 3339; absent: it does not end, or that is not known. */
    readonly ends?: string;
    readonly lastUsed?: string;
    /** The network of the last use, such as 192.0.2.7/32. */
    readonly lastFrom?: string;
    readonly failures?: number;
    readonly lastFailed?: string;
    readonly failedFrom?: string;
    /** No use since the start of the daemon, or for 90 days. */
    readonly isUnused: boolean;
  }[];
}
