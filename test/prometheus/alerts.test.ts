// Goal: promtool takes every rule and every expression of the board, and each alert fires when it should and not before. What must not
// happen: an alert that nobody tested, an alert whose text has a hole, a link to a place that is not there.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fencesOf } from '../cli/docs-steps.js';
import { openFolder } from '../kit/folder.js';
import { runProgram } from '../kit/program.js';
import { type Alert, asSent, readAlerts, readBoard, root, rulesFile } from './expressions.js';

const promtool = '/usr/bin/promtool';

/** Installed by `scripts/packages.sh audit`, which the stage runs first. */
function isMissing(t: TestContext): boolean {
  if (existsSync(promtool)) return false;
  assert.notEqual(process.env['DOVEGATE_NO_SKIP'], '1', 'promtool is not installed');
  t.skip('promtool (package prometheus) is not installed');
  return true;
}

interface Case {
  readonly alert: string;
  /** Series by name and labels, in promtool's notation. */
  readonly series: Readonly<Record<string, string>>;
  /** Between two samples and two looks; 15 s when absent. */
  readonly step?: '5m';
  /** When it fires; undefined: never. */
  readonly fires: string | undefined;
  /** When it does not fire yet. */
  readonly quiet?: string;
  /** Of the alert, beside `severity`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What `{{ $value ... }}` becomes. */
  readonly value?: string;
}

const usualStep = '15s';
const host = 'job="dovegate",instance="mail:9146"';
const here = { job: 'dovegate', instance: 'mail:9146' };
const verifier = 'job="dovegate-fleet",instance="audit:9148"';
const verified = { job: 'dovegate-fleet', instance: 'audit:9148' };
const day = 86_400;
const unknown = `dovegate_exchanges_total{${host},listener="support",command="expunge",decision="allow",outcome="unknown"}`;

const cases: readonly Case[] = [
  {
    alert: 'DovegateGone',
    series: { [`up{${host}}`]: '1x4 0x20' },
    quiet: '1m45s',
    fires: '3m',
    labels: here,
  },
  {
    alert: 'DovegateNotScraped',
    series: { 'up{job="node"}': '1x40' },
    quiet: '4m',
    fires: '6m',
    labels: { job: 'dovegate' },
  },
  {
    alert: 'DovegateRestarting',
    series: { [`process_start_time_seconds{${host}}`]: '100x4 200x4 300x4 400x20' },
    quiet: '2m45s',
    fires: '4m',
    labels: here,
    value: '3',
  },
  {
    alert: 'DovegateNotReady',
    series: { [`dovegate_ready{${host}}`]: '1x4 0x20' },
    quiet: '2m',
    fires: '3m',
    labels: here,
  },
  {
    alert: 'DovegateReloadFailed',
    series: { [`dovegate_config_reload_success{${host}}`]: '1x4 0x20' },
    quiet: '2m',
    fires: '3m',
    labels: here,
  },
  {
    alert: 'DovegateLoopStalled',
    series: {
      [`dovegate_event_loop_lag_seconds_count{${host}}`]: '0+150x10 1501+150x30',
      [`dovegate_event_loop_lag_seconds_bucket{${host},le="0.5"}`]: '0+150x10 1500+150x30',
    },
    quiet: '2m',
    fires: '4m',
    labels: here,
  },
  {
    alert: 'DovegateDescriptorsNearLimit',
    series: { [`process_open_fds{${host}}`]: '700x4 900x20', [`process_max_fds{${host}}`]: '1000x30' },
    quiet: '2m',
    fires: '4m',
    labels: here,
    value: '90%',
  },
  {
    alert: 'DovegateLogDropped',
    series: { [`dovegate_log_dropped_total{${host}}`]: '0x4 7x20' },
    quiet: '1m',
    fires: '2m',
    labels: here,
  },
  {
    alert: 'DovegateAuditNotWritable',
    series: { [`dovegate_audit_writable{${host}}`]: '1x4 0x20' },
    quiet: '1m30s',
    fires: '2m',
    labels: here,
  },
  {
    alert: 'DovegateAuditRecordsLost',
    series: { [`dovegate_audit_lost_total{${host}}`]: '0x4 1x20' },
    quiet: '1m',
    fires: '2m',
    labels: here,
  },
  {
    alert: 'DovegateAuditDiskFull',
    series: { [`dovegate_audit_in_reserve{${host}}`]: '0x4 1x20' },
    quiet: '1m',
    fires: '1m15s',
    labels: here,
  },
  {
    alert: 'DovegateAuditJournalFilling',
    series: {
      [`dovegate_audit_young_bytes{${host}}`]: '700x4 850x20',
      [`dovegate_audit_max_bytes{${host}}`]: '1000x24',
    },
    quiet: '1m',
    fires: '1m15s',
    labels: here,
    value: '85%',
  },
  {
    alert: 'DovegateAuditJournalFilling',
    series: {
      [`dovegate_audit_young_bytes{${host}}`]: '790x20',
      [`dovegate_audit_max_bytes{${host}}`]: '1000x20',
    },
    fires: undefined,
    labels: here,
  },
  {
    alert: 'DovegateAuditLargestWriters',
    series: { [`dovegate_audit_writer_share{${host},principal="jobs@jobs"}`]: '_x5 0.9x20' },
    quiet: '1m',
    fires: '1m15s',
    labels: { ...here, principal: 'jobs@jobs' },
    value: '90%',
  },
  {
    alert: 'DovegateAuditDiskFilling',
    series: { [`dovegate_audit_free_bytes{${host}}`]: '5000000000-20000000x50' },
    step: '5m',
    quiet: '20m',
    fires: '1h',
    labels: here,
  },
  {
    alert: 'DovegateAuditDiskFilling',
    series: { [`dovegate_audit_free_bytes{${host}}`]: '5000000000x30' },
    step: '5m',
    fires: undefined,
  },
  {
    alert: 'DovegateAuditDiskSlow',
    series: { [`dovegate_audit_unsynced_seconds{${host}}`]: '0.02x4 8x20' },
    quiet: '2m',
    fires: '3m',
    labels: here,
    value: '8s',
  },
  {
    alert: 'DovegateReceiverAway',
    series: { [`dovegate_audit_ship_connected{${host},sink="logs:6514"}`]: '1x4 0x40' },
    quiet: '6m',
    fires: '7m',
    labels: { ...here, sink: 'logs:6514' },
  },
  {
    alert: 'DovegateJournalForked',
    series: { [`dovegate_audit_ship_forked{${host},sink="nats1:4222"}`]: '0x4 1x20' },
    quiet: '1m45s',
    fires: '3m',
    labels: { ...here, sink: 'nats1:4222' },
  },
  {
    alert: 'DovegateFleetFinding',
    series: { [`dovegate_fleet_findings{${verifier},host="mail-gate-1",kind="silent"}`]: '_x4 1x20' },
    quiet: '1m45s',
    fires: '3m',
    labels: { ...verified, host: 'mail-gate-1', kind: 'silent' },
  },
  {
    alert: 'DovegateFleetStreamFilling',
    series: {
      [`dovegate_fleet_stream_bytes{${verifier},stream="DOVEGATE_AUDIT"}`]: '700x4 850x40',
      [`dovegate_fleet_stream_max_bytes{${verifier},stream="DOVEGATE_AUDIT"}`]: '1000x44',
    },
    quiet: '5m45s',
    fires: '7m',
    labels: { ...verified, stream: 'DOVEGATE_AUDIT' },
    value: '85%',
  },
  {
    alert: 'DovegateFleetStreamFilling',
    // One that is small enough, and one without a limit.
    series: {
      [`dovegate_fleet_stream_bytes{${verifier},stream="DOVEGATE_AUDIT_a"}`]: '790x60',
      [`dovegate_fleet_stream_max_bytes{${verifier},stream="DOVEGATE_AUDIT_a"}`]: '1000x60',
      [`dovegate_fleet_stream_bytes{${verifier},stream="DOVEGATE_AUDIT_b"}`]: '5000x60',
    },
    fires: undefined,
  },
  {
    alert: 'DovegateFleetNotRead',
    series: { [`dovegate_fleet_up{${verifier}}`]: '1x4 0x40' },
    quiet: '6m',
    fires: '7m',
    labels: verified,
  },
  {
    alert: 'DovegateFleetCertificateEnds',
    series: {
      [`dovegate_fleet_certificate_expiry_seconds{${verifier},role="server",name="nats1:4222"}`]: `${14 * day + 30}-15x20`,
    },
    quiet: '15s',
    fires: '1m',
    labels: { ...verified, role: 'server', name: 'nats1:4222' },
  },
  {
    alert: 'DovegateFleetCertificateEndsNow',
    series: {
      [`dovegate_fleet_certificate_expiry_seconds{${verifier},role="client",name="nats1:4222"}`]: `${2 * day + 30}-15x20`,
    },
    quiet: '15s',
    fires: '1m',
    labels: { ...verified, role: 'client', name: 'nats1:4222' },
  },
  {
    alert: 'DovegateFleetGone',
    series: { [`up{${verifier}}`]: '1x4 0x40' },
    quiet: '6m',
    fires: '7m',
    labels: verified,
  },
  {
    alert: 'DovegateReceiverLagging',
    // Bursts that are worked off are no reason; a lag that never falls is.
    series: { [`dovegate_audit_ship_lag_records{${host},sink="logs:6514"}`]: '5000x4 0x4 2000+100x120' },
    quiet: '17m',
    fires: '25m',
    labels: { ...here, sink: 'logs:6514' },
    value: '5k',
  },
  {
    alert: 'DovegateBackendDown',
    series: {
      [`dovegate_backend_up{${host},backend="mail1"}`]: '1x4 0x20',
      [`dovegate_backend_drained{${host},backend="mail1"}`]: '0x30',
    },
    quiet: '2m',
    fires: '3m',
    labels: { ...here, backend: 'mail1' },
  },
  {
    alert: 'DovegateBackendDown',
    series: {
      [`dovegate_backend_up{${host},backend="mail1"}`]: '0x60',
      [`dovegate_backend_drained{${host},backend="mail1"}`]: '1x60',
    },
    fires: undefined,
  },
  {
    alert: 'DovegateBackendDrained',
    series: { [`dovegate_backend_drained{${host},backend="mail1"}`]: '1x60' },
    step: '5m',
    quiet: '3h',
    fires: '4h30m',
    labels: { ...here, backend: 'mail1' },
  },
  {
    alert: 'DovegateDialsFailing',
    series: {
      [`dovegate_dials_total{${host},backend="mail1",result="auth-rejected"}`]: '0x8 0+1x60',
      [`dovegate_dials_total{${host},backend="mail1",result="ok"}`]: '0+9x100',
    },
    quiet: '3m',
    fires: '12m',
    labels: { ...here, backend: 'mail1', result: 'auth-rejected' },
  },
  {
    alert: 'DovegateQueueLong',
    series: { [`dovegate_waiters{${host},backend="mail1"}`]: '0x4 40x20' },
    quiet: '3m',
    fires: '4m',
    labels: { ...here, backend: 'mail1' },
    value: '40',
  },
  {
    alert: 'DovegateCommandHangs',
    series: { [`dovegate_exchange_oldest_seconds{${host}}`]: '0+300x20' },
    step: '5m',
    quiet: '1h',
    fires: '1h10m',
    labels: here,
    value: '1h 10m 0s',
  },
  {
    alert: 'DovegateOutcomeUnknown',
    // The first one of its kind: there is no sample of 0 before it.
    series: { [`up{${host}}`]: '1x100', [unknown]: '_x60 1x30' },
    quiet: '14m',
    fires: '17m',
    labels: { ...here, listener: 'support' },
  },
  {
    alert: 'DovegateOutcomeUnknown',
    series: { [unknown]: '3x4 5x20' },
    quiet: '1m',
    fires: '3m',
    labels: { ...here, listener: 'support' },
  },
  {
    alert: 'DovegateOutcomeUnknown',
    // What a daemon counted before anybody scraped it is no news.
    series: { [`up{${host}}`]: '1x100', [unknown]: '3x100' },
    fires: undefined,
  },
  {
    alert: 'DovegateDenialsJump',
    series: {
      [`dovegate_exchanges_total{${host},listener="support",command="fetch",decision="deny",outcome="denied"}`]:
        '0x8 0+15x60',
    },
    quiet: '2m',
    fires: '12m',
    labels: { ...here, listener: 'support' },
    value: '1',
  },
  {
    alert: 'DovegateDenialsJump',
    // As many as ever.
    series: {
      [`dovegate_exchanges_total{${host},listener="support",command="fetch",decision="deny",outcome="denied"}`]:
        '0+300x30',
    },
    step: '5m',
    fires: undefined,
  },
  {
    alert: 'DovegateLoginsFailing',
    series: {
      [`dovegate_logins_total{${host},listener="jobs",result="failed"}`]: '0x8 0+15x60',
      [`dovegate_logins_total{${host},listener="jobs",result="ok"}`]: '0+90x60',
    },
    quiet: '3m',
    fires: '14m',
    labels: { ...here, listener: 'jobs' },
    value: '1',
  },
  {
    alert: 'DovegateSessionsFull',
    series: {
      [`dovegate_sessions{${host},listener="support"}`]: '10x4 95x20',
      [`dovegate_sessions_max{${host},listener="support"}`]: '100x30',
    },
    quiet: '3m',
    fires: '4m',
    labels: { ...here, listener: 'support' },
    value: '95%',
  },
  {
    alert: 'DovegateCertificateEnds',
    series: {
      [`dovegate_certificate_expiry_seconds{${host},role="listener",name="jobs"}`]: `${14 * day + 30}-15x20`,
    },
    quiet: '15s',
    fires: '1m',
    labels: { ...here, role: 'listener', name: 'jobs' },
  },
  {
    alert: 'DovegateCertificateEndsNow',
    series: {
      [`dovegate_certificate_expiry_seconds{${host},role="backend",name="mail1"}`]: `${2 * day + 30}-15x20`,
    },
    quiet: '15s',
    fires: '1m',
    labels: { ...here, role: 'backend', name: 'mail1' },
  },
  {
    alert: 'DovegateKeyEnds',
    series: {
      [`dovegate_key_expiry_seconds{${host},listener="panel",key="modoboa"}`]: `${14 * day + 30}-15x20`,
    },
    quiet: '15s',
    fires: '1m',
    labels: { ...here, listener: 'panel', key: 'modoboa' },
  },
];

function rendered(text: string, { labels = {}, value }: Case): string {
  return text
    .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, name: string) => {
      assert.ok(labels[name] !== undefined, `no label ${name} in: ${text}`);
      return labels[name];
    })
    .replaceAll(/\{\{ \$value[^}]*\}\}/g, () => {
      assert.ok(value !== undefined, `no value in: ${text}`);
      return value;
    });
}

function unitTest(one: Case, alert: Alert): unknown {
  const { annotations } = alert;
  const expected = () => [
    {
      exp_labels: { ...one.labels, severity: alert.labels.severity },
      exp_annotations: {
        summary: rendered(annotations.summary, one),
        description: rendered(annotations.description, one),
        runbook_url: annotations.runbook_url,
      },
    },
  ];
  const at = (time: string | undefined, alerts: readonly unknown[]) =>
    time === undefined ? [] : [{ eval_time: time, alertname: one.alert, exp_alerts: alerts }];
  return {
    interval: one.step ?? usualStep,
    input_series: Object.entries(one.series).map(([series, values]) => ({ series, values })),
    alert_rule_test: [
      ...at(one.quiet, []),
      ...(one.fires === undefined ? [] : at(one.fires, expected())),
      ...(one.fires === undefined ? ['5m', '30m', '1h', '2h'].flatMap((time) => at(time, [])) : []),
    ],
  };
}

test('promtool takes the rules, and each alert fires in time and not before', {
  timeout: 600_000,
}, async (t) => {
  const alerts = readAlerts();
  assert.deepEqual(
    alerts
      .map(({ alert }) => alert)
      .filter((name) => !cases.some((one) => one.alert === name && one.fires !== undefined)),
    [],
    'alerts without a test',
  );
  if (isMissing(t)) return;
  const checked = await runProgram(promtool, ['check', 'rules', rulesFile]);
  assert.equal(checked.exit, 0, checked.text);
  const folder = openFolder(t);
  for (const step of [undefined, '5m'] as const) {
    const file = join(folder, `alerts-${step ?? 'usual'}.json`);
    const tests = cases
      .filter((one) => one.step === step)
      .map((one) => {
        const alert = alerts.find(({ alert: name }) => name === one.alert);
        assert.ok(alert !== undefined, one.alert);
        return unitTest(one, alert);
      });
    // JSON is YAML.
    const settings = { rule_files: [rulesFile], evaluation_interval: step ?? usualStep };
    writeFileSync(file, JSON.stringify({ ...settings, tests }));
    const tested = await runProgram(promtool, ['test', 'rules', file]);
    assert.equal(tested.exit, 0, tested.text);
  }
  t.diagnostic(`${alerts.length} alerts, ${cases.length} cases`);
});

test('promtool reads every expression of the board', { timeout: 600_000 }, async (t) => {
  if (isMissing(t)) return;
  const exprs = readBoard().panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  assert.ok(exprs.length > 20, String(exprs.length));
  const file = join(openFolder(t), 'board.json');
  const check = (all: readonly string[]) => {
    const rules = all.map((expr, at) => ({ record: `board:expression_${at}`, expr: asSent(expr) }));
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'board', rules }] }));
    return runProgram(promtool, ['check', 'rules', file]);
  };
  const checked = await check(exprs);
  assert.equal(checked.exit, 0, checked.text);
  assert.notEqual((await check([...exprs, 'sum(dovegate_ready'])).exit, 0, 'a broken one is noticed');
});

test('promtool takes the configurations of Prometheus that the page shows', async (t) => {
  const shown = fencesOf(readFileSync(join(root, 'docs/monitoring.md'), 'utf8')).filter(({ info }) =>
    info.startsWith('prometheus'),
  );
  assert.equal(shown.length, 2);
  if (isMissing(t)) return;
  const folder = openFolder(t);
  for (const name of ['dovegate.token', 'ca.pem']) writeFileSync(join(folder, name), 'x');
  copyFileSync(rulesFile, join(folder, 'dovegate-rules.yaml'));
  for (const { text } of shown) {
    const file = join(folder, 'prometheus.yml');
    writeFileSync(file, text.replaceAll('/etc/prometheus', folder));
    const checked = await runProgram(promtool, ['check', 'config', file]);
    assert.equal(checked.exit, 0, checked.text);
    assert.match(checked.text, /SUCCESS: \d+ rules found/);
  }
});

test('every alert says what is wrong, what to do, and where that is written', () => {
  for (const { alert, annotations, labels } of readAlerts()) {
    assert.match(labels.severity, /^(?:critical|warning|info)$/, alert);
    assert.ok(annotations.summary.length > 20 && annotations.description.length > 40, alert);
    const [path = '', anchor = ''] = annotations.runbook_url.split('#');
    assert.match(path, /^docs\/[a-z-]+\.md$/, alert);
    const anchors = readFileSync(join(root, path), 'utf8')
      .split('\n')
      .filter((line) => /^#+ /.test(line))
      .map((line) =>
        line
          .replace(/^#+ /, '')
          .toLowerCase()
          .replaceAll(/[^\w\s-]/g, '')
          .replaceAll(' ', '-'),
      );
    assert.ok(anchors.includes(anchor), `${alert}: ${annotations.runbook_url}`);
  }
});
