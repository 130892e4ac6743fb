// `dovegate ship`: sends records and notices to receivers, in a process of its own. `audit.door` tells it what to send, and where. On the
// disk it reads only the journal, the files of the receivers, and its own state. It goes on while the gate is away.

import { existsSync } from 'node:fs';
import { Opened, openProcess, watchFatalErrors } from '../gate/daemon/life.js';
import { createDoorClient, DoorFault } from '../gate/door/door-client.js';
import { type ShipClaims, type ShipHead, type ShipLine, shipCalls } from '../gate/door/ship.js';
import { createLog, type Log } from '../gate/telemetry/log.js';
import { pause } from '../host/concurrency/waiting.js';
import { randomFraction, systemClock } from '../host/machine/clock.js';
import { trustedByUs, whyNoRight, whyUnsafe } from '../host/machine/files.js';
import {
  holdProcess,
  nameProcess,
  processId,
  programVersion,
  readerOfStdout,
  readFromDisk,
  standardShipDoor,
} from '../host/machine/process.js';
import { yieldToOthers } from '../host/machine/share-processor.js';
import { createConnect } from '../host/net/dial.js';
import { createLookup } from '../host/net/receivers.js';
import { stderr } from '../host/output/output.js';
import { messageOf } from '../host/ports/faults.js';
import { exitCodes, type Timer } from '../host/ports/machine.js';
import { plural } from '../host/words/words.js';
import { findSettings } from '../rules/config/parse-settings.js';
import type { NoticeReceiver, SinkReport } from '../rules/config/receiver.js';
import { isNoticeSettings, type NoticeSettings } from '../rules/config/settings.js';
import { sinkFilesOf } from '../rules/config/sink-files.js';
import type { SinkSettings } from '../rules/config/sinks.js';
import { createCertificates, receiverCertificatesOf } from '../rules/setup/certificates.js';
import { startNotices } from './notices.js';
import { createReceiverSet } from './receiver-set.js';
import { carrierOf, startReceiver } from './receivers.js';

const tellMs = 1_000;
const retryMs = 500;
/** Time for closing, beyond that of the receivers. */
const endMs = 10_000;
const flushMsMax = 1_000;
const goneMs = 5_000;
const lookMs = 20;

export interface ShipOptions {
  readonly config: string;
  readonly door?: string;
  /** The directory of its own state: how far receivers are. */
  readonly state?: string;
}

/** Runs until a signal ends it, or there is no receiver; resolves to the exit code. */
export async function ship({ config, door, state = stateDirectory() }: ShipOptions): Promise<number> {
  // The user of the packaged service cannot read the configuration.
  const settings = door === undefined ? findSettings(config, readFromDisk).settings : undefined;
  const { audit, notices = [] } = settings ?? {};
  if (audit === undefined || audit.ship.length + notices.length > 0)
    return run(door ?? audit?.door ?? standardShipDoor, state);
  stderr(`${config} has no receivers (audit.ship, notices), so nothing is shipped`);
  return exitCodes.ok;
}

/** As systemd says, or as the package has it. */
function stateDirectory(): string {
  const [first] = (process.env['STATE_DIRECTORY'] ?? '').split(':');
  return first === undefined || first === '' ? '/var/lib/dovegate-ship' : first;
}

async function run(door: string, state: string): Promise<number> {
  nameProcess('ship');
  yieldToOthers();
  const log = createLog('info', readerOfStdout(), systemClock);
  const fatal = watchFatalErrors(log);
  const opened = new Opened(log);
  let code: number = exitCodes.ok;
  let isDone = false;
  try {
    const own = await fatal.race(openProcess(log, fatal, opened));
    const { manager, stop } = own;
    const { status, finished } = open(door, state, log, opened);
    manager.ready(status());
    manager.follow(status);
    manager.watch(() => true);
    log.report({ event: 'started', level: 'info', text: `dovegate ship ${programVersion} asks at ${door}` });
    const isOver = await fatal.race(Promise.race([stop.first.then(() => false), finished.then(() => true)]));
    manager.stopping('ends', endMs);
    isDone = isOver;
  } catch (fault) {
    if (!fatal.hasHappened) log.report({ event: 'start-failed', level: 'error', text: messageOf(fault) });
    code = exitCodes.configuration;
  }
  await opened.close(pause(systemClock, endMs).then(() => `not within ${endMs / 1000} s`));
  // Keeps the process alive until the door is gone: systemd would start it again if the door were still there at its end.
  const release = holdProcess();
  for (let leftMs = isDone ? goneMs : 0; leftMs > 0 && existsSync(door); leftMs -= lookMs)
    await pause(systemClock, lookMs);
  if (!fatal.hasHappened && code === exitCodes.ok)
    log.report({ event: 'stopped', level: 'info', text: 'nothing is sent any more' });
  await Promise.race([log.flush(), pause(systemClock, flushMsMax)]);
  release();
  return fatal.hasHappened ? exitCodes.bug : code;
}

interface OpenedShip {
  readonly status: () => string;
  /** Resolves when there is no receiver any more, and sending to the removed ones has ended. */
  readonly finished: Promise<void>;
}

function open(door: string, state: string, log: Log, opened: Opened): OpenedShip {
  const clock = systemClock;
  let head: ShipHead | undefined;
  let seq: number | undefined;
  /** Why the gate cannot be asked now, as a sentence; undefined: it can. */
  let away: string | undefined = 'dovegate was not asked yet';
  let telling: Timer | undefined;
  let toldFault: string | undefined;
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const client = createDoorClient({ path: door, calls: shipCalls }, clock, randomFraction);
  const following = new AbortController();
  /** Certificates that receivers showed when they were reached last. */
  const shown = new Map<string, { readonly name: string; readonly validTo: string }>();
  const certificates = createCertificates({
    clock,
    prepareOffer: () => undefined,
    report: (event) => log.report({ ...event }),
    onReplaced: () => undefined,
    shownByReceivers: () => head?.sinks.flatMap(({ name }) => shown.get(name) ?? []) ?? [],
  });
  opened.add('certificates', () => certificates.close());
  opened.add('the door', async () => {
    telling?.cancel();
    await tellNow();
    following.abort(new Error('dovegate ship is stopping'));
    client.close();
  });
  const parts = { clock, log, chance: randomFraction, state, untilSeq: () => seq ?? 0 };
  const lookup = createLookup();
  const notices = createReceiverSet<NoticeSettings, NoticeReceiver>((settings, now) =>
    Promise.resolve(startNotices(settings, now, { ...parts, lookup })),
  );
  opened.add('notices', () => notices.close());
  const ofRecords = {
    ...parts,
    processId,
    connect: createConnect(clock),
    onCertificate: (name: string, validTo: string) => void shown.set(name, { name, validTo }),
  };
  const records = createReceiverSet<SinkSettings, SinkReport>((sink, now) => {
    shown.delete(sink.name);
    return startReceiver(sink.name, (more) => carrierOf(sink, more), now, ofRecords);
  });
  opened.add('records', () => records.close());
  void follow();
  tell();
  return { status, finished };

  /** Until the end. Never rejects. The last head holds while the gate is away, so records on disk are still sent. */
  async function follow(): Promise<void> {
    const { signal } = following;
    let told: string | undefined;
    while (!signal.aborted) {
      try {
        for await (const line of client.lines('receivers', signal)) {
          take(JSON.parse(line));
          told = undefined;
        }
      } catch (fault) {
        const code = fault instanceof DoorFault ? fault.code : 'away';
        away = messageOf(fault);
        // Compared by code: the text about a gate that is gone changes between attempts.
        if (told !== code) log.report({ event: 'door-away', level: 'warn', text: away });
        told = code;
      }
      await pause(clock, retryMs, signal);
    }
  }

  function take(line: ShipLine): void {
    away = undefined;
    if ('head' in line) {
      // The numbers of another journal say nothing of this one.
      if (line.head.journal !== head?.journal) seq = undefined;
      ({ head } = line);
      change();
      return;
    }
    const isFirst = seq === undefined;
    ({ seq } = line);
    if (isFirst) change();
    records.nudge();
    notices.nudge();
  }

  function status(): string {
    if (head === undefined) return `waits for dovegate: ${away ?? 'it has not said what to send'}`;
    const why = problem() ?? away;
    const sends = `sends to ${plural(head.sinks.length + head.notices.length, 'receiver')}`;
    return why === undefined ? sends : `${sends}: ${why}`;
  }

  function problem(): string | undefined {
    const denied = head && whyNoRight(head.directory, 'read', 'enter');
    return denied && head
      ? `cannot read the journal in ${head.directory} (${denied}): its user must be in the group of audit.group`
      : undefined;
  }

  /** Takes the receivers of the last head. */
  function change(): void {
    if (head === undefined || seq === undefined) return;
    const now = head;
    try {
      log.configure(now.log);
      lookAtSecrets(now);
      certificates.prepare([], [], receiverCertificatesOf(now.sinks)).commit();
    } catch (fault) {
      log.report({ event: 'internal-error', level: 'error', text: messageOf(fault) });
      return;
    }
    const settled = Promise.all([records.replace(now.sinks, now), notices.replace(now.notices, now)]);
    if (now.sinks.length + now.notices.length > 0) return;
    void settled.then(() => {
      if (head === now) finish();
    });
  }

  /** Reports secrets that others can read, and uses them: `check` refuses them, but nobody else reads these files. */
  function lookAtSecrets({ sinks, notices: receivers }: ShipHead): void {
    const secrets = ['key', 'credentials', 'headers_file'];
    const files = [
      ...sinks
        .flatMap((sink) => sinkFilesOf(sink).filter(([key]) => secrets.includes(key)))
        .map(([, file]) => file),
      ...receivers.map((each) => (isNoticeSettings(each, 'webhook') ? each.secretFile : undefined)),
    ];
    for (const file of new Set(files)) {
      const unsafe = file === undefined ? undefined : whyUnsafe(file, true, trustedByUs());
      if (unsafe !== undefined) log.report({ event: 'secret-unsafe', level: 'warn', text: unsafe.text });
    }
  }

  function tell(): void {
    telling = clock.setTimer(tellMs, () => void tellNow().finally(tell));
  }

  /** Never rejects. */
  async function tellNow(): Promise<void> {
    if (head === undefined || away !== undefined) return;
    try {
      await client.call('shipped', claimsOf(head));
      toldFault = undefined;
    } catch (fault) {
      const text = `the door: ${messageOf(fault)}`;
      if (toldFault !== text) log.report({ event: 'admin-failed', level: 'error', text });
      toldFault = text;
    }
  }

  function claimsOf({ journal }: ShipHead): ShipClaims {
    return {
      version: programVersion,
      journal,
      sinks: records.reports,
      notices: notices.reports,
      certificates: certificates
        .expiries()
        .flatMap(({ role, name, leftMs }) =>
          role === 'receiver' || role === 'receiver-client' ? [{ role, name, leftMs }] : [],
        ),
      problem: problem(),
    };
  }
}
