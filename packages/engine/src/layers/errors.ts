// How copying a layer can fail. None of these harms the guest: it does not depend on the copy yet.
import { formatLocation } from '@blockferry/qemu';
import type { LayerPlan } from './layer-plan.ts';

/** Which side of a copy. */
export type Side = 'source' | 'destination';

const nameOf = (plan: LayerPlan): string => `${formatLocation(plan.from.location)} -> ${copyNameOf(plan)}`;

const copyNameOf = ({ to, away }: LayerPlan): string =>
  away === undefined
    ? formatLocation(to.location)
    : `${formatLocation(away.file.location)} on ${away.host.name}`;

/** There is a copy journal, but of another source or destination. Nothing was touched. */
export class JournalForeign extends Error {
  override readonly name = 'JournalForeign';
  readonly plan: LayerPlan;
  /** What the journal says, and what is there, for people. */
  readonly differences: readonly string[];
  readonly hint = 'If nothing needs that copy any more, remove it together with its journal.';

  constructor(plan: LayerPlan, differences: readonly string[]) {
    super(`${plan.journal} is not the journal of ${nameOf(plan)}: ${differences.join('; ')}`);
    this.plan = plan;
    this.differences = differences;
  }
}

/** The source is not what it was when its copy was begun. What the journal counts is void: the copy must go. */
export class SourceChanged extends Error {
  override readonly name = 'SourceChanged';
  readonly plan: LayerPlan;
  readonly differences: readonly string[];
  readonly hint = 'A frozen layer was written to: find out by whom before it is moved.';

  constructor(plan: LayerPlan, differences: readonly string[]) {
    super(`${formatLocation(plan.from.location)} changed while it was copied: ${differences.join('; ')}`);
    this.plan = plan;
    this.differences = differences;
  }
}

/** The copy differs from the source, also after that window was copied again. */
export class LayerDiffers extends Error {
  override readonly name = 'LayerDiffers';
  readonly plan: LayerPlan;
  /** Bytes from the start of the layer; the first difference found. */
  readonly offset: bigint;
  readonly hint = "Storage that does not give back what was written: look at the host's log.";

  constructor(plan: LayerPlan, offset: bigint) {
    super(`${nameOf(plan)}: the copy differs at offset ${offset}`);
    this.plan = plan;
    this.offset = offset;
  }
}

/** Reading or writing failed. Can be resumed once the storage works again. */
export class LayerFailed extends Error {
  override readonly name = 'LayerFailed';
  readonly plan: LayerPlan;
  /** Undefined where QEMU does not tell. */
  readonly side: Side | undefined;
  /** Bytes from the start of the layer: the window or request in which it failed; undefined if before any. */
  readonly offset: bigint | undefined;
  /** QEMU's words. */
  readonly detail: string;
  readonly hint = "Look at the storage and the host's log; then resume.";

  constructor(
    plan: LayerPlan,
    facts: { side: Side | undefined; offset: bigint | undefined; detail: string },
    options?: ErrorOptions,
  ) {
    const at = facts.offset === undefined ? '' : ` near offset ${facts.offset}`;
    const side = facts.side === undefined ? '' : ` (${facts.side}${at})`;
    super(`${nameOf(plan)}${side === '' ? at : side}: ${facts.detail}`, options);
    this.plan = plan;
    this.side = facts.side;
    this.offset = facts.offset;
    this.detail = facts.detail;
  }
}

/** An image is in use by another process: the source for writing, or the destination at all. */
export class LayerInUse extends Error {
  override readonly name = 'LayerInUse';
  readonly plan: LayerPlan;
  readonly side: Side;
  readonly hint = 'Only a layer that nobody writes to can be copied.';

  constructor(plan: LayerPlan, side: Side, detail: string, options?: ErrorOptions) {
    const { location } = side === 'source' ? plan.from : plan.to;
    super(`${formatLocation(location)} is in use: ${detail}`, options);
    this.plan = plan;
    this.side = side;
  }
}

/** qemu-storage-daemon, or the connection to its host, ended under the copy. Can be resumed. */
export class CopierDied extends Error {
  override readonly name = 'CopierDied';
  readonly hint = 'Resume: nothing that was copied is copied again.';
  /** It was the connection. */
  readonly isHostLost: boolean;

  constructor(detail: string, isHostLost: boolean, options?: ErrorOptions) {
    super(
      isHostLost ? 'the connection to the host was lost' : `qemu-storage-daemon ended: ${detail}`,
      options,
    );
    this.isHostLost = isHostLost;
  }
}
