// Is there a copy at the destination already? A base that another move has brought is linked to; everything else is in the way.

import { dirname } from 'node:path';
import { type Host, quoteArgument } from '@blockferry/qemu';
import { bare } from '../layered/copies.ts';
import { type Standing, standingOf } from '../layers/index.ts';
import { Refusal } from '../model/errors.ts';
import type { ImageRef, Layer, LayeredPart } from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import { lookAt } from './look.ts';

/**
 * Bases that another disk's move has brought there already, by their journals: complete, verified, of these very
 * sources, and as they were left. They are linked to, not copied; from the bottom up, as far as it goes.
 */
export async function withoutShared(
  host: Host,
  all: LayeredPart['layers'],
  verify: boolean,
): Promise<Pick<LayeredPart, 'layers'> & { readonly shared: readonly ImageRef[] }> {
  const [top, ...lower] = all;
  const shared: ImageRef[] = [];
  while (lower.length > 0) {
    const base = lower.at(-1);
    if (base === undefined || (await standing(host, base, verify)).kind !== 'as-left') break;
    shared.unshift(base.to);
    lower.pop();
  }
  return { layers: [top, ...lower], shared };
}

async function standing(host: Host, layer: Layer, verify: boolean): Promise<Standing> {
  if (layer.how !== 'bytes' || layer.to.source.kind !== 'file') return { kind: 'stranger' };
  return standingOf(host, bare(layer, { destination: layer.to }), verify);
}

/** A journal whose copy is gone is in nobody's way. @throws Refusal `destination-exists` */
export async function mustBeFree(host: Host, layer: Layer, verify: boolean): Promise<void> {
  const { source } = layer.to;
  if (source.kind !== 'file' || (await lookAt(host, source.path)) === null) return;
  const { path } = source;
  const [message, hint] = inTheWay(path, await standing(host, layer, verify));
  throw new Refusal('destination-exists', message, { path }, hint);
}

/** What is said of it, and what to do. Pure. */
function inTheWay(path: string, found: Standing): readonly [string, string] {
  const cleanup = `blockferry cleanup ${quoteArgument(dirname(path))}`;
  switch (found.kind) {
    case 'stranger':
    case 'as-left':
      return [`${path} exists`, `choose another directory; what a move left behind goes with: ${cleanup}`];
    case 'unfinished':
      return [
        `${path} exists: another move is copying this very image there, and has not come to its end`,
        `when it is copied it will be linked to (blockferry status shows how far that move is); if no move is open: ${cleanup}`,
      ];
    case 'unverified':
      return [
        `${path} exists: a copy of this very image that was not verified`,
        'choose another directory, or link to it as it is: --verify none',
      ];
    case 'changed':
      return [
        `${path} exists: it was copied of this very image, and somebody has written to it since`,
        'choose another directory',
      ];
    default:
      return unreachable(found);
  }
}
