// How grave a record is: one table for syslog and OpenTelemetry, each of which has its own number for the word.

import type { StoredRecord } from '../../host/values/values.js';

export type Severity = 'critical' | 'error' | 'warning' | 'notice' | 'informational';

export function severityOf({ event, decision, outcome, error, level }: StoredRecord): Severity {
  switch (event) {
    case 'start':
      // With an error: the journal was cut or rewritten while the daemon was down.
      return error === undefined ? 'notice' : 'critical';
    case 'admission':
      return decision === 'deny' ? 'warning' : 'informational';
    case 'completion':
      return outcome === 'ok' || outcome === 'denied' ? 'informational' : 'warning';
    // A row of a search: both records of a command.
    case undefined:
      return decision === 'deny' || (outcome !== undefined && outcome !== 'ok') ? 'warning' : 'informational';
    case 'log':
      if (level === 'fatal' || level === 'panic' || level === 'error') return 'error';
      return level === 'warning' ? 'warning' : 'informational';
    case 'journal':
    case 'limit':
      return 'warning';
    case 'access':
    case 'clock':
    case 'lock':
    case 'operator':
    case 'reload':
    case 'retire':
    case 'stop':
      return 'notice';
    default:
      return 'informational';
  }
}
