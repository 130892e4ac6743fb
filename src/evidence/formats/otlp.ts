// Records as log records of OpenTelemetry, in the JSON encoding of its protocol (OTLP). The body of each is the record exactly as it lies
// in the journal, so that stored bodies can be verified. Its main keys are attributes, for filters.

import { asText, isCount, parseLine } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import { valueText } from '../../journal/records/stored.js';
import { type Severity, severityOf } from './severity.js';

const severities: Readonly<Record<Severity, number>> = {
  informational: 9,
  notice: 10,
  warning: 13,
  error: 17,
  critical: 21,
};

const shownKeys = [
  'id',
  'session',
  'listener',
  'principal',
  'command',
  'user',
  'effect',
  'decision',
  'outcome',
  'backend',
  'action',
  'error',
] as const;

/** The opening and the end of a request. Its log records go between them, separated by commas. */
export function otlpFrame(host: string, version: string): readonly [open: string, close: string] {
  const attributes = [
    attribute('service.name', 'dovegate'),
    attribute('service.version', version),
    attribute('host.name', host),
  ];
  const opening = `{"resourceLogs":[{"resource":{"attributes":[${attributes.join(',')}]},"scopeLogs":[{"scope":{"name":"dovegate.audit"},"logRecords":[`;
  return [opening, ']}]}]}'];
}

/** `line`: of the journal, without LF. A line that is no record still makes a log record. */
export function formatOtlp(line: Buffer): string {
  const body = line.toString('utf8');
  const record = parseLine(body) ?? {};
  const ms = parseTime(asText(record['time']) ?? '') ?? 0;
  const event = valueText(record['event']) || 'unknown';
  const severity = severityOf({ ...record, event });
  const seq = record['seq'];
  const attributes = [
    ...(isCount(seq) ? [`{"key":"dovegate.seq","value":{"intValue":"${seq}"}}`] : []),
    ...shownKeys.flatMap((key) => {
      const text = valueText(record[key]);
      return text === '' ? [] : [attribute(`dovegate.${key}`, text)];
    }),
  ];
  const nanos = ms === 0 ? '0' : `${ms}000000`;
  return (
    `{"timeUnixNano":"${nanos}","observedTimeUnixNano":"${nanos}","severityNumber":${severities[severity]},` +
    `"severityText":"${severity}","eventName":${JSON.stringify(`dovegate.${event}`)},` +
    `"body":{"stringValue":${JSON.stringify(body)}},"attributes":[${attributes.join(',')}]}`
  );
}

function attribute(key: string, value: string): string {
  return `{"key":${JSON.stringify(key)},"value":{"stringValue":${JSON.stringify(value)}}}`;
}
