// The checkpoints that libvirt has of a domain.
import { type Domain, type DomainCheckpoint, ErrorCode, isLibvirtError } from '@blockferry/libvirt';

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
