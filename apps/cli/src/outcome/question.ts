// What only a person can decide, in words: what happened, what is known, and what to type.
import { type MoveRecord, type Question, sidesOf, unreachable } from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { commandsFor, type ResultError } from './result.ts';

/** @param facts what was seen of the two images */
export function questionError(question: Question, move: MoveRecord, facts: readonly string[]): ResultError {
  const [source, destination] = sidesOf(move).map((image) => describeSource(image.source));
  if (source === undefined || destination === undefined) throw new Error('a question is about two images');
  const hint = [...facts, ...remedy(question, move)].join('\n');
  return { code: question, message: questionWords(question, move, source, destination), hint };
}

/** What to look at and to type. */
export function remedy(question: Question, move: MoveRecord): string[] {
  const { name } = move.domain;
  const [source, destination] = sidesOf(move).map((image) => describeSource(image.source));
  const { resume } = commandsFor(move);
  switch (question) {
    case 'which-side':
    case 'domain-gone-while-pivoting':
      return [
        'look at both images, then say which one is the truth:',
        `source (${source}): ${resume} --use source`,
        `destination (${destination}): ${resume} --use destination`,
      ];
    case 'unknown-to-libvirt':
      return [
        `do not start ${name} meanwhile: it would run twice`,
        `shut the guest down from inside, or end what has the images open; then go on: ${resume}`,
      ];
    case 'phantom-mirror':
      return [
        `until ${name} is started anew, libvirt refuses block jobs and snapshots of ${move.disk}; do not save or migrate it`,
        `shut it down and start it when that suits, then go on: ${resume}`,
      ];
    case 'both-written':
      return [
        `what ${source} holds is to stay: move ${destination} away, then go on: ${resume}`,
        `what ${destination} holds is, and ${source} was not written to since: define ${name}, while it is off, with ${move.disk} on ${destination} (qcow2), then go on`,
      ];
    default:
      return unreachable(question);
  }
}

function questionWords(
  question: Question,
  { domain: { name }, shorten }: MoveRecord,
  source: string,
  destination: string,
): string {
  switch (question) {
    case 'which-side':
      return `QEMU ended while ${name} was being switched from ${source} to ${destination}, and they differ: either may hold the guest's last writes. Nothing was removed`;
    case 'domain-gone-while-pivoting':
      return `${name} was transient and ended while it was being switched: ${source} and ${destination} are both kept`;
    case 'unknown-to-libvirt':
      if (shorten !== undefined) {
        return `${name} is off by libvirt's word, and something has its images open for writing: another blockferry or qemu-img that works on them, or a QEMU that libvirtd has lost. Nothing was removed`;
      }
      return `libvirt says that ${name} does not run, and something has ${source} or ${destination} open for writing: its QEMU still runs, and libvirtd lost it when it ended in the middle of the switch. Nothing was removed; the definition names the image it is on, as far as that can be told`;
    case 'phantom-mirror':
      return `libvirtd ended in the middle of the switch of ${name} from ${source} to ${destination}, and what it shows of the disk is from before: QEMU has finished that copy. The guest runs on, and the definition names the image it is on`;
    case 'both-written':
      return `QEMU ended right after ${name} was put on ${destination}, which holds what the guest wrote in that moment; and ${source} below it was written to since, or may have been. What the two hold cannot be joined. Nothing was removed`;
    default:
      return unreachable(question);
  }
}
