// Access on request: undecided requests, live grants, and every step between them. The journal is the database: a start hands over what its
// records say, and the same fold (`AccessBook`) follows what is recorded here. A step is on disk before it takes effect or is answered, and
// a grant also has a signed checkpoint after it. An end takes effect at once, even if its record fails. A grant ends by the wall clock or
// by the monotonic one, whichever comes first.

import type { DecisionCode } from '../../doveadm/codes/decisions.js';
import { commandsNamed } from '../../doveadm/commands/catalog.js';
import type { AccessStep, AccessValues, AccessVerb } from '../../doveadm/verbs/verbs.js';
import { bounds } from '../../host/bounds/bounds.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import { formatDuration } from '../../host/words/durations.js';
import {
  AccessBook,
  type AccessEntry,
  accessTermsOf,
  isBound,
  LastEnds,
  whyNotWhole,
} from '../../journal/records/access-book.js';
import type { AuditRecord } from '../../journal/records/record.js';
import { describeRule } from '../../rules/answers/rights.js';
import { Persons } from '../../rules/identity/person.js';
import type { GrantsAtHand, GrantTerms } from '../../rules/policy/grant.js';
import type { Policy, RequestRule } from '../../rules/policy/policy.js';
import type { AccessItem } from './access-item.js';
import { AccessJournal, type StepJournal } from './access-journal.js';
import { AccessLimits } from './access-limits.js';
import {
  type ApprovalRights,
  type Asker,
  approvableOf,
  belongsTo,
  countingApprovals,
  isApprover,
  isMadeBy,
  isOwnedBy,
  lacksLogin,
  ownerOf,
  personBehind,
  uidOf,
  whyBlind,
  whyNoApproval,
  whyUnsure,
} from './asker.js';
import { heldNames } from './hold.js';
import { type AccessView, accessItemOf, isOver, stepsFor, whyNoReview } from './item.js';
import { type CountMails, countFirst, LiveEntry } from './live-entry.js';
import { type Lockable, mayName } from './lock.js';
import { Locks } from './locks.js';
import { OwnerReports, type ReportKey } from './owner-reports.js';
import {
  type AccessResult,
  denied,
  fullTable,
  invalid,
  limited,
  refused,
  reloaded,
  uncounted,
  unknownId,
} from './result.js';
import {
  type AccessWish,
  approvedRecord,
  grantedRecord,
  grantTermsOf,
  requestedRecord,
  type Shorter,
  stepRecord,
  whyNoReason,
  whyTooMany,
  wordsOf,
} from './steps.js';

export interface AccessRights extends ApprovalRights {
  readonly policies: ReadonlyMap<string, Policy>;
  readonly policiesAt: (listener: string) => readonly string[];
  /** Whether the listener can have a principal of that name: an account, a key, or a user of this machine. Never rejects. */
  readonly isNamedAt: (listener: string, name: string) => Promise<boolean>;
  /** Whether users of this machine can be defined outside of its files. */
  readonly hasDirectory: () => boolean;
  /** The policy of a key that may ask for owner reports; undefined: the key may not, was changed, or is not valid any more. */
  readonly reportPolicyOf: (key: ReportKey, nowMs: number) => Policy | undefined;
}

/** How people take access away: before the grant, or after it. */
export type AccessEnding = 'refused' | 'revoked';

const endings: Readonly<Record<'refuse' | 'revoke', AccessEnding>> = { refuse: 'refused', revoke: 'revoked' };

export interface DeskParts {
  readonly clock: Clock;
  readonly journal: StepJournal;
  readonly newId: () => string;
  readonly digest: (text: string) => string;
  readonly newToken: () => string;
}

const dayMs = 86_400_000;
/** Interval of the check for ends by the clocks, while anything is open. */
const sweepMs = 1_000;

export class AccessDesk {
  readonly #parts: DeskParts;
  readonly #book = new AccessBook();
  readonly #live = new Map<string, LiveEntry>();
  readonly #ended = new LastEnds();
  readonly #byOwner = new Map<string, Set<string>>();
  readonly #limits: AccessLimits;
  readonly #journal: AccessJournal;
  readonly locks: Locks;
  readonly ownerReports: OwnerReports;
  /** Steps run one after the other; an end does not wait for them. */
  #last: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;
  rights: AccessRights = {
    persons: new Persons(new Map()),
    hasDirectory: () => false,
    policies: new Map(),
    approvesOnPage: () => false,
    policiesAt: () => [],
    isNamedAt: () => Promise.resolve(false),
    reportPolicyOf: () => undefined,
  };

  /** `records`: the open requests, grants and locks at the end of the journal, and those that ended last, as the start found them. */
  constructor(parts: DeskParts, records: readonly AuditRecord[]) {
    this.#parts = parts;
    this.#journal = new AccessJournal(parts.journal, parts.clock);
    this.#limits = new AccessLimits(parts.clock);
    const { clock, newId } = parts;
    const ofLocks = { clock, newId, journal: this.#journal, onMade: () => this.#sweepSoon() };
    this.locks = new Locks(ofLocks, records);
    this.ownerReports = new OwnerReports({
      clock,
      isLocked: (what) => this.locks.on(what) !== undefined,
      newToken: parts.newToken,
      policyOf: (key) => this.rights.reportPolicyOf(key, clock.wallMs()),
    });
    for (const record of records) this.#ended.add(this.#book.follow(record));
    const nowMs = clock.wallMs();
    for (const entry of this.#book.entries) {
      const { matches } = entry.granted ?? entry.requested;
      const endsMs = clock.now() + entry.untilMs - nowMs;
      this.#live.set(entry.id, new LiveEntry(endsMs, matches, wordsOf(entry.requested)));
      if (entry.state === 'granted') this.#own(entry);
      if (entry.requested.approvals === 0 && entry.state !== 'requested')
        this.#limits.noteBroken(entry.requested);
    }
    this.#sweepSoon();
  }

  /** Puts a configuration in force. Requests and grants of rules that are gone end. Returns the sentences of `Locks.turnTo`. */
  turnTo(rights: AccessRights): readonly string[] {
    this.rights = rights;
    const stay = this.locks.turnTo(rights.persons);
    this.#sweep();
    for (const entry of this.#book.entries)
      if (entry.state !== 'unreviewed' && this.#ruleOf(entry) === undefined)
        this.#end(entry, 'ended', ruleGone);
    return stay;
  }

  isOwner(principal: string): boolean {
    return this.#byOwner.has(principal);
  }

  grantsOf(asker: Asker): GrantsAtHand | undefined {
    const grants: GrantTerms[] = [];
    for (const id of this.#byOwner.get(asker.principal) ?? []) {
      const entry = this.#book.find(id);
      if (entry === undefined || !this.isLive(id)) continue;
      const { requested } = entry;
      const { bound } = requested;
      if (requested.policy !== asker.policy.name || bound?.rule === undefined) continue;
      if (bound.credential !== undefined && bound.credential !== asker.credential) {
        this.#end(entry, 'ended', 'the password, key or certificate of its owner was changed');
        continue;
      }
      if (entry.usesLeft === 0 || !belongsTo(entry, asker)) continue;
      // Given without a request: while the name service does not answer, this client may be its approver.
      if (requested.by !== undefined && asker.isUnanswered === true) continue;
      // An approver may have become its owner by su or sudo.
      const isOwn = ({ identities = [] }: AuditRecord): boolean =>
        this.rights.persons.sharesHuman(identities, asker.identities);
      if (entry.approvals.some(isOwn)) continue;
      grants.push(grantTermsOf(entry, bound.rule));
    }
    return grants.length === 0 ? undefined : { grants, digest: this.#parts.digest };
  }

  /** The id of a live grant of that rule for these users that this session lacks for want of a login; undefined: there is none. */
  withheldFrom(asker: Asker, rule: string, users: readonly string[]): string | undefined {
    if (!lacksLogin(asker)) return undefined;
    return [...(this.#byOwner.get(asker.principal) ?? [])].find((id) => {
      const { by, policy, bound, users: granted } = this.#book.find(id)?.requested ?? {};
      if (by === undefined || policy !== asker.policy.name || bound?.rule !== rule) return false;
      return this.isLive(id) && users.every((user) => granted?.includes(user));
    });
  }

  /** The last grant for this command that is over, with how it ended; undefined: none is known. `line`: its {@link lineOf}. */
  lastOver(asker: Asker, rule: string, users: readonly string[], line: string): GrantOver | undefined {
    let last: AccessEntry | undefined;
    let digest: string | undefined;
    const look = (entry: AccessEntry): void => {
      const { policy, bound, scope, users: granted } = entry.requested;
      if (bound?.rule !== rule || entry.granted === undefined || !isOwnedBy(entry, asker)) return;
      if (policy !== asker.policy.name || !users.every((user) => granted?.includes(user))) return;
      if (scope !== 'user' && bound.line !== (digest ??= this.#parts.digest(line))) return;
      if ((last?.ended?.time ?? 0) <= (entry.ended?.time ?? 0)) last = entry;
    };
    for (const entry of this.#ended.entries) look(entry);
    for (const entry of this.#book.entries) if (entry.state === 'unreviewed') look(entry);
    if (last === undefined) return undefined;
    const [code, words] = overs[last.ended?.action ?? ''] ?? (['grant-ended', 'is over'] as const);
    return { id: last.id, code, words: `access ${last.id} ${words}` };
  }

  isLive(id: string): boolean {
    const entry = this.#book.find(id);
    return entry?.state === 'granted' && this.#isInTime(entry);
  }

  /** By both clocks: a step of the wall clock prolongs nothing. */
  #isInTime({ id, untilMs }: AccessEntry): boolean {
    const { clock } = this.#parts;
    return clock.now() < (this.#live.get(id)?.endsMs ?? -Infinity) && clock.wallMs() < untilMs;
  }

  /**
   * Takes a use, before the admission is written. Returns the keys for that record; undefined: the grant ended, has no use left, or belongs
   * to another login. The first use of a grant that an approver gave binds it.
   */
  take(id: string, asker: Asker): Pick<AuditRecord, 'grant' | 'bound'> | undefined {
    const entry = this.#book.find(id);
    if (entry === undefined || !this.isLive(id) || entry.usesLeft === 0) return undefined;
    if (!belongsTo(entry, asker)) return undefined;
    const { login, credential } = asker;
    const keys = isBound(entry.requested)
      ? { grant: id }
      : { grant: id, bound: { login, credential, uid: uidOf(asker) } };
    this.#book.follow({ time: this.#parts.clock.wallMs(), event: 'admission', ...keys });
    return keys;
  }

  /** After the completion of a command under a grant; `isSent` false gives its use back. */
  done(id: string, isSent: boolean): void {
    const time = this.#parts.clock.wallMs();
    this.#book.follow({ time, event: 'completion', grant: id, sent: isSent });
    const entry = this.#book.find(id);
    if (entry !== undefined && (!isSent || entry.usesLeft !== undefined)) this.#journal.signSoon();
    const isUsedUp = entry?.usesLeft === 0 && this.#live.get(id)?.running.size === 0;
    if (entry !== undefined && isUsedUp) this.#end(entry, 'used-up');
  }

  /** Calls `end` if the grant ends while a command runs under it. Returns a function that unregisters it. */
  whileRunning(id: string, end: () => void): () => void {
    const running = this.#live.get(id)?.running;
    running?.add(end);
    return () => void running?.delete(end);
  }

  async request(asker: Asker, wish: AccessWish, count: CountMails): Promise<AccessResult> {
    if (asker.whyNotAsk !== undefined) return denied(asker.whyNotAsk);
    const isKernels = asker.credential === undefined;
    // Access without approval compares no humans, and must work in an emergency while directories are away.
    const whyNot = (): AccessResult | undefined =>
      wish.rule.terms.approvals === 0 ? this.#whyLocked(asker) : this.#whyUnsure(asker, isKernels);
    const early = whyNot() ?? this.#overRate(asker) ?? this.#whyNoRequest(asker, wish);
    if (early !== undefined) return early;
    // Outside of the turn: a slow backend must not hold up the steps of others.
    const id = this.#parts.newId();
    const { rights } = this;
    const counted = await countFirst(id, asker, wish, count);
    const isNeeded = wish.rule.terms.approvals === 0 && wish.effect === 'destroy';
    if (typeof counted === 'object' && isNeeded) return uncounted(counted.failed);
    const matches = typeof counted === 'number' ? counted : undefined;
    return this.#inTurn(
      rights,
      async () =>
        whyNot() ??
        this.#whyNoRequest(asker, wish) ??
        this.#open(asker, wish, this.#requested(id, asker, wish, matches), []),
    );
  }

  /** An approver gives access without a request; it counts as one approval. `owner`: what is known of them without a connection. */
  async grant(asker: Asker, owner: Asker, wish: AccessWish, count: CountMails): Promise<AccessResult> {
    const { policy, principal: to, identities } = owner;
    const asked = { policy: policy.name, users: wish.users, identities, approvers: [] };
    const { rights } = this;
    const whyNot = (): AccessResult | undefined => {
      const unsure = this.#whyUnsure(asker, true);
      const why = unsure === undefined ? whyNoApproval(asker, asked, rights.persons) : undefined;
      return why === undefined ? unsure : denied(why);
    };
    const early = whyNot() ?? this.#overRate(asker);
    if (early !== undefined) return early;
    const id = this.#parts.newId();
    const counted = await countFirst(id, owner, wish, count);
    if (typeof counted === 'object' && wish.effect === 'destroy') return uncounted(counted.failed);
    const matches = typeof counted === 'number' ? counted : undefined;
    return this.#inTurn(rights, async () => {
      const late = whyNot();
      if (late !== undefined) return late;
      const places = { book: this.#book, policies: this.rights.policies };
      const full = this.#limits.whyNoPlace(policy.name, places, false);
      if (full !== undefined) return refused('access-limit', full);
      const requested = { ...this.#requested(id, owner, wish, matches), by: asker.principal, to };
      const entry = { requested: { ...requested, event: 'access' }, approvals: [] } as const;
      const approved = approvedRecord(asker, entry, [], requested.time, matches, {});
      return this.#open(asker, wish, requested, [approved]);
    });
  }

  async decide(
    asker: Asker,
    step: AccessStep,
    given: AccessValues,
    count: CountMails,
  ): Promise<AccessResult> {
    const { id = '', reason } = given;
    switch (step) {
      case 'approve':
        return this.#approve(asker, id, given, count);
      case 'refuse':
      case 'revoke': {
        const why = whyNoReason(step, reason);
        return why === undefined ? this.end(asker, id, endings[step], reason) : invalid(why);
      }
      case 'review':
        return this.#review(asker, id);
      default:
        return step satisfies never;
    }
  }

  async #approve(asker: Asker, id: string, shorter: Shorter, count: CountMails): Promise<AccessResult> {
    const early = this.#approvable(asker, id, shorter);
    if ('kind' in early) return early;
    const { rights } = this;
    const why = await this.#live.get(id)?.whyLookAgain(asker.principal, early.requested, count);
    const tooMany = this.#whyTooMany(early) ?? why;
    if (tooMany !== undefined) return refused('access-changed', tooMany);
    return this.#inTurn(rights, async () => {
      const entry = this.#approvable(asker, id, shorter);
      if ('kind' in entry) return entry;
      // Another approver may have counted more meanwhile.
      const above =
        this.#whyTooMany(entry) ?? this.#live.get(id)?.whyUnseen(asker.principal, entry.requested);
      if (above !== undefined) return refused('access-changed', above);
      const { matches } = this.#live.get(id) ?? {};
      const before = this.#counting(entry);
      const nowMs = this.#parts.clock.wallMs();
      const approved = approvedRecord(asker, entry, before, nowMs, matches, shorter);
      return this.#decide(asker, entry, [approved]);
    });
  }

  #whyTooMany(entry: AccessEntry): string | undefined {
    const approvals = this.#counting(entry);
    return whyTooMany(entry, approvals, this.#live.get(entry.id)?.matches);
  }

  /** The request, if this approval may count; else why not. */
  #approvable(asker: Asker, id: string, shorter: Shorter): AccessEntry | AccessResult {
    const entry = this.#visible(asker, id);
    if ('kind' in entry) return entry;
    if (!this.#isInTime(entry)) return unknownId();
    if (entry.state !== 'requested') return denied(`it is ${entry.state}, not waiting`);
    const unsure = this.#whyUnsure(asker, isOverKernel(entry));
    if (unsure !== undefined) return unsure;
    const why = this.#whyNoApproval(asker, entry);
    if (why !== undefined) return denied(why);
    const { for_ms: forMs, uses, asked_for: cut } = accessTermsOf(entry, this.#counting(entry));
    const what = cut === undefined ? 'it asks for' : 'by the approvals so far it gives';
    if (shorter.forMs !== undefined && shorter.forMs > forMs)
      return invalid(`${what} ${formatDuration(forMs)}; an approval may shorten it, never prolong it`);
    if (shorter.uses !== undefined && uses !== undefined && shorter.uses > uses)
      return invalid(`${what} ${uses} uses; an approval may allow fewer, never more`);
    return entry;
  }

  /** Refused by an approver; revoked by its owner, an approver, or an operator of the gate. In force at once; then that is recorded. */
  async end(
    asker: Asker,
    id: string,
    action: AccessEnding,
    reason: string | undefined,
    isOperator = false,
  ): Promise<AccessResult> {
    const entry =
      (isOperator ? undefined : this.#whyLocked(asker)) ?? this.#endable(asker, id, action, isOperator);
    if ('kind' in entry) return entry;
    const record = stepRecord(asker, entry, action, this.#parts.clock.wallMs(), { reason });
    this.#forget(entry, record);
    const why = await this.#journal.recordEnd(record);
    this.#sweepSoon();
    // The end is in force all the same; its record is tried again.
    if (why !== undefined)
      return refused('access-unrecorded', `it is ${action}, and not recorded yet: ${why}`);
    return { kind: 'done', items: [{ ...this.#itemOf(asker, entry), may: [] }] };
  }

  /** Whether a refusal or revocation would end something. It can do so once, so no rate needs to bound it. */
  wouldEnd(asker: Asker, verb: AccessVerb, id: string): boolean {
    const isEnding = verb === 'refuse' || verb === 'revoke';
    return isEnding && !('kind' in this.#endable(asker, id, endings[verb]));
  }

  #endable(asker: Asker, id: string, action: AccessEnding, isOperator = false): AccessEntry | AccessResult {
    const entry = (isOperator && this.#book.find(id)) || this.#visible(asker, id);
    if ('kind' in entry) return entry;
    if (action === 'revoked') return entry.state === 'unreviewed' ? denied('it has ended already') : entry;
    if (entry.state !== 'requested') return denied(`it is ${entry.state}, not waiting`);
    if (!this.#isApprover(asker, entry))
      return denied('only an approver refuses it; withdraw your own request with revoke');
    return entry;
  }

  #review(asker: Asker, id: string): Promise<AccessResult> {
    return this.#inTurn(this.rights, async () => {
      const entry = this.#visible(asker, id);
      if ('kind' in entry) return entry;
      const { requested } = entry;
      if (requested.approvals !== 0 || entry.state === 'requested')
        return denied('only access without an approval is reviewed');
      if (entry.reviewed !== undefined) return denied('it was reviewed already');
      const unsure = this.#whyUnsure(asker, isOverKernel(entry));
      if (unsure !== undefined) return unsure;
      const why = this.#whyNoApproval(asker, entry);
      if (why !== undefined) return denied(whyNoReview(why));
      const record = stepRecord(asker, entry, 'reviewed', this.#parts.clock.wallMs());
      const fault = await this.#record([record]);
      if (fault !== undefined) return fault;
      this.#book.follow(record);
      return { kind: 'done', items: [{ ...this.#itemOf(asker, entry), may: [] }] };
    });
  }

  /**
   * A page of the asker's own requests and grants and of those that they may approve or review, the oldest first, from the one after the id
   * `after` on: an item takes some 50 us.
   */
  list(asker: Asker, after = ''): { readonly items: readonly AccessItem[]; readonly more: number } {
    const items: AccessItem[] = [];
    let more = 0;
    for (const entry of this.#book.entries) {
      if (entry.id <= after || isOver(entry) || !this.#isVisible(asker, entry)) continue;
      if (items.length < bounds.accessListed) items.push(this.#itemOf(asker, entry));
      else more += 1;
    }
    return { items, more };
  }

  /** Ended requests and grants that this approver could decide on, the newest first. */
  decided(asker: Asker): readonly AccessItem[] {
    const over = [...this.#ended.entries, ...[...this.#book.entries].filter(isOver)];
    return over
      .filter((entry) => this.#isApprover(asker, entry))
      .toSorted((one, other) => (other.ended?.time ?? 0) - (one.ended?.time ?? 0))
      .slice(0, bounds.accessDecided)
      .map((entry) => ({ ...this.#itemOf(asker, entry), may: [] }));
  }

  async show(asker: Asker, id: string, count: CountMails): Promise<AccessResult> {
    const entry = this.#visible(asker, id);
    if ('kind' in entry) return this.#showOver(asker, id) ?? entry;
    const { rights } = this;
    if (entry.state === 'requested' && this.#seesMatches(asker, entry))
      await this.#live.get(id)?.count(entry.requested, count);
    if (this.rights !== rights) return reloaded();
    return this.#whyLocked(asker) ?? { kind: 'done', items: [this.#itemOf(asker, entry)] };
  }

  /** Shows one that has ended, so that its requester learns how. */
  #showOver(asker: Asker, id: string): AccessResult | undefined {
    const entry = this.#ended.find(id);
    if (entry === undefined || !this.#isVisible(asker, entry)) return undefined;
    return { kind: 'done', items: [{ ...this.#itemOf(asker, entry), may: [] }] };
  }

  get counts() {
    let [requests, grants, unreviewed] = [0, 0, 0];
    for (const { state, requested, reviewed } of this.#book.entries) {
      if (state === 'requested') requests += 1;
      else if (state === 'granted') grants += 1;
      if (state !== 'requested' && requested.approvals === 0 && reviewed === undefined) unreviewed += 1;
    }
    return { requests, grants, unreviewed };
  }

  /** For the operators of the gate, without numbers of mails: undecided requests, then grants, each the oldest first. */
  all(most: number): readonly AccessItem[] {
    const entries = [...this.#book.entries].filter((entry) => !isOver(entry));
    const waiting = entries.filter(({ state }) => state === 'requested');
    const others = entries.filter(({ state }) => state !== 'requested');
    const shown = [...waiting, ...others].slice(0, most);
    return shown.map((entry) => this.#shown(entry, unseen));
  }

  close(): void {
    this.#timer?.cancel();
    this.#journal.flush();
  }

  /** `rights`: the configuration that the step was checked under. A reload while the step waits for its turn refuses it. */
  #inTurn(rights: AccessRights, run: () => Promise<AccessResult>): Promise<AccessResult> {
    const step = (): AccessResult | Promise<AccessResult> => (this.rights === rights ? run() : reloaded());
    const next = this.#last.then(step, step);
    this.#last = next.catch(() => undefined);
    return next;
  }

  #whyUnsure(asker: Asker, isKernels: boolean): AccessResult | undefined {
    const lock = this.#whyLocked(asker);
    if (lock !== undefined) return lock;
    const why = whyUnsure(asker, isKernels, this.rights.persons);
    return why === undefined ? undefined : refused('access-identity', why);
  }

  /** To be checked again after each await. */
  #whyLocked(asker: Asker): AccessResult | undefined {
    const lock = this.locks.on({ human: asker });
    return lock && denied(this.locks.sentence(lock));
  }

  #overRate(asker: Asker): AccessResult | undefined {
    return limited(this.#limits.overRate(asker));
  }

  #whyNoRequest(asker: Asker, { rule }: AccessWish): AccessResult | undefined {
    const { policies, persons } = this.rights;
    return limited(this.#limits.whyNoRequest(asker, rule, { book: this.#book, policies, persons }));
  }

  #requested(id: string, owner: Asker, wish: AccessWish, matches: number | undefined): AuditRecord {
    const waitMs = this.rights.policies.get(owner.policy.name)?.requests.waitMs ?? dayMs;
    return requestedRecord(owner, wish, { id, time: this.#parts.clock.wallMs(), waitMs, matches });
  }

  async #open(
    asker: Asker,
    wish: AccessWish,
    requested: AuditRecord,
    approved: readonly AuditRecord[],
  ): Promise<AccessResult> {
    const id = requested.request ?? '';
    const fault = await this.#record([requested]);
    if (fault !== undefined) return fault;
    const { matches } = requested;
    const endsMs = this.#parts.clock.now() + this.#leftMs(requested);
    this.#live.set(id, new LiveEntry(endsMs, matches, wish.words));
    this.#book.follow(requested);
    const entry = this.#book.find(id);
    if (entry === undefined) return fullTable();
    this.#sweepSoon();
    if (this.#ruleOf(entry) === undefined) {
      // A reload came while the record was written: no later one would end it.
      this.#end(entry, 'ended', ruleGone);
      return reloaded();
    }
    if (approved.length === 0 && wish.rule.terms.approvals > 0)
      return { kind: 'done', items: [this.#itemOf(asker, entry)] };
    return this.#decide(asker, entry, approved);
  }

  #counting(entry: Parameters<typeof countingApprovals>[0]): readonly AuditRecord[] {
    return countingApprovals(
      entry,
      this.rights,
      (identities) => this.locks.on({ human: { identities } }) !== undefined,
    );
  }

  /** Records further approvals, and the grant if they are enough; all of them are checked again then. */
  async #decide(asker: Asker, entry: AccessEntry, more: readonly AuditRecord[]): Promise<AccessResult> {
    const { requested, id } = entry;
    const needed = requested.approvals ?? 1;
    const all = [...this.#counting(entry), ...more];
    const isEnough = all.length >= needed;
    const nowMs = this.#parts.clock.wallMs();
    const granted = isEnough ? grantedRecord(asker, entry, all, nowMs) : undefined;
    const fault = await this.#record(granted === undefined ? more : [...more, granted]);
    if (fault !== undefined) {
      // The record of the grant may be on disk all the same; without a signature after it, a start ignores it.
      if (granted !== undefined && this.#book.find(id) === entry)
        this.#end(entry, 'ended', 'its approval could not be recorded');
      return fault;
    }
    // Meanwhile it was revoked, or its rule went away: the record of that end follows.
    if (this.#book.find(id) !== entry) return refused('access-changed', 'it was ended meanwhile');
    // Meanwhile somebody was locked, or a reload took the right to approve.
    const stillCount = this.#counting({ ...entry, approvals: [...entry.approvals, ...more] }).length;
    if (granted !== undefined && (stillCount < needed || this.#whyLocked(asker) !== undefined)) {
      this.#end(entry, 'ended', 'its approvals do not count any more');
      return refused('access-changed', 'who approves it was locked, or may not do so any more');
    }
    for (const record of more) this.#book.follow(record);
    if (granted !== undefined) {
      const live = this.#live.get(id);
      if (live !== undefined) live.endsMs = this.#parts.clock.now() + this.#leftMs(granted);
      this.#book.follow(granted);
      this.#own(entry);
      if (needed === 0) this.#limits.noteBroken(requested);
      this.#sweepSoon();
    }
    return { kind: 'done', items: [this.#itemOf(asker, entry)] };
  }

  #leftMs({ until }: AuditRecord): number {
    return Math.max(0, (until === undefined ? 0 : Date.parse(until)) - this.#parts.clock.wallMs());
  }

  #end(entry: AccessEntry, action: 'expired' | 'used-up' | 'ended', text?: string): void {
    const record = stepRecord(undefined, entry, action, this.#parts.clock.wallMs(), { text });
    this.#forget(entry, record);
    this.#journal.appendEnd(record);
  }

  #forget(entry: AccessEntry, record: AuditRecord): void {
    const { id } = entry;
    const running = this.#live.get(id)?.running;
    const ended = this.#book.follow(record);
    const owner = ownerOf(entry);
    const ids = this.#byOwner.get(owner);
    ids?.delete(id);
    if (ids?.size === 0) this.#byOwner.delete(owner);
    if (ended !== undefined) this.#live.delete(id);
    this.#ended.add(ended);
    for (const end of running ?? []) end();
  }

  #own(entry: AccessEntry): void {
    const owner = ownerOf(entry);
    const ids = this.#byOwner.get(owner) ?? new Set();
    ids.add(entry.id);
    this.#byOwner.set(owner, ids);
  }

  async #record(records: readonly AuditRecord[]): Promise<AccessResult | undefined> {
    const long = records.map(whyNotWhole).find((each) => each !== undefined);
    const why = long ?? (await this.#journal.record(records));
    return why === undefined ? undefined : refused('access-unrecorded', why);
  }

  #sweepSoon(): void {
    if (this.#book.size + this.locks.size === 0 && !this.#journal.hasWaiting) return;
    this.#timer ??= this.#parts.clock.setTimer(sweepMs, () => {
      this.#timer = undefined;
      this.#sweep();
      this.#sweepSoon();
    });
  }

  #sweep(): void {
    this.#journal.flush();
    this.locks.sweep();
    for (const entry of this.#book.entries)
      if (entry.state !== 'unreviewed' && !this.#isInTime(entry)) this.#end(entry, 'expired');
  }

  /** Not for its requester under any name, nor for an approver who gave it: the number would answer questions about content. */
  #seesMatches(asker: Asker, entry: AccessEntry): boolean {
    return !isMadeBy(asker, entry, this.rights.persons) && this.#isApprover(asker, entry);
  }

  #ruleOf({ requested: { policy: name = '', bound } }: AccessEntry): RequestRule | undefined {
    const policy = this.rights.policies.get(name);
    return policy?.mode === 'enforce' ? policy.onRequest.find(({ hash }) => hash === bound?.rule) : undefined;
  }

  #rule(entry: AccessEntry): readonly string[] | undefined {
    const rule = this.#ruleOf(entry);
    const policy = this.rights.policies.get(entry.requested.policy ?? '');
    if (rule === undefined || policy === undefined || entry.requested.scope !== 'user') return undefined;
    const commands = commandsNamed(rule.command, policy.added);
    const takesMails = commands.every(({ params }) => params.some(({ role }) => role === 'search-query'));
    const open = takesMails ? 'any mail and folder' : 'any arguments';
    return [rule.command, ...(rule.where === undefined ? [open] : []), ...describeRule(rule, policy)];
  }

  #whyNoApproval(asker: Asker, entry: AccessEntry): string | undefined {
    const { persons } = this.rights;
    const why = whyNoApproval(asker, approvableOf(entry, this.#counting(entry)), persons);
    if (why !== undefined || !isMadeBy(asker, entry, persons)) return why;
    return 'you gave this access, so another person must approve it';
  }

  /** Only a known person sees what others ask for. */
  #isApprover(asker: Asker, entry: AccessEntry): boolean {
    const { policy = '', users = [] } = entry.requested;
    return isApprover(asker, { policy, users }) && personBehind(asker, this.rights.persons) !== undefined;
  }

  #isVisible(asker: Asker, entry: AccessEntry): boolean {
    return isOwnedBy(entry, asker) || this.#isApprover(asker, entry);
  }

  #visible(asker: Asker, id: string): AccessEntry | AccessResult {
    const entry = this.#book.find(id);
    if (entry !== undefined && this.#isVisible(asker, entry)) return entry;
    return unknownId(whyBlind(asker, this.rights.persons));
  }

  #itemOf(asker: Asker, entry: AccessEntry): AccessItem {
    const isMine = isOwnedBy(entry, asker);
    const whyNot = this.#whyNoApproval(asker, entry);
    const isDecider = this.#isApprover(asker, entry);
    const may = stepsFor(entry, whyNot === undefined, isDecider);
    const live = this.#live.get(entry.id);
    const counted = live === undefined ? countedLast(entry) : live.matches;
    const matches = this.#seesMatches(asker, entry) ? counted : undefined;
    if (matches !== undefined) live?.shown.set(asker.principal, matches);
    const isLate = entry.state === 'granted' && entry.ended === undefined && !this.isLive(entry.id);
    return this.#shown(entry, {
      state: isLate ? 'expired' : undefined,
      isMine,
      seesPlace: isDecider,
      may,
      whyNot: isDecider ? whyNot : undefined,
      matches,
      locked: isDecider || isMine ? this.#stopsOf(entry, asker.policy) : [],
    });
  }

  /** Sentences about the locks and holds that would stop it even when approved. `policy`: that of the reader. */
  #stopsOf({ requested, ended }: AccessEntry, policy: Lockable['policy']): readonly string[] {
    if (this.locks.size === 0 || ended !== undefined) return [];
    const { identities = [], users = [] } = requested;
    const ofRequester = this.locks.on({ human: { identities } });
    return [
      ...(ofRequester === undefined ? [] : [this.locks.sentence(ofRequester)]),
      ...this.locks.entries
        .filter(
          (lock) => lock.locked.user !== undefined && users.some((user) => heldNames(lock).matches(user)),
        )
        .map((lock) => this.locks.sentence({ lock, isNamed: mayName(policy, lock) })),
    ];
  }

  #shown(entry: AccessEntry, view: Omit<AccessView, 'approvals' | 'content' | 'rule'>): AccessItem {
    const approvals = this.#counting(entry);
    const content = this.#ruleOf(entry)?.content === true && entry.requested.effect === 'read';
    return accessItemOf(entry, {
      ...view,
      approvals,
      content: content || undefined,
      rule: this.#rule(entry),
    });
  }
}

/** The kernel named the peer that asked, or that will use what an approver gave. */
function isOverKernel({ requested: { bound } }: AccessEntry): boolean {
  return bound?.credential === undefined;
}

export interface GrantOver {
  readonly id: string;
  /** Recorded for a later denial of the same command. */
  readonly code: DecisionCode;
  readonly words: string;
}

const overs: Readonly<Partial<Record<string, readonly [code: DecisionCode, words: string]>>> = {
  'used-up': ['grant-used-up', 'is used up'],
  revoked: ['grant-revoked', 'was revoked'],
};

function countedLast({ approvals, requested }: AccessEntry): number | undefined {
  return approvals.at(-1)?.matches ?? requested.matches;
}

const ruleGone = 'its rule is gone or was changed';

const unseen = { isMine: false, seesPlace: true, may: [], matches: undefined, locked: [] } as const;
