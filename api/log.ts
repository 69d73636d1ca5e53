/** The part of a pino logger that components use; tests pass one that keeps its lines. */
export type Log = Record<'debug' | 'info' | 'warn' | 'error', (fields: Record<string, unknown>, message: string) => void>

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
