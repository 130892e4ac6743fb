// Compares the records of a command with what the recorder and the client saw of it: completions must be true.
import { catalog } from './catalog.js';
import {
  type Arrival,
  type Completion,
  type Entry,
  type Exchange,
  nameEntry,
  nameExchange,
} from './evidence.js';
import { backendKinds, type Faults, processKinds } from './faults.js';
import { type ClientIndex, hmacOf } from './index-clients.js';
import type { Timeline } from './judge.js';
import type { Report } from './report.js';

interface TruthSetting {
  index: ClientIndex;
  faults: Faults;
  timeline: Timeline;
  hmacKey: string;
  report: Report;
}

interface TruthChecker {
  check(entry: Entry): void;
}

/** Clients of the doveadm protocol whose rows are compared byte by byte. */
export function isNative(entry: Entry): boolean {
  return entry.kind === 'unix' || entry.kind === 'tls' || entry.kind === 'hostile';
}

/** The gate puts the user before each row where an old client asks for it with `-A` or a wildcard. */
export function hasUserColumn(entry: Entry): boolean {
  return entry.args.some(
    (one, at) =>
      /^-[^-]*A/.test(one) ||
      one.startsWith('--all') ||
      (entry.args[at - 1] === '-u' && /[*?]/.test(one)) ||
      /^-u.*[*?]/.test(one),
  );
}

const durationSlackMs = 3000;
const switchMs = 3000;

export function createTruthChecker(setting: TruthSetting): TruthChecker {
  const { report, index, faults, timeline, hmacKey } = setting;
  const upstreams = new Map<string, string>();
  const versions = new Map<string, string>();

  const sayerOf = (entry: Entry, exchange: Exchange) => (what: string) =>
    report.add('not-true', `${nameEntry(entry)}: ${what}`, nameExchange(exchange));

  const checkIdentity = (entry: Entry, exchange: Exchange): void => {
    const say = sayerOf(entry, exchange);
    if (exchange.principal !== entry.principal) say(`principal ${exchange.principal}`);
    const user = index.normalUser(entry.user);
    if (exchange.isAllowed && exchange.user !== '' && exchange.user !== user) say(`user ${exchange.user}`);
    const isKnown = catalog['2.3'].has(entry.command) || catalog['2.4'].has(entry.command);
    if (exchange.isAllowed && isKnown && exchange.command !== entry.command && !exchange.isTwin)
      say(`command "${exchange.command}"`);
    checkVersion(entry, exchange);
  };

  /** In a time with one policy, all records of a principal name the same text. */
  const checkVersion = (entry: Entry, exchange: Exchange): void => {
    const inForce = timeline.between(
      entry.begun - switchMs,
      Math.min(entry.ended, entry.begun + 600_000) + switchMs,
    );
    if (inForce.length !== 1 || exchange.version === '') return;
    const key = `${inForce[0]} ${entry.principal} ${exchange.policy}`;
    const known = versions.get(key);
    if (known === undefined) versions.set(key, exchange.version);
    else if (known !== exchange.version)
      sayerOf(entry, exchange)(`policy version ${exchange.version}, where others have ${known}`);
  };

  const checkSent = (
    entry: Entry,
    exchange: Exchange,
    done: Completion,
    arrivals: readonly Arrival[],
  ): void => {
    const say = sayerOf(entry, exchange);
    if (done.sent === undefined) say('a completion without sent');
    if (done.sent === false && arrivals.length > 0) say('sent: false, and it reached a backend');
    if (!exchange.isAllowed && done.sent === true) say('denied, and sent: true');
    const neverSent = ['denied', 'unparsable', 'limited'].includes(done.outcome);
    if (neverSent && done.sent === true && done.error === '') say(`outcome ${done.outcome}, and sent: true`);
    if (done.sent === true && arrivals.length === 0) {
      const mayHide = faults.explain(entry.begun, entry.ended, backendKinds);
      if (!mayHide || done.outcome === 'ok')
        say(`sent: true, outcome ${done.outcome}, and no backend got it`);
    }
    const isLeftAlone = done.outcome === 'aborted' && done.error === 'client-gone' && done.sent === true;
    const hasText = entry.input === undefined || arrivals.some((one) => one.input !== undefined);
    if (isLeftAlone && exchange.effect !== 'read' && hasText && !entry.inputCut)
      say(`a change of effect ${exchange.effect} was ended because its client left`);
    const last = arrivals.at(-1);
    if (last !== undefined && done.backends === 1 && done.backend !== last.backend && !isJoined(arrivals))
      say(`backend ${done.backend}, and it reached ${last.backend}`);
  };

  const checkOutcome = (
    entry: Entry,
    exchange: Exchange,
    done: Completion,
    arrivals: readonly Arrival[],
  ): void => {
    const say = sayerOf(entry, exchange);
    const isOwn = exchange.command.startsWith('dovegate ');
    if (
      (done.outcome === 'ok') !== (done.status === '+') &&
      done.outcome !== 'aborted' &&
      done.outcome !== 'unknown'
    )
      say(`outcome ${done.outcome} with status ${done.status}`);
    if (done.outcome === 'denied' && done.status !== '-NOPERM') say(`denied with status ${done.status}`);
    if (isNative(entry) && entry.status !== '' && entry.status !== done.status)
      say(`status ${done.status}, and the client got ${entry.status}`);
    if (isOwn || isJoined(arrivals) || done.backends > 1) return;
    const reply = arrivals.at(-1)?.reply;
    const isWhole = reply?.whole === true;
    if (done.outcome === 'ok' && !(isWhole && reply.status === '+'))
      say(
        `outcome ok, and the gate was given ${reply === undefined ? 'no reply' : isWhole ? reply.status : 'a cut reply'}`,
      );
    if (done.outcome === 'failed' || done.outcome === 'partly') {
      if (done.error === '' && !(isWhole && reply.status === done.status) && done.sent === true)
        say(`outcome ${done.outcome} with ${done.status}, which no backend gave`);
    }
    if (!isWhole) {
      if (reply !== undefined && done.bytesIn > reply.bytes)
        say(`bytes_in ${done.bytesIn} of a reply of ${reply.bytes} bytes`);
      return;
    }
    const isRelayed =
      done.outcome === 'ok' || (done.outcome === 'failed' && done.error === '') || done.outcome === 'partly';
    if (isRelayed && done.bytesIn !== reply.bytes)
      say(`bytes_in ${done.bytesIn}, and the reply had ${reply.bytes}`);
    if (
      isRelayed &&
      entry.cells >= 0 &&
      entry.rowSha === reply.sha &&
      done.cells >= 0 &&
      done.cells !== entry.cells
    )
      say(`cells ${done.cells}, and the rows have ${entry.cells}`);
    if (!isRelayed && entry.status === reply.status && entry.status !== '-TEMPFAIL' && entry.status !== '')
      say(`outcome ${done.outcome}, and the client got the whole answer ${entry.status}`);
  };

  const checkAmounts = (entry: Entry, exchange: Exchange, done: Completion): void => {
    const say = sayerOf(entry, exchange);
    if (isNative(entry) && entry.status !== '' && entry.rowBytes >= 0 && entry.end !== 'left') {
      const got = entry.rowBytes + entry.status.length + 2;
      if (done.bytesOut !== got && done.status === entry.status)
        say(`bytes_out ${done.bytesOut}, and the client got ${got}`);
    }
    if (done.waitMs > done.durationMs + 1) say(`wait_ms ${done.waitMs} of ${done.durationMs} ms`);
    const tookMs = entry.ended - entry.begun;
    const isDisturbed =
      entry.end === 'left' || entry.status === '' || faults.explain(entry.begun, entry.ended, processKinds);
    if (entry.hasEnded && !isDisturbed && done.durationMs > tookMs + durationSlackMs)
      say(`duration_ms ${done.durationMs}, and the client waited ${tookMs} ms`);
  };

  const checkInput = (
    entry: Entry,
    exchange: Exchange,
    done: Completion,
    arrivals: readonly Arrival[],
  ): void => {
    const say = sayerOf(entry, exchange);
    const given = entry.input;
    const whole = arrivals.find((one) => one.input !== undefined)?.input;
    if (given === undefined) {
      if (whole !== undefined) say('a backend got a text, and the client sent none');
      return;
    }
    if (entry.inputCut) {
      if (whole !== undefined)
        report.add(
          'false-complete',
          `${nameEntry(entry)} left within its text, and the backend got an end of it`,
          nameExchange(exchange),
        );
      return;
    }
    if (whole !== undefined && whole.sha !== given.sha)
      say('the text at the backend is not that of the client');
    if (done.outcome !== 'ok' && done.inputBytes === -1) return;
    if (done.outcome === 'ok' || (done.sent === true && whole !== undefined)) {
      if (done.inputBytes !== given.bytes)
        say(`input of ${done.inputBytes} bytes, and the client sent ${given.bytes}`);
      if (given.text !== undefined && hmacKey !== '') {
        const expected = hmacOf(hmacKey, Buffer.from(given.text, 'latin1'));
        if (done.inputHmac !== expected) say('the HMAC of the input is of another text');
      }
    }
  };

  /** The name of an upstream and the connection that the recorder saw belong together, in one run of the gate. */
  const checkUpstream = (
    entry: Entry,
    exchange: Exchange,
    done: Completion,
    arrivals: readonly Arrival[],
  ): void => {
    const last = arrivals.at(-1);
    if (arrivals.length !== 1 || last === undefined || done.upstream === '' || done.backend !== last.backend)
      return;
    // The last attempt is named, and a cut may have swallowed its line.
    if (done.outcome !== 'ok' || done.backends > 1) return;
    const ofGate = `${exchange.run} ${done.upstream}`;
    const ofRecorder = `${last.backend} ${last.conn}`;
    const known = upstreams.get(ofRecorder);
    const other = upstreams.get(ofGate);
    if (known === undefined && other === undefined) {
      upstreams.set(ofRecorder, ofGate);
      upstreams.set(ofGate, ofRecorder);
    } else if (known !== ofGate || other !== ofRecorder)
      sayerOf(
        entry,
        exchange,
      )(`upstream ${done.upstream} on connection ${last.conn}, which carried ${known ?? 'another one'}`);
  };

  const checkExchange = (entry: Entry, exchange: Exchange, arrivals: readonly Arrival[]): void => {
    checkIdentity(entry, exchange);
    const { done } = exchange;
    if (done === undefined) return;
    if (done.isRecovered) {
      // A client that is gone is noticed with the first write only, so its command may wait until the gate is killed.
      if (entry.end !== 'left' && !faults.explain(entry.begun, entry.ended, processKinds))
        sayerOf(entry, exchange)('unknown by a recovery, and no fault is near');
      return;
    }
    checkSent(entry, exchange, done, arrivals);
    if (!exchange.isTwin) {
      checkOutcome(entry, exchange, done, arrivals);
      checkAmounts(entry, exchange, done);
      checkInput(entry, exchange, done, arrivals);
    }
    checkUpstream(entry, exchange, done, arrivals);
  };

  const checkTwin = (entry: Entry, twin: Exchange, mains: readonly Exchange[]): void => {
    const main = mains.find((one) => one.id === twin.twinOf);
    if (main === undefined) {
      if (!faults.explain(entry.begun, entry.ended))
        sayerOf(entry, twin)(`a search for ${twin.twinOf}, which is not there`);
    } else if (main.matches >= 0 && twin.done?.outcome === 'ok' && twin.done.cells !== main.matches * 2)
      sayerOf(entry, main)(`matches ${main.matches}, and its search had ${twin.done.cells} cells`);
  };

  return {
    check(entry) {
      const mains = entry.exchanges.filter((one) => !one.isTwin);
      const lines = entry.arrivals.filter((one) => !one.isTwin).toSorted((one, other) => one.at - other.at);
      if (mains.length > 1 && entry.kind !== 'bulk')
        report.add(
          'not-true',
          `${nameEntry(entry)} has ${mains.length} admissions`,
          mains.map((one) => one.seq).join(' '),
        );
      const given = shareOut(mains, lines);
      mains.forEach((exchange, at) => checkExchange(entry, exchange, given[at] ?? []));
      for (const twin of entry.exchanges.filter((one) => one.isTwin)) {
        checkExchange(
          entry,
          twin,
          entry.arrivals.filter((one) => one.isTwin),
        );
        checkTwin(entry, twin, mains);
      }
    },
  };
}

/** Lines at several backends, none of which referred to the next. */
export function isJoined(arrivals: readonly Arrival[]): boolean {
  const backends = new Set(arrivals.map((one) => one.backend));
  return backends.size > 1 && !arrivals.some((one) => one.reply?.status.startsWith('-REFERRAL'));
}

/** Gives lines to exchanges in order: one to each that was sent, what is left to the last of them. */
function shareOut(mains: readonly Exchange[], lines: readonly Arrival[]): Arrival[][] {
  if (mains.length <= 1) return mains.map(() => [...lines]);
  const rest = [...lines];
  /** Lines that commands of a killed gate may have had: those that say `sent: true` come first. */
  let spare = lines.length - mains.filter(({ done }) => done?.sent === true).length;
  const shares = mains.map(({ done }) => {
    if (done?.sent === false) return [];
    if (done?.sent !== true) {
      if (spare <= 0) return [];
      spare -= 1;
    }
    const next = rest.shift();
    return next === undefined ? [] : [next];
  });
  shares.findLast((share) => share.length > 0)?.push(...rest);
  return shares;
}
