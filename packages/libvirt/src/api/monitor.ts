// Replies of QEMU's monitor and of the guest agent, which reach us as JSON text.

/** QEMU refused a monitor command; libvirt passes that on as a success. */
export class MonitorError extends Error {
  override readonly name = 'MonitorError';
  readonly command: string;
  /** QMP's error class: GenericError, CommandNotFound, DeviceNotFound… */
  readonly errorClass: string;

  constructor(command: string, errorClass: string, description: string) {
    super(`${command}: ${description}`);
    this.command = command;
    this.errorClass = errorClass;
  }
}

/** @throws MonitorError for an error reply, SyntaxError for what is no JSON. */
export function readMonitorReply(command: string, text: string): unknown {
  const reply: unknown = JSON.parse(text);
  if (typeof reply !== 'object' || reply === null) return reply;
  if ('error' in reply) {
    const error: unknown = reply.error;
    throw new MonitorError(command, textOf(error, 'class'), textOf(error, 'desc'));
  }
  return 'return' in reply ? reply.return : undefined;
}

/** The agent's errors come as libvirt errors; what arrives here is a success, or nothing for commands without reply. */
export function readAgentReply(text: string | null): unknown {
  if (text === null) return undefined;
  const reply: unknown = JSON.parse(text);
  return typeof reply === 'object' && reply !== null && 'return' in reply ? reply.return : reply;
}

function textOf(value: unknown, key: string): string {
  if (typeof value !== 'object' || value === null) return 'unknown';
  const member: unknown = Object.getOwnPropertyDescriptor(value, key)?.value;
  return typeof member === 'string' ? member : 'unknown';
}
