// `dovegate ship`: records and notices on their way to receivers, in a process of their own. What is to
// be sent, and where, it is told at `audit.door`; of the disk it reads the journal, the files of the receivers, and its own state. It goes
// on without the gate.

import { existsSync } from 'node:fs';
import { Opened, openProcess, watchFatalErrors } from '../gate/daemon/life.js';
import { createDoorClient } from '../gate/door/door-client.js';
import { type ClaimedSink, type ShipClaims, type ShipHead, shipCalls } from '../gate/door/ship.js';
import { createLog, type Log } from '../gate/telemetry/log.js';
import { pause } from '../host/concurrency/waiting.js';
import { randomFraction, systemClock } from '../host/machine/clock.js';
import { trustedByUs, whyNoRight, whyUnsafe } from '../host/machine/files.js';
import { holdProcess, nameProcess, processId, programVersion } from '../host/machine/process.js';
import { yieldToOthers } from '../host/machine/share-processor.js';
import { createConnect } from '../host/net/dial.js';
import { messageOf } from '../host/ports/faults.js';
import { exitCodes, type Timer } from '../host/ports/machine.js';
import { plural } from '../host/words/words.js';
import { isNoticeSettings } from '../rules/config/settings.js';
import { sinkFilesOf } from '../rules/config/sink-files.js';
import { createCertificates, receiverCertificatesOf } from '../rules/setup/certificates.js';
import { Gate } from './gate.js';
import { createNotices } from './notices.js';
import { sinksOf } from './receivers.js';
import { openShipping, type Shipping } from './shipping/shipping.js';

const tellMs = 1_000;
/** Time for the end, beyond that of the receivers. */
const endMs = 10_000;
const flushMsMax = 1_000;
const goneMs = 5_000;
const lookMs = 20;

export interface ShipOptions {
  readonly door: string;
  /** The directory of its own state: how far receivers are. */
  readonly state: string;
}

/** Runs until a signal ends it, or there is no receiver; resolves to the exit code. */
export async function ship({ door, state }: ShipOptions): Promise<number> {
  nameProcess('ship');
  yieldToOthers();
  const log = await createLog('info', process.stdout.isTTY, systemClock);
  const fatal = watchFatalErrors(log);
  const opened = new Opened(log);
  let code: number = exitCodes.ok;
  let isDone = false;
  try {
    const own = await fatal.race(openProcess(log, fatal, opened));
    const { manager, stop } = own;
    const { status, finished } = open({ door, state }, log, opened);
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
  // Nothing else keeps the process alive now. systemd looks at the door when it ends: one that is still there would start it again.
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
  /** Resolves when there is no receiver any more, and those that were removed have what was theirs. */
  readonly finished: Promise<void>;
}

function open({ door, state }: ShipOptions, log: Log, opened: Opened): OpenedShip {
  const clock = systemClock;
  let head: ShipHead | undefined;
  let seq: number | undefined;
  /** The records of one journal; another one begins anew. */
  let shipping: { readonly of: string; readonly sinks: Shipping } | undefined;
  let changes: Promise<void> = Promise.resolve();
  let telling: Timer | undefined;
  let toldFault: string | undefined;
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const connect = createConnect(clock);
  const certificates = createCertificates({
    clock,
    prepareOffer: () => undefined,
    report: (event) => log.report({ ...event }),
    onReplaced: () => undefined,
    shownByReceivers: () => shipping?.sinks.certificates ?? [],
  });
  opened.add('certificates', () => certificates.close());
  opened.add('the door', async () => {
    telling?.cancel();
    await tellNow();
    gate.close();
  });
  const notices = createNotices({ clock, log, directory: state });
  opened.add('notices', () => notices.close());
  opened.add('records', async () => {
    await changes;
    await shipping?.sinks.end();
  });
  const gate = new Gate({
    clock,
    log,
    client: createDoorClient({ path: door, calls: shipCalls }, clock, randomFraction),
    onHead(next) {
      head = next;
      change();
    },
    onSeq(next) {
      const isFirst = seq === undefined;
      seq = next;
      if (isFirst) change();
      shipping?.sinks.nudge();
      if (head !== undefined) notices.reached(next);
    },
  });
  void gate.follow();
  tell();
  return { status, finished };

  function status(): string {
    if (head === undefined) return `waits for dovegate: ${gate.away ?? 'it has not said what to send'}`;
    const why = problem() ?? gate.away;
    const sends = `sends to ${plural(head.sinks.length + head.notices.length, 'receiver')}`;
    return why === undefined ? sends : `${sends}: ${why}`;
  }

  function problem(): string | undefined {
    const denied = head && whyNoRight(head.directory, 'read', 'enter');
    return denied && head
      ? `cannot read the journal in ${head.directory} (${denied}): its user must be in the group of audit.group`
      : undefined;
  }

  function change(): void {
    changes = changes.then(apply).catch((fault: unknown) => {
      log.report({ event: 'internal-error', level: 'error', text: messageOf(fault) });
    });
  }

  /** Takes the receivers that were told last. */
  async function apply(): Promise<void> {
    if (head === undefined || seq === undefined) return;
    const now = head;
    log.setLevel(now.logLevel);
    lookAtSecrets(now);
    const sinks = sinksOf(now.sinks);
    const of = JSON.stringify([now.directory, now.journal, now.host]);
    certificates.prepare([], [], receiverCertificatesOf(now.sinks)).commit();
    if (shipping?.of === of) shipping.sinks.replace(sinks);
    else {
      await shipping?.sinks.end();
      const made = await openShipping({
        sinks,
        stateDirectory: state,
        directory: now.directory,
        sender: { hostName: now.host, processId },
        connect,
        clock,
        chance: randomFraction,
        observe: ({ kind: event, level, text, ...keys }) => log.report({ ...keys, event, level, text }),
      });
      shipping = { of, sinks: made };
      made.start({ id: now.journal, key: now.key, seq: () => seq ?? 0 });
    }
    notices.replace(now.notices, now);
    notices.reached(seq);
    if (sinks.length + now.notices.length > 0) return;
    await shipping.sinks.settled();
    if (head === now) finish();
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
    if (head === undefined || gate.away !== undefined) return;
    try {
      await gate.tell(claimsOf(head));
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
      sinks: (shipping?.sinks.sinks ?? []).map(
        ({ name, state: at, lagMs, sentSeq, safe, refused }): ClaimedSink => {
          const why =
            at.at === 'away'
              ? { code: at.code, text: cut(at.text) }
              : at.at === 'forked'
                ? { text: cut(at.text) }
                : {};
          const counted = refused === undefined ? {} : { refused };
          return { name, state: at.at, ...why, sentSeq, lagMs, ...counted, ...(safe.seq > 0 && { safe }) };
        },
      ),
      notices: notices.receivers,
      certificates: certificates
        .expiries()
        .flatMap(({ role, name, leftMs }) =>
          role === 'receiver' || role === 'receiver-client' ? [{ role, name, leftMs }] : [],
        ),
      problem: problem(),
    };
  }
}

function cut(text: string): string {
  return text.slice(0, 1_000);
}
