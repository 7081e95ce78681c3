// The commands that we advise, made to reach the connection that this one was told: they can be pasted as they are.
import { quoteArgument } from '@blockferry/qemu';
import type { Io } from '../terminal/io.ts';
import { VERB_NAMES } from '../verbs/verbs.ts';

const COMMAND = new RegExp(`\\bblockferry (?=(?:${VERB_NAMES.join('|')})\\b)`, 'g');

/** Puts `-c URI` into every advised command; leaves the text alone where no URI was given. */
export function addressed(text: string, uri: string | undefined): string {
  return uri === undefined ? text : text.replace(COMMAND, () => `blockferry -c ${quoteArgument(uri)} `);
}

/** An Io for people, all of whose text is addressed. */
export function addressedIo(io: Io, uri: string | undefined): Io {
  return {
    ...io,
    out: (text) => io.out(addressed(text, uri)),
    err: (text) => io.err(addressed(text, uri)),
  };
}
