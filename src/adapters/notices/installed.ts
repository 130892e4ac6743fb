// Whether the library for mail is installed, without loading it.

/** The advice for installing it. */
export const howToInstallMail = 'run `npm install nodemailer@10.6.1` where dovegate is installed';

export function hasMailLibrary(): boolean {
  try {
    import.meta.resolve('nodemailer');
    return true;
  } catch {
    return false;
  }
}
