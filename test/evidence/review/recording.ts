// Makes rows of a trail as the daemon would have recorded them: judged by the engine's own judge, encoded as the journal encodes.

import { allSeries, type Series } from '../../../src/doveadm/commands/catalog.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { admissionOf } from '../../../src/gate/command/exchange-records.js';
import { nothingStated } from '../../../src/gate/command/stated.js';
import { isObject } from '../../../src/host/values/values.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { type AuditRecord } from '../../../src/journal/records/record.js';
import { createRedactor } from '../../../src/journal/records/redact.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import { underAnyGrant } from '../../../src/rules/policy/grant.js';
import { judge } from '../../../src/rules/policy/judge.js';

/** 2026-11-20T12:00:00Z. */
export const recordedMs = 1_795_176_000_000;

export interface Sent {
  user: string;
  words: readonly string[];
  series?: readonly Series[];
  atMs?: number;
  reason?: string;
  outcome?: string;
  principal?: string;
  /** Under a grant of the rule of `on_request` that fits. */
  isGranted?: boolean;
  /** Default 4: of a client of today. */
  clientMinor?: number;
}

/** Of every grant here. */
export const grantId = '01KAGRANT000000000000000000';

const redactor = createRedactor('k'.repeat(32));

/** The admission of a line that came to a listener. */
export function admission(settings: Settings, listener: string, sent: Sent, id = 'E'): AuditRecord {
  const { user, words, series = allSeries, atMs = recordedMs, principal = `carol@${listener}` } = sent;
  const name = settings.listeners.find((each) => each.name === listener)?.policies[0]?.policy ?? '';
  const policy = settings.policies.get(name);
  if (policy === undefined) throw new Error(`no listener ${listener}`);
  const line = {
    debug: false,
    verbose: false,
    proxyTtl: undefined,
    hasForward: false,
    user,
    words: [...words],
    fault: undefined,
    named: undefined,
  };
  const judgement = judge(line, series, {
    listener,
    principal,
    clientMinor: sent.clientMinor ?? 4,
    policy,
    userNames: createUserNames(settings.mailUsers),
    sharedNamespaces: settings.backends[0]?.sharedNamespaces,
    nowMs: atMs,
    grants: sent.isGranted === true ? underAnyGrant : undefined,
  });
  return admissionOf({
    time: atMs,
    names: { session: 'S', listener, peer: { listener }, recorded: {}, principal, origin: '-' },
    id,
    subject: { clientMinor: sent.clientMinor ?? 4, policy },
    judgement,
    backends: [{ name: 'mail1' }],
    stated: { ...nothingStated, reason: sent.reason },
    redact: (value) => redactor.redact(value),
    nameCase: settings.mailUsers.case,
  });
}

/** The row of a line that came to a listener. */
export function record(settings: Settings, listener: string, sent: Sent): ExchangeRow {
  const fields: unknown = JSON.parse(`{${encodeBody(admission(settings, listener, sent))}}`);
  if (!isObject(fields)) throw new Error('no record');
  const outcome = sent.outcome ?? (fields['decision'] === 'deny' ? 'denied' : 'ok');
  const grant = sent.isGranted === true ? { grant: grantId } : {};
  return {
    fields: { ...fields, ...grant, outcome },
    admittedSeq: 1,
    completedSeq: 2,
    completedTime: undefined,
  };
}
