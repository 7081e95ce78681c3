// An element of ours in a domain's <metadata>, whatever it holds.
import { type Domain, ErrorCode, isLibvirtError } from '@blockferry/libvirt';

/** VIR_DOMAIN_METADATA_ELEMENT */
const METADATA_ELEMENT = 2;
const PREFIX = 'blockferry';

/** @param flags one of DomainAffectFlags. libvirt keeps it on disk before it answers (virDomainSetMetadata) */
export async function setElement(
  domain: Domain,
  namespace: string,
  content: string,
  flags: number,
): Promise<void> {
  await domain.setMetadata(METADATA_ELEMENT, content, PREFIX, namespace, flags);
}

/** None there is fine. */
export async function removeElement(domain: Domain, namespace: string, flags: number): Promise<void> {
  try {
    await domain.setMetadata(METADATA_ELEMENT, null, PREFIX, namespace, flags);
  } catch (error) {
    if (!isLibvirtError(error, ErrorCode.NO_DOMAIN_METADATA)) throw error;
  }
}

export function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** What an element holds that was written with `escapeText`. */
export function textOfElement(element: string): string {
  return unescapeText(element.slice(element.indexOf('>') + 1, element.lastIndexOf('</'))).trim();
}

function unescapeText(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}
