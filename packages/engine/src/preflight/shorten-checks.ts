// What speaks against shortening a chain: others who depend on it, and what would be lost.
import { describeSource, sameSource } from '@blockferry/libvirt';
import { type ChainImage, formatLocation, quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { othersOn, otherWords, unknownOthers } from '../shorten/alone.ts';
import { snapshotsSpoiled } from '../snapshots/index.ts';
import { refAt } from '../storage/chain-refs.ts';
import type { ShortenRequest } from './shorten-request.ts';
import type { Situation } from './situation.ts';
import { mustNotBeSaved } from './source-checks.ts';

/** Places in the chain, the active image being 0: those from `first` to before `end` leave it, `into` takes their data. */
export interface Span {
  readonly first: number;
  readonly end: number;
  readonly into: number;
}

type Check = (situation: Situation, asked: ShortenRequest, span: Span) => Refusal | undefined;

/** @throws the first Refusal */
export async function checkShorten(situation: Situation, asked: ShortenRequest, span: Span): Promise<void> {
  const checks = [canBeHeld, staysSecret, keepsCheckpoints, keepsInternalSnapshots, keepsSize, worksOffline];
  const commits = asked.how.kind === 'commit' ? [namesTheSame, belongsToNobodyElse] : [];
  for (const check of [...commits, ...checks]) {
    const refusal = check(situation, asked, span);
    if (refusal !== undefined) throw refusal;
  }
  await mustNotBeSaved(situation);
  if (asked.how.kind === 'commit') await checkSnapshots(situation, span);
}

/** Of both definitions one is the next boot's: from an overlay of its own, it would find what is below it changed. */
const namesTheSame: Check = ({ definitions, disk, live }) => {
  const source = definitions.config?.disk(disk.target)?.source;
  if (source === undefined || disk.source === undefined || sameSource(source, disk.source)) return undefined;
  return new Refusal(
    'definition-differs',
    `the persistent definition of ${live.name} has ${describeSource(source)} for ${disk.target}, which may stand on what is committed into`,
    {},
    'have it name the image that the domain runs on: virsh dumpxml, virsh define',
  );
};

/** The hazard of linked clones: the clone is off, nobody has its base open, and QEMU would not even notice. */
const belongsToNobodyElse: Check = (situation, _, span) => {
  const { usage, definitions, live, disk } = situation;
  const domain = { name: live.name, uuid: definitions.domain.uuid };
  const [destination, ...sources] = refsIn(situation, span).toReversed();
  if (destination === undefined) throw new Error('a commit has a base');
  const others = othersOn(usage, { domain, disk: disk.target, sources, destination });
  const [other] = others;
  if (other !== undefined) {
    const words = [...new Set(others.map(otherWords))].join('; ');
    return new Refusal(
      'image-shared',
      `a commit would spoil another disk: ${words}`,
      { image: other.image, domain: other.use.domain, disk: other.use.disk },
      `blockferry flatten ${quoteArgument(live.name)} ${disk.target} makes this disk independent of what is shared`,
    );
  }
  const [unknown] = unknownOthers(usage, { domain, disk: disk.target });
  if (unknown === undefined) return undefined;
  return new Refusal(
    'use-unknown',
    `what ${unknown.domain} uses for ${unknown.disk} is not known (${unknown.why}): it may stand on what is committed into`,
    { domain: unknown.domain, disk: unknown.disk },
    'make its images readable, with the formats declared (qemu-img rebase -u -b BACKING -F FORMAT IMAGE), or undefine it',
  );
};

/** From the image that is committed first to the base, as `usesOf` knows them. */
function refsIn({ chain, disk }: Situation, { first, into }: Span) {
  return chain?.slice(first, into + 1).map((each, at) => refAt({ disk }, each, first + at)) ?? [];
}

const canBeHeld: Check = ({ definitions }, { hold, how }, { first }) => {
  if (!hold || (how.kind === 'commit' && first === 0 && definitions.running)) return undefined;
  return new Refusal(
    'cannot-hold',
    'only the commit of the active image of a running domain waits before a switch',
  );
};

/** What is encrypted does not go into an image that is not. */
const staysSecret: Check = ({ chain, disk }, _, { first, end, into }) => {
  if (chain === undefined || chain[into]?.encryption !== null) return undefined;
  if (chain.slice(first, end).every(({ encryption }) => encryption === null)) return undefined;
  return new Refusal(
    'encrypted',
    `${disk.target} is encrypted, and the image that would take its data is not: it would be there for all to read`,
  );
};

/** Where libvirt's checkpoints would break, and with them the next incremental backup. */
const keepsCheckpoints: Check = ({ chain, recorded, definitions, live, disk }, { how }, { into }) => {
  const taker = chain?.[into];
  if (recorded > 0 && !holdsBitmaps(taker)) {
    const name = quoteArgument(live.name);
    const without = `without them: virsh checkpoint-delete ${name} NAME; the next backup is then a full one`;
    return new Refusal(
      'checkpoints-lost',
      `${live.name} has ${recorded} checkpoint(s) of ${disk.target}, and the image that would take its data has no place for their bitmaps`,
      { checkpoints: recorded },
      taker?.image.format === 'qcow2'
        ? `it is qcow2 of the old kind; with the domain off: qemu-img amend -f qcow2 -o compat=1.1 ${quoteArgument(formatLocation(taker.image.location))}\n${without}`
        : without,
    );
  }
  const marked = chain?.some(({ bitmaps }) => bitmaps.length > 0) ?? false;
  if (how.kind === 'commit' || definitions.running || !marked) return undefined;
  return new Refusal(
    'checkpoints-lost',
    `the images of ${disk.target} have bitmaps, by which the next incremental backup knows what to take; only a QEMU that runs brings them together when the chain is flattened`,
    {},
    `start it first, paused if need be: virsh start --paused ${quoteArgument(live.name)}`,
  );
};

/** Qcow2 of before QEMU 1.1 has no place for them. */
export function holdsBitmaps(taker: ChainImage | undefined): boolean {
  return taker?.image.format === 'qcow2' && taker.compat !== '0.10';
}

/** Those of the images that leave would be out of reach; and an active image that stands alone would show them holes. */
const keepsInternalSnapshots: Check = ({ chain, disk }, { how }, { first, end }) => {
  const affected = how.kind === 'commit' ? chain?.slice(first, end) : chain?.slice(0, 1);
  const lost = affected?.flatMap(({ snapshots }) => snapshots.map(({ name }) => name)) ?? [];
  if (lost.length === 0) return undefined;
  const why =
    how.kind === 'commit'
      ? 'in images that would leave its chain'
      : 'in its active image, which need what is below it';
  return new Refusal(
    'internal-snapshots',
    `${disk.target} has internal snapshots (${lost.join(', ')}) ${why}`,
    { snapshots: lost },
    'delete what is not needed: virsh snapshot-delete',
  );
};

/** The guest would see a larger disk, or what is in the base beyond an image's end; and a device does not grow. */
const keepsSize: Check = (situation, { how }, span) => {
  const { chain, disk } = situation;
  const { first, into } = span;
  const shown = keepsHidden(situation, how, span);
  const [top, base] = [chain?.[first], chain?.[into]];
  if (shown !== undefined || how.kind === 'pull' || top === undefined || base === undefined) return shown;
  const facts = { top: top.virtualSize, base: base.virtualSize };
  const sizes = `${top.virtualSize} and ${base.virtualSize} bytes`;
  if (first === 0 && base.virtualSize > top.virtualSize) {
    const why = `the base is larger than ${disk.target} (${sizes}): the guest would see its disk grow`;
    const hint = `if that is wanted: virsh blockresize DOMAIN ${disk.target} ${base.virtualSize}B`;
    return new Refusal('size-differs', why, facts, hint);
  }
  const isFixed = base.image.location.kind !== 'file' && base.image.format === 'raw';
  if (!isFixed || base.virtualSize >= top.virtualSize) return undefined;
  return new Refusal(
    'size-differs',
    `the base is smaller than the image above it (${sizes}), and cannot grow`,
    facts,
  );
};

/** Neither QEMU's jobs from the middle nor its pull onto a base write the zeros that are read beyond the end of a short image. */
function keepsHidden(
  { chain, definitions }: Situation,
  { kind }: ShortenRequest['how'],
  { first, end }: Span,
): Refusal | undefined {
  const [above, top, below] = [chain?.[first - 1], chain?.[first], chain?.[end]];
  if (above === undefined || top === undefined || below === undefined) return undefined;
  const hides = above.virtualSize > top.virtualSize && below.virtualSize > top.virtualSize;
  if (!hides || (kind === 'pull' && !definitions.running)) return undefined;
  const [name, base] = [top, below].map(({ image }) => formatLocation(image.location));
  return new Refusal(
    'size-differs',
    `beyond the end of ${name} the images above it read zeros, and would read what ${base}, which is larger, has there`,
    { top: top.virtualSize, base: below.virtualSize },
    kind === 'pull'
      ? 'leave --base out, or shut the domain down first'
      : 'leave --top out, so that the active image is committed too; or flatten',
  );
}

const worksOffline: Check = ({ chain, definitions, live, secretsTold }, { how }) => {
  if (definitions.running) return undefined;
  const hint = `start it first: virsh start ${quoteArgument(live.name)}`;
  const no = (code: string, why: string) => new Refusal(code, `${live.name} is off, and ${why}`, {}, hint);
  const isFile = ({ image }: ChainImage) => image.location.kind === 'file';
  if (chain?.every(isFile) !== true) return no('not-files', 'its images are not all files');
  if (how.kind === 'pull' && chain.some(({ backing }) => backing?.declared === false)) {
    return no(
      'format-undeclared',
      'qemu-img goes by the headers, one of which names no format for what is below it',
    );
  }
  const isLocked = chain.some(({ encryption }) => encryption !== null);
  if (!isLocked || (how.kind === 'commit' && secretsTold)) return undefined;
  return no('encrypted', 'only QEMU, as libvirt starts it, opens all of its encrypted images');
};

/** A snapshot beside an image is that image as it was: to write to it is to destroy the snapshot. */
async function checkSnapshots({ connection, host, chain, disk }: Situation, span: Span): Promise<void> {
  const sources = chain?.map((each, depth) => refAt({ disk }, each, depth).source) ?? [];
  const spoiled = await snapshotsSpoiled(connection, host, sources, span);
  const [first] = spoiled;
  if (first === undefined) return;
  const names = spoiled.map(({ domain, snapshot }) => `${snapshot} of ${domain}`);
  throw new Refusal(
    'snapshot-needs',
    `a commit would spoil snapshots, which are what an image was: ${names.join(', ')}`,
    { snapshots: names },
    spoiled
      .map(
        ({ domain, snapshot }) =>
          `give it up: virsh snapshot-delete ${quoteArgument(domain)} ${quoteArgument(snapshot)} --metadata`,
      )
      .join('\n'),
  );
}
