// A row of a trail as an event of OCSF (https://schema.ocsf.io): API Activity, class 6003, for commands and for everything else. Keys of
// the row without a place there are in `unmapped`, under their names and as they are recorded, so that nothing is lost.

import { formatJson } from '../audit/encode.js';
import { asNumber, textIn, valueText } from '../audit/stored.js';
import type { OutcomeClass } from '../story/row.js';
import type { ExchangeRow } from '../trail/search.js';
import { type Activity, createFacts, type Facts, restOf } from './facts.js';
import type { Severity } from './severity.js';

/** The version of the schema that events are made for. */
export const ocsfVersion = '1.8.0';

const classUid = 6003;
const activityIds: Readonly<Record<Activity, readonly [id: number, name: string]>> = {
  create: [1, 'Create'],
  read: [2, 'Read'],
  update: [3, 'Update'],
  delete: [4, 'Delete'],
  other: [99, 'Other'],
};
const statuses: Readonly<Record<OutcomeClass, readonly [id: number, name: string]>> = {
  ok: [1, 'Success'],
  failed: [2, 'Failure'],
  denied: [2, 'Failure'],
  unknown: [0, 'Unknown'],
};
const severities: Readonly<Record<Severity, readonly [id: number, name: string]>> = {
  informational: [1, 'Informational'],
  notice: [1, 'Informational'],
  warning: [3, 'Medium'],
  error: [4, 'High'],
  critical: [5, 'Critical'],
};
const decisions: Readonly<Record<'allow' | 'deny', object>> = {
  allow: { action_id: 1, action: 'Allowed', disposition_id: 1, disposition: 'Allowed' },
  deny: { action_id: 2, action: 'Denied', disposition_id: 2, disposition: 'Blocked' },
};

const placed: ReadonlySet<string> = new Set(
  'time seq event command user users session id policy version decision backend status error'.split(' '),
);

/** One event, one line, for each row, in their order. */
export function createOcsf(): (row: ExchangeRow) => string {
  const factsOf = createFacts();
  return (row) => formatJson(eventOf(factsOf(row)));
}

function eventOf(facts: Facts): object {
  const { fields, peer, actor, timeMs, activity, outcomeClass, outcome, why } = facts;
  const [activityId, activityName] = activityIds[activity];
  const [statusId, status] = statuses[outcomeClass];
  const [severityId, severity] = severities[facts.severity];
  const host = textIn(fields, 'host');
  const session = textIn(fields, 'session');
  const id = textIn(fields, 'id');
  const policy = textIn(fields, 'policy');
  const code = valueText(fields['error']) || textIn(fields, 'denial') || outcome;
  const pid = asNumber(peer['pid']);
  const decision = facts.decision && decisions[facts.decision];
  return {
    activity_id: activityId,
    activity_name: activity === 'other' ? facts.operation : activityName,
    category_uid: 6,
    category_name: 'Application Activity',
    class_uid: classUid,
    class_name: 'API Activity',
    type_uid: classUid * 100 + activityId,
    time: timeMs,
    message: facts.message,
    severity_id: severityId,
    severity,
    status_id: statusId,
    status,
    ...(code !== '' && { status_code: code }),
    ...(why !== '' && { status_detail: why }),
    ...decision,
    ...(policy !== '' && decision && { policy: { name: policy, ...textOf('version', fields['version']) } }),
    metadata: {
      version: ocsfVersion,
      profiles: ['security_control'],
      product: { name: 'dovegate', vendor_name: 'dovegate' },
      log_name: 'audit',
      event_code: facts.event,
      original_time: facts.time,
      ...(facts.seq !== undefined && { uid: `${host && `${host}:`}${facts.seq}`, sequence: facts.seq }),
      ...(session !== '' && { correlation_uid: session }),
    },
    actor: {
      ...(actor === undefined
        ? { app_name: 'dovegate' }
        : {
            user: { name: actor.name, uid: actor.uid, ...(actor.of !== undefined && { domain: actor.of }) },
          }),
      ...(pid !== undefined && { process: { pid, ...textOf('path', peer['exe']) } }),
      ...(session !== '' && { session: { uid: session } }),
    },
    api: {
      operation: facts.operation,
      service: { name: facts.isCommand ? 'doveadm' : 'dovegate' },
      ...(id !== '' && { request: { uid: id } }),
      ...responseOf(facts),
    },
    src_endpoint: endpointOf(facts),
    ...(facts.backend !== '' && { dst_endpoint: { name: facts.backend } }),
    ...(facts.users.length > 0 && {
      resources: facts.users.map((name) => ({ name, type: 'mail user' })),
    }),
    unmapped: restOf(facts, policy !== '' && decision === undefined ? withPolicy : placed),
  };
}

/** A policy has a place beside a decision only. */
const withPolicy: ReadonlySet<string> = new Set(
  [...placed].filter((key) => !/^(?:policy|version)$/.test(key)),
);

function responseOf({ fields }: Facts): object {
  const response = { ...textOf('message', fields['status']), ...textOf('error', fields['error']) };
  return Object.keys(response).length === 0 ? {} : { response };
}

/** A peer at a UNIX socket has no address: it is the user that the kernel names. */
function endpointOf({ peer, actor }: Facts): object {
  const address = textIn(peer, 'address');
  if (address !== '') return { ip: address };
  return { name: textIn(peer, 'user') || (actor?.name ?? 'dovegate'), ...(actor && { uid: actor.uid }) };
}

function textOf(key: string, value: unknown): object {
  const text = valueText(value);
  return text === '' ? {} : { [key]: text };
}
