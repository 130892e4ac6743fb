// The times of records: RFC 3339 in UTC with milliseconds, always 24 characters (2026-11-20T08:22:34.123Z).
// It knows no clock: milliseconds since 1970 come in. `Date` is not used, so that nobody is tempted to ask it for now.

const msPerDay = 86_400_000;
/** The last millisecond of the year 9999: four digits of year are all that the form has. */
const msMax = 253_402_300_799_999;

let formattedSecond = -1;
let formattedPrefix = '';
let formattedMs = -1;
let formattedText = '';

/** The text of an instant, given in milliseconds since 1970; what lies outside 1970..9999 is moved to the nearest end. */
export function formatTime(ms: number): string {
  const whole = Number.isFinite(ms) ? Math.min(Math.max(Math.floor(ms), 0), msMax) : 0;
  if (whole === formattedMs) return formattedText;
  const second = Math.floor(whole / 1000);
  if (second !== formattedSecond) {
    // Records come thousands a second: the part that they share is made once.
    const ofDay = second % 86_400;
    const { year, month, day } = civil(Math.floor(second / 86_400));
    const clock = `${two(Math.floor(ofDay / 3600))}:${two(Math.floor(ofDay / 60) % 60)}:${two(ofDay % 60)}`;
    formattedPrefix = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${clock}.`;
    formattedSecond = second;
  }
  formattedMs = whole;
  formattedText = `${formattedPrefix}${String(whole % 1000).padStart(3, '0')}Z`;
  return formattedText;
}

const pattern = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z$/;

/** Milliseconds since 1970 of a text in exactly the form of `formatTime`; undefined for any other text. */
export function parseTime(text: string): number | undefined {
  const parts = pattern.exec(text)?.slice(1).map(Number);
  if (parts === undefined) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = parts;
  const clock = hour * 3_600_000 + minute * 60_000 + second * 1000 + ms;
  const total = daysOf(year, month, day) * msPerDay + clock;
  // A 31st of February, an hour 25: written again it is another text.
  return formatTime(total) === text ? total : undefined;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** Days since 1970 -> date, by the proleptic Gregorian calendar; years counted from March, so that leap days come last. */
function civil(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const ofEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

function daysOf(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const ofEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + ofYear;
  return era * 146_097 + ofEra - 719_468;
}
