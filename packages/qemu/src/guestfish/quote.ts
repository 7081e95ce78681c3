// How guestfish reads its commands: words, and strings in double quotes with escapes.
// (libguestfs: "QUOTING" in guestfish(1); parse_quoted_string in fish/fish.c.)

const PLAIN = /^[A-Za-z0-9/._-]$/;

/**
 * One argument, whatever bytes are in it: those that could mean anything to guestfish are told by number. A name from a
 * guest's file system is bytes, and need not be text.
 *
 * @throws TypeError for a NUL, which no path holds
 */
export function quoteForGuestfish(argument: string | Uint8Array): string {
  const bytes = Buffer.from(argument);
  if (bytes.includes(0)) throw new TypeError('a path cannot contain a NUL character');
  let quoted = '';
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    quoted += PLAIN.test(character) ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `"${quoted}"`;
}
