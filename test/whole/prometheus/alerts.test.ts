// Goal: promtool takes every rule and every expression of the board, and each alert fires when it should and not before. What must not
// happen: an alert that nobody tested, an alert whose text has a hole, a link to a place that is not there.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openFolder } from '../../kit/plain/folder.js';
import { ends, runProgram } from '../../kit/plain/program.js';
import { fencesOf } from '../cli/docs-steps.js';
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
  readonly series: Readonly<Record<string, string>>;
  /** Between two samples and two looks. */
  readonly step: string;
  /** When it does not fire yet, and when it does; undefined: it never fires. */
  readonly quiet: string | undefined;
  readonly fires: string | undefined;
  /** Of the alert, beside `severity`: those of its first series where the case names no others. */
  readonly labels: Readonly<Record<string, string>>;
  /** What `{{ $value ... }}` becomes. */
  readonly value: string | undefined;
}

const usualStep = '15s';

/** Each alert with its series in promtool's notation; 1209630 s are two weeks, 172830 s two days, each with two samples more. */
const written = `
DovegateGone is quiet at 1m45s and fires at 3m
  up{HOST}: 1x4 0x20
DovegateNotScraped is quiet at 4m and fires at 6m, labels job="dovegate"
  up{job="node"}: 1x40
DovegateRestarting is quiet at 2m45s and fires at 4m, value 3
  process_start_time_seconds{HOST}: 100x4 200x4 300x4 400x20
DovegateNotReady is quiet at 2m and fires at 3m
  dovegate_ready{HOST}: 1x4 0x20
DovegateReloadFailed is quiet at 2m and fires at 3m
  dovegate_config_reload_success{HOST}: 1x4 0x20
DovegateLoopStalled is quiet at 2m and fires at 4m
  dovegate_event_loop_lag_seconds_count{HOST}: 0+150x10 1501+150x30
  dovegate_event_loop_lag_seconds_bucket{HOST,le="0.5"}: 0+150x10 1500+150x30
DovegateDescriptorsNearLimit is quiet at 2m and fires at 4m, value 90%
  process_open_fds{HOST}: 700x4 900x20
  process_max_fds{HOST}: 1000x30
DovegateLogDropped is quiet at 1m and fires at 2m
  dovegate_log_dropped_total{HOST}: 0x4 7x20
DovegateAuditNotWritable is quiet at 1m30s and fires at 2m
  dovegate_audit_writable{HOST}: 1x4 0x20
DovegateAuditRecordsLost is quiet at 1m and fires at 2m
  dovegate_audit_lost_total{HOST}: 0x4 1x20
DovegateAuditDiskFull is quiet at 1m and fires at 1m15s
  dovegate_audit_in_reserve{HOST}: 0x4 1x20
DovegateAuditJournalFilling is quiet at 1m and fires at 1m15s, value 85%
  dovegate_audit_young_bytes{HOST}: 700x4 850x20
  dovegate_audit_max_bytes{HOST}: 1000x24
DovegateAuditJournalFilling never fires
  dovegate_audit_young_bytes{HOST}: 790x20
  dovegate_audit_max_bytes{HOST}: 1000x20
DovegateAuditLargestWriters is quiet at 1m and fires at 1m15s, value 90%
  dovegate_audit_writer_share{HOST,principal="jobs@jobs"}: _x5 0.9x20
DovegateAuditDiskFilling is quiet at 20m and fires at 1h, step 5m
  dovegate_audit_free_bytes{HOST}: 5000000000-20000000x50
DovegateAuditDiskFilling never fires, step 5m
  dovegate_audit_free_bytes{HOST}: 5000000000x30
DovegateAuditDiskSlow is quiet at 2m and fires at 3m, value 8s
  dovegate_audit_unsynced_seconds{HOST}: 0.02x4 8x20
DovegateShipAway is quiet at 6m and fires at 7m
  dovegate_audit_ship_up{HOST}: 1x4 0x40
DovegateNoticesAway is quiet at 6m and fires at 7m
  dovegate_notices_up{HOST,receiver="hook"}: 1x4 0x40
DovegateReceiverAway is quiet at 6m and fires at 7m
  dovegate_audit_ship_connected{HOST,sink="logs:6514"}: 1x4 0x40
DovegateJournalForked is quiet at 1m45s and fires at 3m
  dovegate_audit_ship_forked{HOST,sink="s3.example.com:443/audit/dovegate"}: 0x4 1x20
DovegateFleetFinding is quiet at 1m45s and fires at 3m
  dovegate_fleet_findings{FLEET,host="mail-gate-1",kind="silent"}: _x4 1x20
DovegateFleetNotMirrored is quiet at 6m and fires at 7m
  dovegate_fleet_unmirrored_ratio{FLEET,host="mail-gate-1"}: 0.4x4 0.6x40
DovegateFleetNotRead is quiet at 6m and fires at 7m
  dovegate_fleet_up{FLEET}: 1x4 0x40
DovegateFleetGone is quiet at 6m and fires at 7m
  up{FLEET}: 1x4 0x40
# Bursts that are worked off are no reason; a lag that never falls is.
DovegateReceiverLagging is quiet at 17m and fires at 25m, value 5k
  dovegate_audit_ship_lag_records{HOST,sink="logs:6514"}: 5000x4 0x4 2000+100x120
DovegateBackendDown is quiet at 2m and fires at 3m
  dovegate_backend_up{HOST,backend="mail1"}: 1x4 0x20
  dovegate_backend_drained{HOST,backend="mail1"}: 0x30
DovegateBackendDown never fires
  dovegate_backend_up{HOST,backend="mail1"}: 0x60
  dovegate_backend_drained{HOST,backend="mail1"}: 1x60
DovegateBackendDrained is quiet at 3h and fires at 4h30m, step 5m
  dovegate_backend_drained{HOST,backend="mail1"}: 1x60
DovegateDialsFailing is quiet at 3m and fires at 12m
  dovegate_dials_total{HOST,backend="mail1",result="auth-rejected"}: 0x8 0+1x60
  dovegate_dials_total{HOST,backend="mail1",result="ok"}: 0+9x100
DovegateQueueLong is quiet at 3m and fires at 4m, value 40
  dovegate_waiters{HOST,backend="mail1"}: 0x4 40x20
DovegateCommandHangs is quiet at 1h and fires at 1h10m, step 5m, value 1h 10m 0s
  dovegate_exchange_oldest_seconds{HOST}: 0+300x20
# The first one of its kind: there is no sample of 0 before it.
DovegateOutcomeUnknown is quiet at 14m and fires at 17m, labels HOST,listener="support"
  up{HOST}: 1x100
  dovegate_exchanges_total{HOST,listener="support",command="expunge",decision="allow",outcome="unknown"}: _x60 1x30
DovegateOutcomeUnknown is quiet at 1m and fires at 3m, labels HOST,listener="support"
  dovegate_exchanges_total{HOST,listener="support",command="expunge",decision="allow",outcome="unknown"}: 3x4 5x20
# What a daemon counted before anybody scraped it is no news.
DovegateOutcomeUnknown never fires
  up{HOST}: 1x100
  dovegate_exchanges_total{HOST,listener="support",command="expunge",decision="allow",outcome="unknown"}: 3x100
DovegateDenialsJump is quiet at 2m and fires at 12m, labels HOST,listener="support", value 1
  dovegate_exchanges_total{HOST,listener="support",command="fetch",decision="deny",outcome="denied"}: 0x8 0+15x60
# As many as ever.
DovegateDenialsJump never fires, step 5m
  dovegate_exchanges_total{HOST,listener="support",command="fetch",decision="deny",outcome="denied"}: 0+300x30
DovegateLoginsFailing is quiet at 3m and fires at 14m, labels HOST,listener="jobs", value 1
  dovegate_logins_total{HOST,listener="jobs",result="failed"}: 0x8 0+15x60
  dovegate_logins_total{HOST,listener="jobs",result="ok"}: 0+90x60
DovegateSessionsFull is quiet at 3m and fires at 4m, value 95%
  dovegate_sessions{HOST,listener="support"}: 10x4 95x20
  dovegate_sessions_max{HOST,listener="support"}: 100x30
DovegateCertificateEnds is quiet at 15s and fires at 1m
  dovegate_certificate_expiry_seconds{HOST,role="listener",name="jobs"}: 1209630-15x20
DovegateCertificateEndsNow is quiet at 15s and fires at 1m
  dovegate_certificate_expiry_seconds{HOST,role="backend",name="mail1"}: 172830-15x20
DovegateKeyEnds is quiet at 15s and fires at 1m
  dovegate_key_expiry_seconds{HOST,listener="panel",key="modoboa"}: 1209630-15x20
`;

const labelsIn = (text: string): Case['labels'] =>
  Object.fromEntries(
    [...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', label = '']) => [name, label]),
  );

function readCase(lines: string): Case {
  const [head = '', ...rest] = lines.split('\n  ');
  const [, alert = assert.fail(head), times = '', more = ''] =
    /^(\w+) (never fires|is quiet at \S+ and fires at \w+)(.*)$/.exec(head) ?? [];
  const [, quiet, fires] = /at (\S+) .* at (\S+)/.exec(times) ?? [];
  const series = Object.fromEntries(rest.map((line) => line.split(': ')));
  const [, labels = rest[0] ?? ''] = /labels (\S+)/.exec(more) ?? [];
  const [, step = usualStep] = /step (\w+)/.exec(more) ?? [];
  return { alert, series, quiet, fires, step, labels: labelsIn(labels), value: /value (.*)/.exec(more)?.[1] };
}

const cases = written
  .replaceAll('HOST', 'job="dovegate",instance="mail:9146"')
  .replaceAll('FLEET', 'job="dovegate-fleet",instance="audit:9148"')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .join('\n')
  .split(/\n(?! )/)
  .map(readCase);

function rendered(text: string, { labels, value }: Case): string {
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
    interval: one.step,
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
  await ends(0, runProgram(promtool, ['check', 'rules', rulesFile]));
  const folder = openFolder(t);
  for (const step of new Set(cases.map((one) => one.step))) {
    const file = join(folder, `alerts-${step}.json`);
    const tests = cases
      .filter((one) => one.step === step)
      .map((one) => {
        const alert = alerts.find(({ alert: name }) => name === one.alert);
        assert.ok(alert !== undefined, one.alert);
        return unitTest(one, alert);
      });
    // JSON is YAML.
    const settings = { rule_files: [rulesFile], evaluation_interval: step };
    writeFileSync(file, JSON.stringify({ ...settings, tests }));
    await ends(0, runProgram(promtool, ['test', 'rules', file]));
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
  await ends(0, check(exprs));
  assert.notEqual((await check([...exprs, 'sum(dovegate_ready'])).exit, 0, 'a broken one is noticed');
});

test('promtool takes the configurations of Prometheus that the page shows', async (t) => {
  const shown = fencesOf(readFileSync(join(root, 'docs/operations.md'), 'utf8')).filter(({ info }) =>
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
    const checked = await ends(0, runProgram(promtool, ['check', 'config', file]));
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
