// What about the domain and its disk speaks against a move. Each check is a function of the situation alone.
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { MoveRecord, Scope } from '../model/record.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';

type Check = (situation: Situation, scope: Scope) => Refusal | undefined;

/** @throws the first Refusal */
export function checkSource(
  situation: Situation,
  { scope, copy }: Pick<MoveRequest, 'scope' | 'copy'>,
  strategy: MoveRecord['strategy'],
): void {
  // Copied byte for byte, an image keeps its snapshots; and what is only copied keeps all.
  const moved = copy === undefined && (strategy === 'mirror' || scope === 'flatten');
  const loses = moved ? [keepsInternalSnapshots] : [];
  for (const check of [isADisk, isFree, isWritable, ...loses, isHealthy]) {
    const refusal = check(situation, scope);
    if (refusal !== undefined) throw refusal;
  }
}

/**
 * A domain that was saved goes on from the images that were its disks then, by the definition that was saved with it.
 *
 * @throws Refusal `managed-save`
 */
export async function mustNotBeSaved({ definitions, live }: Situation): Promise<void> {
  if (definitions.running || !(await definitions.domain.hasManagedSave())) return;
  throw new Refusal(
    'managed-save',
    `${live.name} was saved, and goes on from the chain as it is`,
    {},
    `start it first (virsh start ${quoteArgument(live.name)}), or give up what was saved: virsh managedsave-remove ${quoteArgument(live.name)}`,
  );
}

const isADisk: Check = ({ disk, live }) => {
  if (disk.device === 'disk' && disk.source !== undefined) return undefined;
  const what = disk.source === undefined ? 'has no medium' : `is a ${disk.device}`;
  return new Refusal('not-a-disk', `${disk.target} of ${live.name} ${what}: only disks are moved or copied`, {
    disk: disk.target,
  });
};

const isFree: Check = ({ job, backupRuns, disk, live }) => {
  if (job !== undefined) {
    return new Refusal(
      'disk-busy',
      `a ${job} job is running on ${disk.target} of ${live.name}`,
      { disk: disk.target, job },
      `wait for it, or end it: virsh blockjob ${quoteArgument(live.name)} ${disk.target} --abort`,
    );
  }
  if (!backupRuns) return undefined;
  return new Refusal(
    'backup-runs',
    `a backup of ${live.name} is running`,
    {},
    `wait for it, or: virsh domjobabort ${quoteArgument(live.name)}`,
  );
};

const isWritable: Check = ({ disk }) => {
  if (disk.readonly)
    return new Refusal(
      'disk-readonly',
      `${disk.target} is read-only: QEMU mirrors and freezes writable disks only`,
      {},
      'copy its file, to which nobody writes; the domain gets the copy by virsh change-media or virsh update-device',
    );
  if (disk.transient)
    return new Refusal('disk-transient', `${disk.target} is transient: its changes end with the domain`);
  if (disk.shareable)
    return new Refusal(
      'disk-shareable',
      `${disk.target} is shareable: another domain may write to it while it is copied`,
    );
  const kind = disk.source?.kind;
  if (kind === 'vhostuser' || kind === 'vhostvdpa' || kind === 'nvme' || kind === 'dir' || kind === 'other') {
    return new Refusal(
      'unsupported-storage',
      `${disk.target} is on ${kind} storage, which QEMU cannot mirror`,
    );
  }
  return undefined;
};

const keepsInternalSnapshots: Check = ({ chain, disk }, scope) => {
  const lost =
    (scope === 'shallow' ? chain?.slice(0, 1) : chain)?.flatMap((image) =>
      image.snapshots.map(({ name }) => name),
    ) ?? [];
  if (lost.length === 0) return undefined;
  return new Refusal(
    'internal-snapshots',
    `${disk.target} has internal snapshots (${lost.join(', ')}), which a mirror loses without a word`,
    { snapshots: lost },
    `to a new file, --strategy layered keeps them${scope === 'flatten' ? ' (without --flatten)' : ''}; or delete what is not needed: virsh snapshot-delete`,
  );
};

const isHealthy: Check = ({ chain }) => {
  const corrupt = chain?.find((image) => image.corrupt);
  if (corrupt === undefined) return undefined;
  return new Refusal(
    'image-corrupt',
    'an image of the chain is marked corrupt',
    {},
    'shut the domain off and run: qemu-img check -r leaks',
  );
};
