// Begins the block job: virDomainBlockCommit, virDomainBlockPull or virDomainBlockRebase.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type DiskDefinition,
  DomainBlockCommitFlags,
  DomainBlockRebaseFlags,
  ErrorCode,
  isLibvirtError,
  LibvirtError,
  sameSource,
} from '@blockferry/libvirt';
import { definitionsOf } from '../../act/scene-domain.ts';
import { patiently } from '../../act/start-copy.ts';
import { dropStrayNodes, meansStrayNodes } from '../../layered/act/stray-nodes.ts';
import { messageOf, StepFailed } from '../../model/errors.ts';
import type { ImageRef } from '../../model/record.ts';
import { readUsage } from '../../observe/usage.ts';
import { othersOn, otherWords, unknownOthers } from '../alone.ts';
import { imageBelow, shortenPart, switches } from '../chain.ts';
import type { ShortenScene } from './scene.ts';

const BUSY_MS = 500;

/**
 * An answer that refuses it counts as a job that failed, with libvirt's words as the reason; a connection that drops tells
 * nothing, so the next look decides.
 *
 * @throws StepFailed when another disk has come to depend on what a commit would change
 */
export async function startJob(scene: ShortenScene): Promise<void> {
  const { memory } = scene;
  await mustBeAlone(scene, 'start-job');
  // Before the call: events may come ahead of its reply.
  memory.witnessed = 'nothing';
  delete memory.failure;
  memory.starts += 1;
  memory.shorten.jobSeen = true;
  try {
    await patiently(() => pastStrayNodes(scene));
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    // One that libvirt is still cleaning up after: the next look tells what it has done.
    if (isLibvirtError(error, ErrorCode.BLOCK_COPY_ACTIVE)) return sleep(BUSY_MS);
    memory.witnessed = 'failed';
    memory.failure = `libvirt refused the block job: ${messageOf(error)}`;
  }
}

/** Preflight has asked; but that may have been yesterday, and a clone is made in a second. */
export async function mustBeAlone(scene: ShortenScene, step: 'start-job' | 'work-offline'): Promise<void> {
  const { context, move } = scene;
  if (move.strategy !== 'commit') return;
  const images = [...move.sources, move.destination].map(({ source }) => source);
  const usage = await readUsage(await context.link.connection(), context.host, images);
  const [other] = othersOn(usage, move);
  if (other !== undefined) throw new StepFailed(step, `${otherWords(other)}, and would be spoiled`);
  const [unknown] = unknownOthers(usage, move);
  if (unknown === undefined) return;
  const { domain, disk, why } = unknown;
  throw new StepFailed(step, `what ${domain} uses for ${disk} is not known any more (${why})`);
}

async function pastStrayNodes(scene: ShortenScene): Promise<void> {
  try {
    await order(scene);
  } catch (error) {
    const { chain } = shortenPart(scene.move);
    if (!meansStrayNodes(error) || !(await dropStrayNodes(definitionsOf(scene).domain, chain))) throw error;
    await order(scene);
  }
}

async function order(scene: ShortenScene): Promise<void> {
  const { move } = scene;
  const { domain, live } = definitionsOf(scene);
  const disk = live?.disk(move.disk);
  const named = (image: ImageRef | undefined) => image && nameOf(disk, image);
  const bandwidth = move.options.bandwidth ?? 0n;
  const { keepRelative } = shortenPart(move);
  if (move.strategy === 'commit') {
    const base = named(move.destination) ?? null;
    if (switches(move))
      return domain.blockCommit(move.disk, { base }, bandwidth, DomainBlockCommitFlags.ACTIVE);
    const flags = keepRelative ? DomainBlockCommitFlags.RELATIVE : 0;
    return domain.blockCommit(move.disk, { base, top: named(move.origin) ?? null }, bandwidth, flags);
  }
  const base = named(imageBelow(move));
  if (base === undefined) return domain.blockPull(move.disk, bandwidth);
  return domain.blockRebase(move.disk, base, bandwidth, keepRelative ? DomainBlockRebaseFlags.RELATIVE : 0);
}

/** As libvirt has it now: by its path, or by its index where it is no file. */
function nameOf(disk: DiskDefinition | undefined, image: ImageRef): string | undefined {
  const found = disk?.chain.find(({ source }) => sameSource(source, image.source));
  const source = found?.source ?? image.source;
  if (source.kind === 'file' || source.kind === 'block') return source.path;
  return found?.index === undefined ? undefined : `${disk?.target}[${found.index}]`;
}
