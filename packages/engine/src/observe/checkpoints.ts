// The checkpoints that libvirt has of a domain.
import {
  type Domain,
  type DomainCheckpoint,
  DomainCheckpointXmlFlags,
  ErrorCode,
  isLibvirtError,
} from '@blockferry/libvirt';

/** @returns none for daemons that do not know checkpoints (before libvirt 5.6). @throws LibvirtError */
export async function checkpointsOf(domain: Domain): Promise<readonly DomainCheckpoint[]> {
  try {
    return await domain.listAllCheckpoints();
  } catch (error) {
    const unknown = [ErrorCode.NO_SUPPORT, ErrorCode.RPC];
    if (unknown.some((code) => isLibvirtError(error, code))) return [];
    throw error;
  }
}

/** How many of them record what changes on a disk: each may leave disks out. @throws LibvirtError */
export async function countOn(checkpoints: readonly DomainCheckpoint[], disk: string): Promise<number> {
  const texts = await Promise.all(
    checkpoints.map((checkpoint) => checkpoint.getXmlDesc(DomainCheckpointXmlFlags.NO_DOMAIN)),
  );
  return texts.filter((text) => text.includes(`<disk name='${disk}' checkpoint='bitmap'`)).length;
}
